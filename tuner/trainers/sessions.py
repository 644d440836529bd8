"""SessionBatch: rows that hold one `TrialSession` each, so that executors see a batch of any trainer."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tuner.core.job import Job
from tuner.core.training import Failure, Outcome, SessionTrainer, Snapshot, TrialSession
from tuner.core.trial import Trial
from tuner.trainers.row_batch import RowBatch, close


class SessionBatch(RowBatch[TrialSession]):
    """Trains its rows one after another, in the thread that calls it; a `TrialBatch`."""

    def __init__(self, trainer: SessionTrainer, job: Job) -> None:
        super().__init__(job)
        self._trainer = trainer

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Train one epoch of each row."""
        return {
            row: placed if isinstance(placed, Failure) else self._advanced(row, placed)
            for row, placed in sorted(self._rows.items())
            if rows is None or row in rows
        }

    def clear(self, row: int) -> None:
        """Close the row's session."""
        session = self._placed(row)
        super().clear(row)
        if session is not None:
            close(session)

    def begin(self, trial: Trial, snapshot: Snapshot | None) -> TrialSession:
        """See `RowBatch`."""
        return self._trainer.start(self._job, trial, snapshot)
