"""MixedBatch: rows of `mlp`, each compiled where its trial can be, and else beside those that are like it.

A study's space may hold settings that are not compiled; the trials that have none of them lose nothing by it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.core.job import Job
from tuner.core.training import Outcome, Snapshot, TrialBatch
from tuner.core.trial import Trial
from tuner.trainers.torch.compilable import why_not_compiled
from tuner.trainers.torch.fused import FusedBatch

if TYPE_CHECKING:
    from tuner.trainers.torch.stacked import StackedBatch


class MixedBatch:
    """`job.rows` rows. A trial's numbers are those of the batch that its row is in."""

    def __init__(self, job: Job) -> None:
        self._job, self._compiled = job, FusedBatch(job)
        self._batches: dict[int, TrialBatch] = {}

    @property
    def capacity(self) -> int:
        """How many rows there are."""
        return self._job.rows

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        """Place a trial where it trains; what it stopped as, it goes on as."""
        is_compiled = self._job.data is None or why_not_compiled(trial, self._job.data) is None
        if snapshot is not None:
            is_compiled = is_compiled and FusedBatch.wrote(snapshot)
        batch: TrialBatch = self._compiled if is_compiled else self._stack
        if row in self._batches:
            raise ValueError(f"row {row} is not an empty row of this batch")
        batch.place(row, trial, snapshot)
        self._batches[row] = batch

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Train every occupied row, or those of `rows`, for one epoch."""
        outcomes: dict[int, Outcome] = {}
        for batch in dict.fromkeys(self._batches.values()):
            own = [row for row, of in self._batches.items() if of is batch and (rows is None or row in rows)]
            outcomes |= batch.advance(own) if own else {}
        return outcomes

    def save(self, row: int, folder: Path) -> bool:
        """Write the best epoch's model, see `model.write`; False before the first finite value."""
        return row in self._batches and self._batches[row].save(row, folder)

    def snapshot(self, row: int) -> Snapshot | None:
        """The row's state; None of a row that is empty or failed."""
        return self._batches[row].snapshot(row) if row in self._batches else None

    def clear(self, row: int) -> None:
        """Empty the row."""
        if row in self._batches:
            self._batches.pop(row).clear(row)

    @cached_property
    def _stack(self) -> StackedBatch:
        from tuner.trainers.torch.stacked import StackedBatch

        return StackedBatch(self._job)
