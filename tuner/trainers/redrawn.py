"""RedrawnTrainer: every trial trains and is judged on a split of its own.

Another trainer trains the trials; how rows are divided is not known here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from tuner.core.dataset import Dataset, Resampling
from tuner.core.ports import Failure, Job, Outcome, Population, Snapshot, Trainer
from tuner.core.seeds import derive
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial
from tuner.errors import DataError, first_line

SPLITS = 16
"""Splits that are kept in memory for trials that share one."""


def own_split(trial: Trial) -> int:
    """The seed of a split that no other trial has; the same one whenever the trial goes on."""
    return derive(trial.study_seed, trial.number, "split")


class RedrawnTrainer:
    """Draws a training and a validation split for every trial, and lets another trainer train on it.

    A population holds a copy of the rows for each trial in it, and up to `SPLITS` more. To divide, scale
    and set up anew costs about as much as two epochs of a small network.

    Attributes:
        trainer: trains the trials.
        seed: of a trial's split; trials with the same one share it. Can be sent to other processes.
    """

    def __init__(self, trainer: Trainer, seed: Callable[[Trial], int] = own_split) -> None:
        self.trainer, self.seed = trainer, seed

    def faults(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        """What the trainer finds on the study's own split, and a missing one."""
        found = list(self.trainer.faults(spec, data))
        if data is None:
            found.append("data.reshuffle: there is no data to be split; give [data] source or drop it")
        return found

    def unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
        """Why trials train one at a time: also where rows side by side would need the same data."""
        why = self.trainer.unfused(spec, data, device)
        if why is None and self.efforts(Job(spec, data, device, rows=2)) is None:
            why = "data.reshuffle gives every trial a split of its own"
        return why

    def parks(self, spec: StudySpec) -> bool:
        """What the trainer says."""
        return self.trainer.parks(spec)

    def efforts(self, job: Job) -> Callable[[Trial], float] | None:
        """What the trainer says: rows that may train side by side in threads may have data of their own."""
        return self.trainer.efforts(job)

    def populate(self, job: Job) -> Population:
        """Set up empty rows; each becomes a population of its own when a trial is placed.

        Raises:
            DataError: the job's data cannot be divided otherwise.
        """
        if job.data is None or job.data.resampling is None:
            raise DataError(
                "data.reshuffle: there are no open rows to be divided; load the data with resampling"
            )
        alone = self.efforts(job) is None
        return RedrawnPopulation(self, job, job.data.resampling, 1 if alone else job.rows)


class RedrawnPopulation:
    """Rows that are populations of one trial each."""

    def __init__(self, trainer: RedrawnTrainer, job: Job, resampling: Resampling, capacity: int) -> None:
        self._trainer = trainer
        # Of a trainer that fuses, two rows are needed for the first to train as fused ones do.
        self._job = replace(job, rows=min(job.rows, 2))
        self._draw = lru_cache(SPLITS)(resampling.draw)
        self._rows: dict[int, Population | Failure] = {}
        self._drawing = threading.Lock()
        self._pool = ThreadPoolExecutor(job.threads) if min(job.threads, capacity) > 1 else None
        self.capacity = capacity

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        """Draw the trial's split, and set up a population on it.

        What goes wrong with it is the next `advance`'s Failure.
        """
        if not 0 <= row < self.capacity or row in self._rows:
            raise ValueError(f"row {row} is not an empty row of this population")
        try:
            with self._drawing:
                self._rows[row] = self._placed(trial, snapshot)
        except DataError as error:
            told = f"its split cannot be trained on: {first_line(error)}"
            self._rows[row] = replace(Failure.of(error), error=told)

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Train trials for one epoch; several at a time where the trainer allows it."""
        chosen = [row for row in sorted(self._rows) if rows is None or row in rows]
        if self._pool is None or len(chosen) == 1:
            return {row: self._advanced(row) for row in chosen}
        return dict(zip(chosen, self._pool.map(self._advanced, chosen), strict=True))

    def save(self, row: int, folder: Path) -> bool:
        """See `Population.save`."""
        population = self._rows.get(row)
        return not isinstance(population, Failure | None) and population.save(0, folder)

    def snapshot(self, row: int) -> Snapshot | None:
        """See `Population.snapshot`."""
        population = self._rows.get(row)
        return None if isinstance(population, Failure | None) else population.snapshot(0)

    def clear(self, row: int) -> None:
        """Empty the row's population and drop it."""
        population = self._rows.pop(row, None)
        if not isinstance(population, Failure | None):
            population.clear(0)

    def _placed(self, trial: Trial, snapshot: Snapshot | None) -> Population:
        population = self._trainer.trainer.populate(
            replace(self._job, data=self._draw(self._trainer.seed(trial)))
        )
        if snapshot is None:
            population.place(0, trial)
        else:
            population.place(0, trial, snapshot)
        return population

    def _advanced(self, row: int) -> Outcome:
        population = self._rows[row]
        return population if isinstance(population, Failure) else population.advance([0])[0]
