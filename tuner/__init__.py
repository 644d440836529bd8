"""Hyperparameter tuning for neural networks: the public names, re-exported; nothing else.

Names are imported when they are first used, so that ``import tuner`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

if TYPE_CHECKING:
    from tuner.api.compressing import compress
    from tuner.api.confirming import confirm
    from tuner.api.estimator import Tuned, TunedClassifier, TunedRegressor
    from tuner.api.importing import import_trials
    from tuner.api.predicting import predict
    from tuner.api.run import resume, start
    from tuner.api.stored import comment, delete, enqueue, raise_budget, rename, stop, studies
    from tuner.api.workbench import check, compare, copy, export, init, load, write_report
    from tuner.core.dataset import Dataset, Split
    from tuner.core.ports import Observer, Status
    from tuner.core.space import Choice, Float, Int, SearchSpace
    from tuner.core.spec import StudySpec
    from tuner.core.trial import Reading, Stop, Trial, TrialRecord, TrialState
    from tuner.errors import (
        DataError,
        DeviceError,
        PluginError,
        SpecError,
        StoreError,
        StudyExists,
        StudyLocked,
        StudyNotFound,
        TrialError,
        TunerError,
    )
    from tuner.results import Study, TrialView
    from tuner.script import params, report
    from tuner.trainers import load_model
    from tuner.trainers.from_optuna import from_optuna

    __version__: str

_HOMES = {
    "tuner.api.compressing": ("compress",),
    "tuner.api.confirming": ("confirm",),
    "tuner.api.estimator": ("Tuned", "TunedClassifier", "TunedRegressor"),
    "tuner.api.importing": ("import_trials",),
    "tuner.api.predicting": ("predict",),
    "tuner.api.run": ("resume", "start"),
    "tuner.api.stored": ("comment", "delete", "enqueue", "raise_budget", "rename", "stop", "studies"),
    "tuner.api.workbench": ("check", "compare", "copy", "export", "init", "load", "write_report"),
    "tuner.core.dataset": ("Dataset", "Split"),
    "tuner.core.ports": ("Observer", "Status"),
    "tuner.core.space": ("Choice", "Float", "Int", "SearchSpace"),
    "tuner.core.spec": ("StudySpec",),
    "tuner.core.trial": ("Reading", "Stop", "Trial", "TrialRecord", "TrialState"),
    "tuner.results": ("Study", "TrialView"),
    "tuner.script": ("params", "report"),
    "tuner.trainers": ("load_model",),
    "tuner.trainers.from_optuna": ("from_optuna",),
    "tuner.errors": (
        "DataError", "DeviceError", "PluginError", "SpecError", "StoreError", "StudyExists", "StudyLocked",
        "StudyNotFound", "TrialError", "TunerError",
    ),
}  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Choice", "DataError", "Dataset", "DeviceError", "Float", "Int", "Observer", "PluginError", "Reading",
    "SearchSpace", "SpecError", "Split", "Status", "Stop", "StoreError", "Study", "StudyExists",
    "StudyLocked", "StudyNotFound", "StudySpec", "Trial", "TrialError", "TrialRecord", "TrialState",
    "TrialView", "Tuned", "TunedClassifier", "TunedRegressor", "TunerError", "__version__", "check",
    "comment", "compare", "compress", "confirm", "copy", "delete", "enqueue", "export", "from_optuna",
    "import_trials", "init", "load", "load_model", "params", "predict", "raise_budget", "rename", "report",
    "resume", "start", "stop", "studies", "write_report",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("tuner")
    if name not in _HOME:
        raise AttributeError(f"module 'tuner' has no attribute '{name}'")
    with catch_warnings():
        # Optuna's tqdm asks for widgets in a notebook; nothing here shows any.
        filterwarnings("ignore", "IProgress not found")
        return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
