"""The two ports of trainers: sessions, which train one trial each, and batches, which train many as rows.

Executors run every trainer through `trainers.open_batch`, so *where* and *how* trials train are two
questions. A trainer offers either port or both: then trials are fused where the study allows it, and
train one at a time where it does not. What goes wrong in a trial is a value, never an exception that
ends the study.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Stop, Trial
from tuner.errors import described, shortened

TRACEBACK = 20_000
"""Of a longer traceback the beginning and the end are kept: so many characters."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The trial has nothing more to train, before its last epoch."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The trial raised; its row is to be cleared."""

    error: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """From any exception but an interrupt: a SystemExit, a CancelledError, a library's panic."""
        text = "".join(traceback.format_exception(error))
        return cls(described(error), shortened(text, TRACEBACK))


Outcome = Reading | Exhausted | Failure | Stop
"""What became of one epoch of one trial; Stop: it ended itself, as a rule would have."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A row's whole state after an epoch: all that is needed to go on with it, bit for bit, in any row.

    Attributes:
        epoch: how many epochs it has trained.
        arrays: tensors by name: weights, optimizer's moments, the best epoch's weights, generators.
        facts: what is not a tensor, as JSON has it.
        reading: what that epoch came to, where it may be recorded nowhere else; an executor's affair.
    """

    epoch: int
    arrays: Mapping[str, np.ndarray[Any, Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    reading: Reading | None = None


@runtime_checkable
class TrialSession(Protocol):
    """One training of one trial, from `SessionTrainer.start` to `close`; used by one thread at a time."""

    def next(self) -> Outcome:
        """Train for one epoch.

        Returns:
            Its reading; Exhausted where there was nothing more to train.

        Raises:
            DeviceError: the device failed, which is no trial's fault.
            Exception: any other exception fails the trial, as a returned Failure does.
        """

    def snapshot(self) -> Snapshot | None:
        """The state after the last epoch, in arrays of its own; None where it has none that could be kept.

        Asked whenever the trial is to pause or a checkpoint is due. A trial that has none starts again
        when it goes on, and has to come out as it did.
        """

    def save(self, folder: Path) -> bool:
        """Write the model of the best epoch into an existing, empty folder; see `TrialBatch.save`."""

    def close(self) -> None:
        """Release everything; the last call."""


class SessionTrainer(Protocol):
    """Trains one trial at a time."""

    def validate(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        """What in the spec or the data this trainer cannot work with, ``key: what; what to do`` each."""

    def start(self, job: Job, trial: Trial, snapshot: Snapshot | None = None) -> TrialSession:
        """Begin to train a trial, or go on with it where a snapshot left it.

        Args:
            job: its data is `job.data_for(trial)`; called for many trials with one and the same job.
            trial: its random numbers follow from its `study_seed` and its `number` alone.
            snapshot: of a session of this trial, perhaps in another process.

        Raises:
            DeviceError: the device cannot be used, which is no trial's fault.
            Exception: any other exception fails the trial.
        """


class TrialBatch(Protocol):
    """Rows, each empty or training one trial."""

    @property
    def capacity(self) -> int:
        """How many rows there are."""

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        """Start a trial in an empty row, or go on with it where a snapshot left it.

        Its data is `Job.data_for(trial)`. What goes wrong with it is the next `advance`'s Failure.
        """

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Train occupied rows for one epoch.

        Args:
            rows: which ones; all where it is None.

        Returns:
            One outcome per row that was trained, keyed by row index.

        Raises:
            DeviceError: the device failed and no row's state can be trusted. One diverging
                row does not raise: its losses are `nan` or `inf`.
        """

    def save(self, row: int, folder: Path) -> bool:
        """Write the model of the row's best epoch into an existing, empty folder.

        Returns:
            Whether there was anything to write.

        Raises:
            OSError: the folder cannot be written to, which ends the study; it may be resumed.
            Exception: the model cannot be written, which the trial's record says; its values stand.
        """

    def snapshot(self, row: int) -> Snapshot | None:
        """The row's state, in arrays of its own; None where the trial has none that could be kept."""

    def clear(self, row: int) -> None:
        """Empty the row."""


@runtime_checkable
class BatchTrainer(Protocol):
    """Trains many trials as rows of one program."""

    def validate(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        """What in the spec or the data this trainer cannot work with, ``key: what; what to do`` each."""

    def why_unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
        """Why the trials of this study cannot train as rows, in words; None when they can."""

    def epoch_cost(self, job: Job) -> Callable[[Trial], float] | None:
        """How long an epoch of a trial takes beside other trials', told from the trial alone.

        None where rows of one batch must not train side by side, in threads, while others are
        placed and cleared, and where an epoch that is trained again might not come out the same: such
        rows have no checkpoint before it is worth it. The unit is any; what is told orders decisions,
        so it is never measured.
        """

    def open_batch(self, job: Job) -> TrialBatch:
        """Set up `job.rows` empty rows; called once in every worker."""


@runtime_checkable
class StackingTrainer(BatchTrainer, Protocol):
    """One that trains those trials one at a time beside its rows whose steps exceed `Job.most_work`."""

    def step_work(self, job: Job, trial: Trial) -> float:
        """How much a step of a trial computes, told from the trial and its data alone, never measured.

        The larger it is, the less a trial gains from others beside it. 0: it gains always.
        """


Trainer = SessionTrainer | BatchTrainer
"""Says how trials train."""
