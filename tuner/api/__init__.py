"""start, resume, load: wires the parts together (composition root).

Names are imported when they are first used, so that a study does not wait for what comes after it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.api.compressing import compress
    from tuner.api.confirming import confirm
    from tuner.api.importing import import_trials
    from tuner.api.predicting import predict
    from tuner.api.run import resume, start
    from tuner.api.stored import (
        comment,
        delete,
        enqueue,
        raise_budget,
        rename,
        stop,
        studies,
        summaries,
        verify,
    )
    from tuner.api.workbench import Checked, check, compare, copy, export, init, load, write_report
    from tuner.content import storage_url
    from tuner.results import Comparison, Study, TrialView, brief
    from tuner.trainers import load_model

_HOMES = {
    "tuner.api.compressing": ("compress",),
    "tuner.api.confirming": ("confirm",),
    "tuner.api.importing": ("import_trials",),
    "tuner.api.predicting": ("predict",),
    "tuner.api.run": ("resume", "start"),
    "tuner.api.stored": (
        "comment",
        "delete",
        "enqueue",
        "raise_budget",
        "rename",
        "stop",
        "studies",
        "summaries",
        "verify",
    ),
    "tuner.api.workbench": ("Checked", "check", "compare", "copy", "export", "init", "load", "write_report"),
    "tuner.content": ("storage_url",),
    "tuner.results": ("Comparison", "Study", "TrialView", "brief"),
    "tuner.trainers": ("load_model",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Checked",
    "Comparison",
    "Study",
    "TrialView",
    "brief",
    "check",
    "comment",
    "compare",
    "compress",
    "confirm",
    "copy",
    "delete",
    "enqueue",
    "export",
    "import_trials",
    "init",
    "load",
    "load_model",
    "predict",
    "raise_budget",
    "rename",
    "resume",
    "start",
    "stop",
    "storage_url",
    "studies",
    "summaries",
    "verify",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tuner.api' has no attribute '{name}'")
    found = globals()[name] = getattr(import_module(_HOME[name]), name)
    return found
