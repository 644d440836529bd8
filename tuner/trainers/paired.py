"""PairedTrainer: the trials of one repeat train on one split, those of the next on another.

So that configurations differ in nothing but themselves; how a trial trains is the inner trainer's affair.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tuner.core.dataset import Dataset
from tuner.core.ports import Job, Outcome, Population, Snapshot, Trainer
from tuner.core.seeds import derive
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial


@dataclass(frozen=True)
class PairedTrainer:
    """Any trainer on splits that are drawn anew.

    Attributes:
        inner: trains.
        together: how many trials in a row, by number, share a split.
    """

    inner: Trainer
    together: int

    def faults(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        """As the inner trainer has it."""
        return self.inner.faults(spec, data)

    def unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
        """As the inner trainer has it: trials of one split are fused."""
        return self.inner.unfused(spec, data, device)

    def parks(self, spec: StudySpec) -> bool:
        """As the inner trainer has it."""
        return self.inner.parks(spec)

    def efforts(self, job: Job) -> Callable[[Trial], float] | None:
        """As the inner trainer has it: splits are of one size."""
        return self.inner.efforts(job)

    def populate(self, job: Job) -> Population:
        """The inner trainer's own population where there is nothing to draw from."""
        if job.data is None or job.data.resampling is None:
            return self.inner.populate(job)
        return PairedPopulation(self.inner, job, self.together)


class PairedPopulation:
    """One inner population for each split that trials train on now; drawn when its first trial comes."""

    def __init__(self, inner: Trainer, job: Job, together: int) -> None:
        self._inner, self._job, self._together = inner, job, together
        self._populations: dict[int, Population] = {0: self._populated(0)}
        self._splits: dict[int, int] = {}
        # Rows that train side by side are placed side by side too.
        self._changing = threading.Lock()
        self._capacity = self._populations[0].capacity

    @property
    def capacity(self) -> int:
        """As many as one inner population has."""
        return self._capacity

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        """Start or go on with a trial on its split."""
        split = trial.number // self._together
        with self._changing:
            self._splits[row] = split
            for idle in set(self._populations) - set(self._splits.values()):
                del self._populations[idle]
            if split not in self._populations:
                self._populations[split] = self._populated(split)
            population = self._populations[split]
        population.place(row, trial, snapshot)

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Train occupied rows for one epoch, split by split."""
        outcomes: dict[int, Outcome] = {}
        wanted = sorted(row for row in list(self._splits) if rows is None or row in rows)
        for split in sorted({self._splits[row] for row in wanted}):
            its_rows = [row for row in wanted if self._splits[row] == split]
            outcomes |= self._populations[split].advance(its_rows)
        return outcomes

    def save(self, row: int, folder: Path) -> bool:
        """Write the best epoch's model."""
        return row in self._splits and self._populations[self._splits[row]].save(row, folder)

    def snapshot(self, row: int) -> Snapshot | None:
        """The row's state; its split follows from the trial's number."""
        return self._populations[self._splits[row]].snapshot(row) if row in self._splits else None

    def clear(self, row: int) -> None:
        """Empty the row."""
        with self._changing:
            population = self._populations[self._splits.pop(row)] if row in self._splits else None
        if population is not None:
            population.clear(row)

    def _populated(self, split: int) -> Population:
        job = self._job
        if job.data is None or job.data.resampling is None:
            return self._inner.populate(job)
        seed = derive(job.spec.search.seed, split, "split")
        return self._inner.populate(replace(job, data=job.data.resampling.draw(seed)))
