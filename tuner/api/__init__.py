"""start, resume, load: wires the parts together (composition root)."""

from tuner.api.run import delete, load, resume, start, storage_url, studies, verify
from tuner.api.study import Study, TrialView
from tuner.api.workbench import Checked, brief, check, copy, export, init
from tuner.trainers import load_model

__all__ = [
    "Checked",
    "Study",
    "TrialView",
    "brief",
    "check",
    "copy",
    "delete",
    "export",
    "init",
    "load",
    "load_model",
    "resume",
    "start",
    "storage_url",
    "studies",
    "verify",
]
