"""A trainer of one's own that knows less than the ports of `core.ports`, as if it knew them.

Its trials cannot be kept, so those that were interrupted start again; how it trains is not known here.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner.core.dataset import Dataset
from tuner.core.ports import Job, Outcome, Population, Snapshot, Trainer
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial

logger = logging.getLogger(__name__)


class AdaptedTrainer:
    """A trainer without `parks`, or one whose population may turn out to be without `snapshot`.

    Attributes:
        trainer: the adapted one.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def faults(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        """See `Trainer.faults`."""
        found: Sequence[str] = self.trainer.faults(spec, data)
        return found

    def unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
        """See `Trainer.unfused`."""
        found: str | None = self.trainer.unfused(spec, data, device)
        return found

    def parks(self, spec: StudySpec) -> bool:
        """What the trainer says; False where it cannot say."""
        return bool(self.trainer.parks(spec)) if hasattr(self.trainer, "parks") else False

    def efforts(self, job: Job) -> Callable[[Trial], float] | None:
        """What the trainer says; None where it cannot say."""
        found: Callable[[Trial], float] | None = None
        if hasattr(self.trainer, "efforts"):
            found = self.trainer.efforts(job)
        return found

    def populate(self, job: Job) -> Population:
        """The trainer's population, adapted where it has to be."""
        population: Any = self.trainer.populate(job)
        if (
            _takes(population.place, "snapshot")
            and _takes(population.advance, "rows")
            and hasattr(population, "snapshot")
        ):
            whole: Population = population
            return whole
        return AdaptedPopulation(population)


class AdaptedPopulation:
    """A population that lacks `snapshot`, or `place` and `advance` with today's arguments.

    Where `advance` cannot train some rows and leave others, there is one row.
    """

    def __init__(self, population: Any) -> None:
        self._population = population
        self._by_rows = _takes(population.advance, "rows")
        self._keeps = hasattr(population, "snapshot") and _takes(population.place, "snapshot")
        if not self._by_rows and population.capacity > 1:
            logger.warning(
                "%s trains one trial at a time: its advance() takes no rows; write advance(self, rows=None)",
                type(population).__name__,
            )

    @property
    def capacity(self) -> int:
        """How many rows there are."""
        return int(self._population.capacity) if self._by_rows else min(1, self._population.capacity)

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        """Start a trial; one with a snapshot is known to be of a population that takes it."""
        if snapshot is None:
            self._population.place(row, trial)
        else:
            self._population.place(row, trial, snapshot)

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """See `Population.advance`."""
        found: Mapping[int, Outcome] = {}
        if rows is None:
            found = self._population.advance()
        elif self._by_rows:
            found = self._population.advance(rows)
        elif 0 in rows:
            found = self._population.advance()
        return found

    def save(self, row: int, folder: Path) -> bool:
        """See `Population.save`."""
        return bool(self._population.save(row, folder))

    def snapshot(self, row: int) -> Snapshot | None:
        """None where the population could not take it back."""
        found: Snapshot | None = self._population.snapshot(row) if self._keeps else None
        return found

    def clear(self, row: int) -> None:
        """See `Population.clear`."""
        self._population.clear(row)


def adapted(trainer: Any) -> Trainer:
    """The trainer as `core.ports` has it; a shipped one is that already."""
    if type(trainer).__module__.startswith("tuner.trainers."):
        shipped: Trainer = trainer
        return shipped
    return AdaptedTrainer(trainer)


def _takes(method: Callable[..., Any], name: str) -> bool:
    """Whether a method has a parameter of that name, or takes whatever comes."""
    parameters = inspect.signature(method).parameters.values()
    return any(p.name == name or p.kind is p.VAR_KEYWORD for p in parameters)
