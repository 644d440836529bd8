"""Members: a trial trains once per fold and repeat, side by side, and reports the mean.

`open_batch` is how executors set up any trainer: fused where the study allows it, else as sessions,
and with the rows of a trial's members put together where it has several.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from tuner.artifacts import DESCRIPTION, MEMBERS
from tuner.core.dataset import Dataset
from tuner.core.job import Job, Resources
from tuner.core.spec import StudySpec
from tuner.core.training import (
    BatchTrainer,
    Exhausted,
    Failure,
    Outcome,
    SessionTrainer,
    Snapshot,
    Trainer,
    TrialBatch,
)
from tuner.core.trial import Reading, Stop, Trial
from tuner.errors import described
from tuner.trainers.model import describe, write_description
from tuner.trainers.sessions import SessionBatch
from tuner.trainers.state import reading_of, reading_table

_SPREAD = ("val_loss", "val_score", "gap")
"""Numbers whose standard errors are reported, beside the objectives'."""


def validate(trainer: Trainer, spec: StudySpec, data: Dataset | None) -> list[str]:
    """What in the spec or the data cannot be trained, ``key: what; what to do`` each."""
    found = list(trainer.validate(spec, data))
    if spec.trainer.world_size != 1 and not getattr(trainer, "takes_ranks", False):
        found.append(
            f"trainer.world_size: the trainer {spec.trainer.use!r} trains in one process; drop it, or give a "
            "trainer with takes_ranks = True"
        )
    if data is None and spec.data is not None:
        if (spec.data.folds or 1) > 1:
            found.append("data.folds: there is no data to be folded; give [data] source or drop it")
        if spec.data.reshuffle:
            found.append("data.reshuffle: there is no data to be split; give [data] source or drop it")
    return found


def why_unfused(trainer: Trainer, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
    """Why a study's trials train one at a time, in words; None when they can be fused."""
    if (size := spec.trainer.world_size) != 1:
        return "each on one or several processes" if size == "auto" else f"each on {size} processes"
    if not isinstance(trainer, BatchTrainer):
        return f"the trainer {spec.trainer.use!r} does not fuse trials"
    why = trainer.why_unfused(spec, data, device)
    reshuffles = spec.data is not None and spec.data.reshuffle
    if why is None and reshuffles and trainer.epoch_cost(Job(spec, data, 2, Resources((device,)))) is None:
        # Rows that train side by side would need the same data.
        why = "data.reshuffle gives every trial a split of its own"
    return why


def epoch_cost(trainer: Trainer, job: Job) -> Callable[[Trial], float] | None:
    """See `BatchTrainer.epoch_cost`: the sum over a trial's members."""
    each = trainer.epoch_cost(job) if isinstance(trainer, BatchTrainer) else None
    if each is None:
        return None
    return lambda trial: sum(each(member) for member in job.members(trial))


def open_batch(trainer: Trainer, job: Job, make: Callable[[], Trainer] | None = None) -> TrialBatch:
    """Set up a worker's empty rows: fused ones where more than one is asked for and the study allows it.

    Args:
        trainer: what trains.
        job: where several processes train a trial together, there is one row.
        make: makes the trainer in other processes; they are sent the trainer itself where it is left out.

    Raises:
        DataError: the study wants other splits of data that was loaded without a way to them.
        DeviceError: the device is not there.
    """
    job.require_divisible()
    if job.resources.world_size > 1 and job.resources.rank is None:
        from tuner.trainers.group.batch import GroupBatch

        return GroupBatch(make or (lambda: trainer), job)
    members = job.folds * job.repeats
    fused = _fusing(trainer, job)
    if fused is not None:
        batch = fused.open_batch(replace(job, rows=members * job.rows))
    else:
        batch = SessionBatch(cast("SessionTrainer", trainer), replace(job, rows=members))
    return batch if members == 1 else MeanBatch(batch, job)


def _fusing(trainer: Trainer, job: Job) -> BatchTrainer | None:
    """The trainer, where it trains the job's trials as rows."""
    if not isinstance(trainer, BatchTrainer):
        return None
    if not hasattr(trainer, "start"):
        return trainer
    is_fused = job.rows > 1 and why_unfused(trainer, job.spec, job.data, job.resources.device) is None
    return trainer if is_fused else None


@dataclass(slots=True)
class _MeanTrial:
    """The best epoch of a trial's means so far, and what went wrong with it."""

    best: Reading | None = None
    failure: Failure | None = None


class MeanBatch:
    """Rows of trials over the rows of their members, which train in lockstep; a `TrialBatch`.

    An epoch of a trial takes as long as one of all members. A trial's members are its row's alone, so
    rows may train in several threads where the members' may.
    """

    def __init__(self, batch: TrialBatch, job: Job) -> None:
        """Take over the empty rows of a batch of members."""
        self._batch, self._job = batch, job
        self._count = job.folds * job.repeats
        self._objective = job.spec.primary_objective()
        self._spread = (*_SPREAD, job.spec.objective.metric, *job.spec.objective.also)
        self._placed: dict[int, _MeanTrial] = {}

    @property
    def capacity(self) -> int:
        """How many trials there is room for."""
        return self._batch.capacity // self._count

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        """Place all members of a trial."""
        if not 0 <= row < self.capacity or row in self._placed:
            raise ValueError(f"row {row} is not an empty row of this batch")
        placed = self._placed[row] = _MeanTrial()
        try:
            parts = _parted(snapshot, self._count)
            if snapshot is not None:
                placed.best = reading_of(snapshot.facts["best"])
        except (KeyError, IndexError, ValueError) as error:
            told = f"its checkpoint is of other members: {described(error)}"
            placed.failure = replace(Failure.of(error), error=told)
            return
        for inner, member, part in zip(self._inner(row), self._job.members(trial), parts, strict=True):
            self._batch.place(inner, member, part)

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Train all members of trials for one epoch.

        Returns:
            One outcome per trial: the means of its members' readings, `seconds` their sum, and as
            extras ``val_loss_se``, ``val_score_se``, ``gap_se`` and the objectives': the standard
            error of the mean, s / sqrt(M) of M members. Members of one fold, and folds that share
            training rows, are not independent, so it is rather too small.
        """
        chosen = [row for row in sorted(self._placed) if rows is None or row in rows]
        training = [inner for row in chosen if not self._placed[row].failure for inner in self._inner(row)]
        found = self._batch.advance(training) if training else {}
        return {row: self._outcome(row, found) for row in chosen}

    def save(self, row: int, folder: Path) -> bool:
        """Write the model of each member's own best epoch: member 0's here, the others below `MEMBERS`.

        Returns:
            Whether member 0 had anything to write.
        """
        if row not in self._placed or not self._save(row, 0, folder):
            return False
        for index in range(1, self._count):
            place = folder / MEMBERS / str(index)
            place.mkdir(parents=True)
            if not self._save(row, index, place):
                place.rmdir()
        return True

    def snapshot(self, row: int) -> Snapshot | None:
        """The states of all members; None where one of them has none."""
        placed = self._placed.get(row)
        if placed is None or placed.failure is not None:
            return None
        parts = [self._batch.snapshot(inner) for inner in self._inner(row)]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        arrays = {f"{i}/{name}": array for i, part in enumerate(known) for name, array in part.arrays.items()}
        facts = {"members": [dict(part.facts) for part in known], "best": reading_table(placed.best)}
        return Snapshot(known[0].epoch, arrays, facts)

    def clear(self, row: int) -> None:
        """Empty the rows of all members."""
        self._placed.pop(row, None)
        for inner in self._inner(row):
            self._batch.clear(inner)

    def _inner(self, row: int) -> range:
        """The members' rows."""
        return range(row * self._count, (row + 1) * self._count)

    def _outcome(self, row: int, found: Mapping[int, Outcome]) -> Outcome:
        placed = self._placed[row]
        if placed.failure is not None:
            return placed.failure
        readings: list[Reading] = []
        for index, inner in enumerate(self._inner(row)):
            outcome = found[inner]
            if isinstance(outcome, Failure):
                placed.failure = replace(outcome, error=f"{self._told(index)}: {outcome.error}")
                return placed.failure
            if isinstance(outcome, Stop):
                return outcome
            if isinstance(outcome, Reading):
                readings.append(outcome)
        if len(readings) < self._count:
            return Exhausted()
        reading = mean(readings, self._spread)
        if self._objective.prefers(reading, placed.best):
            placed.best = reading
        return reading

    def _save(self, row: int, index: int, folder: Path) -> bool:
        """Write a member's model, and of which mean it is a part into its description."""
        best, repeats = self._placed[row].best, self._job.repeats
        if not self._batch.save(self._inner(row)[index], folder):
            return False
        if (folder / DESCRIPTION).is_file():
            member = {
                "index": index,
                "fold": index // repeats,
                "repeat": index % repeats,
                "folds": self._job.folds,
                "repeats": repeats,
                "mean": best and {"epoch": best.epoch, self._objective.metric: self._objective.of(best)},
            }
            write_description(folder, describe(folder) | {"member": member})
        return True

    def _told(self, index: int) -> str:
        fold, repeat = divmod(index, self._job.repeats)
        parts = [("fold", fold, self._job.folds), ("repeat", repeat, self._job.repeats)]
        return ", ".join(f"{name} {number + 1} of {count}" for name, number, count in parts if count > 1)


def mean(readings: Sequence[Reading], spread: Iterable[str] = ()) -> Reading:
    """The mean of readings of one epoch, number by number, and extra by extra that all of them have.

    Args:
        readings: of the members.
        spread: numbers whose standard errors become extras, ``<name>_se`` each, where it is finite.

    Returns:
        With the sum of the seconds; a number is `nan` or `inf` where a member's is.
    """
    numbers = {
        name: _mean([getattr(r, name) for r in readings])
        for name in ("train_loss", "val_loss", "train_score", "val_score", "learning_rate", "grad_norm")
    }
    extras = {
        name: _mean([r.extras[name] for r in readings])
        for name in readings[0].extras
        if all(name in r.extras for r in readings)
    }
    errors = {f"{name}_se": _error([r.get(name) for r in readings]) for name in spread}
    extras |= {name: error for name, error in errors.items() if math.isfinite(error)}
    return Reading(
        readings[0].epoch,
        **numbers,
        seconds=sum(r.seconds for r in readings),
        extras=extras,
        is_last=any(r.is_last for r in readings),
        asked={name: table for r in readings for name, table in r.asked.items()},
    )


def _mean(values: Sequence[float]) -> float:
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.mean(values))


def _error(values: Sequence[float]) -> float:
    """Standard error of the mean, from the sample variance; `nan` of a single value."""
    if len(values) < 2:
        return math.nan
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def _parted(snapshot: Snapshot | None, count: int) -> list[Snapshot | None]:
    """The members' snapshots of a trial's."""
    if snapshot is None:
        return [None] * count
    arrays: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, array in snapshot.arrays.items():
        index, _, own = name.partition("/")
        arrays[int(index)][own] = array
    facts = snapshot.facts["members"]
    return [Snapshot(snapshot.epoch, arrays[i], facts[i]) for i in range(count)]
