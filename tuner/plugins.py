"""What plugins import: every port, value and helper that they need.

Nothing in tuner imports this module. Names are imported when they are first used, so that a data source does
not load torch. What is registered under which group is in docs/plugins.md; the contract suites are in
`tuner.testing`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.artifacts import Artifacts
    from tuner.callbacks.rules import OwnRule
    from tuner.core.data_spec import DataSpec
    from tuner.core.dataset import Dataset, Split, Task
    from tuner.core.events import (
        Event,
        Failed,
        Finished,
        Interrupted,
        Paused,
        Reported,
        Restarted,
        SaveFailure,
        Stopped,
    )
    from tuner.core.job import Job, Member, Resources
    from tuner.core.ports import Callback, Executor, Placement, Recalling, Scheduler, Searcher, Tracker
    from tuner.core.reading_columns import ReadingColumns
    from tuner.core.space import Choice, Float, Int, SearchSpace
    from tuner.core.spec import SearchSpec, StudySpec
    from tuner.core.training import (
        BatchTrainer,
        Exhausted,
        Failure,
        Outcome,
        SessionTrainer,
        Snapshot,
        Trainer,
        TrialBatch,
        TrialSession,
    )
    from tuner.core.trial import Objective, Params, Pause, Reading, Stop, Trial, TrialRecord, TrialState
    from tuner.data import Scaling, encode
    from tuner.data.source import Source
    from tuner.executors import ExecutorKind, Inline, Processes, Setup
    from tuner.executors.checkpoints import Checkpoints
    from tuner.executors.worker import Worker
    from tuner.figures import Figure, NothingToPlot, Option
    from tuner.findings import Evidence, Finding
    from tuner.registry import load, registered
    from tuner.search.history import History
    from tuner.search.samplers import Draw, Sampler, Suggest
    from tuner.trainers import open_batch
    from tuner.trainers.blocking import TrialOver
    from tuner.trainers.context import TrialContext
    from tuner.trainers.model import Model, describe
    from tuner.trainers.scores import Score, score
    from tuner.trainers.state import freeze, thaw
    from tuner.trainers.torch.context import NetworkContext
    from tuner.trainers.torch.losses import Loss
    from tuner.trainers.torch.optimizers import OptimizerRule
    from tuner.trainers.torch.recipe import Recipe

_HOMES = {
    "tuner.artifacts": ("Artifacts",),
    "tuner.callbacks.rules": ("OwnRule",),
    "tuner.core.dataset": ("Dataset", "Split", "Task"),
    "tuner.core.events": (
        "Event", "Failed", "Finished", "Interrupted", "Paused", "Reported", "Restarted",
        "SaveFailure", "Stopped",
    ),
    "tuner.core.job": ("Job", "Member", "Resources"),
    "tuner.core.ports": (
        "Callback", "Executor", "Placement", "Recalling", "Scheduler", "Searcher", "Tracker",
    ),
    "tuner.core.reading_columns": ("ReadingColumns",),
    "tuner.core.space": ("Choice", "Float", "Int", "SearchSpace"),
    "tuner.core.data_spec": ("DataSpec",),
    "tuner.core.spec": ("SearchSpec", "StudySpec"),
    "tuner.core.training": (
        "BatchTrainer", "Exhausted", "Failure", "Outcome", "SessionTrainer", "Snapshot", "Trainer",
        "TrialBatch", "TrialSession",
    ),
    "tuner.core.trial": (
        "Objective", "Params", "Pause", "Reading", "Stop", "Trial", "TrialRecord", "TrialState",
    ),
    "tuner.data": ("Scaling", "encode"),
    "tuner.data.source": ("Source",),
    "tuner.executors": ("ExecutorKind", "Inline", "Processes", "Setup"),
    "tuner.executors.checkpoints": ("Checkpoints",),
    "tuner.executors.worker": ("Worker",),
    "tuner.figures": ("Figure", "NothingToPlot", "Option"),
    "tuner.findings": ("Evidence", "Finding"),
    "tuner.registry": ("load", "registered"),
    "tuner.search.history": ("History",),
    "tuner.search.samplers": ("Draw", "Sampler", "Suggest"),
    "tuner.trainers": ("open_batch",),
    "tuner.trainers.blocking": ("TrialOver",),
    "tuner.trainers.context": ("TrialContext",),
    "tuner.trainers.model": ("Model", "describe"),
    "tuner.trainers.scores": ("Score", "score"),
    "tuner.trainers.state": ("freeze", "thaw"),
    "tuner.trainers.torch.context": ("NetworkContext",),
    "tuner.trainers.torch.losses": ("Loss",),
    "tuner.trainers.torch.optimizers": ("OptimizerRule",),
    "tuner.trainers.torch.recipe": ("Recipe",),
}  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Artifacts", "BatchTrainer", "Callback", "Checkpoints", "Choice", "DataSpec", "Dataset", "Draw", "Event",
    "Evidence", "Executor", "ExecutorKind", "Exhausted", "Failed", "Failure", "Figure", "Finding", "Finished",
    "Float", "History", "Inline", "Int", "Interrupted", "Job", "Loss", "Member", "Model", "NetworkContext",
    "NothingToPlot", "Objective", "OptimizerRule", "Option", "Outcome", "OwnRule", "Params", "Pause",
    "Paused", "Placement", "Processes", "Reading", "ReadingColumns", "Recalling", "Recipe", "Reported",
    "Resources", "Restarted", "Sampler", "SaveFailure", "Scaling", "Scheduler", "Score", "SearchSpace",
    "SearchSpec", "Searcher", "SessionTrainer", "Setup", "Snapshot", "Source", "Split", "Stop", "Stopped",
    "StudySpec", "Suggest", "Task", "Tracker", "Trainer", "Trial", "TrialBatch", "TrialContext", "TrialOver",
    "TrialRecord", "TrialSession", "TrialState", "Worker", "describe", "encode", "freeze", "load",
    "open_batch", "registered", "score", "thaw",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tuner.plugins' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
