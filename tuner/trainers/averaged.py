"""AveragedTrainer: every trial trains once per fold and repeat, side by side, and reports the mean.

Another trainer trains the members; how, and how rows became folds, is not known here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tuner.artifacts import DESCRIPTION
from tuner.core.dataset import Dataset
from tuner.core.ports import Exhausted, Failure, Job, Outcome, Population, Snapshot, Trainer
from tuner.core.seeds import derive
from tuner.core.spec import StudySpec
from tuner.core.trial import Objective, Reading, Trial
from tuner.errors import DataError, described
from tuner.trainers.state import reading_of, reading_table

MEMBERS = "members"
"""The folder, in that of a trial's model, in which member 3's model is the folder ``3``."""

_SPREAD = ("val_loss", "val_score", "gap")
"""Numbers whose standard errors are reported, beside the objectives'."""


class AveragedTrainer:
    """Trains every trial as ``folds * repeats`` members by another trainer.

    A population needs the memory of so many times its rows, and a copy of the rows for each fold;
    an epoch of a trial takes as long as one of all members.

    Attributes:
        trainer: trains the members.
        folds: of cross-validation; 1: the data as it is divided already.
        repeats: seeds that each fold is trained with.
    """

    def __init__(self, trainer: Trainer, folds: int = 1, repeats: int = 1) -> None:
        self.trainer, self.folds, self.repeats = trainer, folds, repeats

    def faults(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        """What the members' trainer finds, and folds without data."""
        found = list(self.trainer.faults(spec, data))
        if self.folds > 1 and data is None:
            found.append("data.folds: there is no data to be folded; give [data] source or drop it")
        return found

    def unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
        """What the members' trainer says."""
        return self.trainer.unfused(spec, data, device)

    def parks(self, spec: StudySpec) -> bool:
        """What the members' trainer says."""
        return self.trainer.parks(spec)

    def efforts(self, job: Job) -> Callable[[Trial], float] | None:
        """The sum over the members; None where they must not train side by side, in threads."""
        each = [self.trainer.efforts(self._of(job, fold)) for fold in self._data(job)]
        known = [effort for effort in each if effort is not None]
        if len(known) < len(each):
            return None
        return lambda trial: self.repeats * sum(effort(trial) for effort in known)

    def populate(self, job: Job) -> Population:
        """Set up a population of members for each fold; several where one holds too few.

        Raises:
            DataError: the job's data cannot be folded.
        """
        slots: list[list[_Slot]] = []
        rows = job.rows
        for fold in self._data(job):
            inner = self._of(job, fold)
            populations = [self.trainer.populate(inner)]
            held = populations[0].capacity
            rows = min(rows, max(1, held // self.repeats))
            populations += [
                self.trainer.populate(inner) for _ in range(math.ceil(self.repeats / max(1, held)) - 1)
            ]
            slots.append([_Slot(p, row) for p in populations for row in range(p.capacity)])
        members = [
            [slot for fold in slots for slot in fold[row * self.repeats : (row + 1) * self.repeats]]
            for row in range(rows)
        ]
        spread = (*_SPREAD, job.spec.objective.metric, *job.spec.objective.also)
        return AveragedPopulation(members, self.folds, self.repeats, job.spec.goal(), spread)

    def _of(self, job: Job, data: Dataset | None) -> Job:
        return replace(job, data=data, rows=job.rows * self.repeats if job.rows > 1 else 1)

    def _data(self, job: Job) -> Sequence[Dataset | None]:
        if self.folds == 1:
            return [job.data]
        if job.data is None or job.data.resampling is None:
            raise DataError("data.folds: there are no open rows to be folded; load the data with resampling")
        return job.data.resampling.folds(self.folds)


@dataclass(frozen=True, slots=True, eq=False)
class _Slot:
    """A row of a population of members; two are the same only if they are one."""

    population: Population
    row: int


@dataclass(slots=True)
class _Placed:
    """A trial and the best epoch of its means so far."""

    trial: Trial
    best: Reading | None = None
    failure: Failure | None = None


class AveragedPopulation:
    """Rows of members, which train in lockstep, each with a seed of its own.

    Repeat 0 has the trial's own seed, the others have seeds derived from it; the folds of a repeat
    share one. A trial's members are its row's alone, so rows may train in several threads where the
    members' may.
    """

    def __init__(
        self,
        members: Sequence[Sequence[_Slot]],
        folds: int,
        repeats: int,
        goal: Objective,
        spread: Collection[str],
    ) -> None:
        self._members, self._folds, self._repeats = members, folds, repeats
        self._goal, self._spread = goal, spread
        self._placed: dict[int, _Placed] = {}
        populations = {id(slot.population): slot.population for row in members for slot in row}
        self._populations = list(populations.values())

    @property
    def capacity(self) -> int:
        """How many trials there is room for."""
        return len(self._members)

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        """Place all members of a trial."""
        if row in self._placed:
            raise ValueError(f"row {row} is not an empty row of this population")
        placed = self._placed[row] = _Placed(trial)
        try:
            parts = _parted(snapshot, len(self._members[row]))
            if snapshot is not None:
                placed.best = reading_of(snapshot.facts["best"])
        except (KeyError, IndexError, ValueError) as error:
            told = f"its checkpoint is of other members: {described(error)}"
            placed.failure = replace(Failure.of(error), error=told)
            return
        for index, (slot, part) in enumerate(zip(self._members[row], parts, strict=True)):
            member = replace(trial, study_seed=self._seed(trial, index % self._repeats))
            if part is None:
                slot.population.place(slot.row, member)
            else:
                slot.population.place(slot.row, member, part)

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Train all members of trials for one epoch.

        Returns:
            One outcome per trial: the means of its members' readings, `seconds` their sum, and as
            extras ``val_loss_se``, ``val_score_se``, ``gap_se`` and the objectives': the standard
            error of the mean, s / sqrt(M) of M members. Members of one fold, and folds that share
            training rows, are not independent, so it is rather too small.
        """
        chosen = [row for row in sorted(self._placed) if rows is None or row in rows]
        training = [row for row in chosen if self._placed[row].failure is None]
        found: dict[_Slot, Outcome] = {}
        for population in self._populations:
            mine = [slot for row in training for slot in self._members[row] if slot.population is population]
            if mine:
                outcomes = population.advance([slot.row for slot in mine])
                found |= {slot: outcomes[slot.row] for slot in mine}
        return {row: self._outcome(row, found) for row in chosen}

    def save(self, row: int, folder: Path) -> bool:
        """Write the model of each member's own best epoch: member 0's here, the others below `MEMBERS`.

        Returns:
            Whether member 0 had anything to write.
        """
        if row not in self._placed or not self._save(row, 0, folder):
            return False
        for index in range(1, len(self._members[row])):
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
        parts = [slot.population.snapshot(slot.row) for slot in self._members[row]]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        arrays = {f"{i}/{name}": array for i, part in enumerate(known) for name, array in part.arrays.items()}
        facts = {"members": [dict(part.facts) for part in known], "best": reading_table(placed.best)}
        return Snapshot(known[0].epoch, arrays, facts)

    def clear(self, row: int) -> None:
        """Empty the rows of all members."""
        self._placed.pop(row, None)
        for slot in self._members[row]:
            slot.population.clear(slot.row)

    def _outcome(self, row: int, found: Mapping[_Slot, Outcome]) -> Outcome:
        placed = self._placed[row]
        if placed.failure is not None:
            return placed.failure
        readings: list[Reading] = []
        outcomes = [found[slot] for slot in self._members[row]]
        for index, outcome in enumerate(outcomes):
            if isinstance(outcome, Failure):
                placed.failure = replace(outcome, error=f"{self._told(index)}: {outcome.error}")
                return placed.failure
            if isinstance(outcome, Reading):
                readings.append(outcome)
        if len(readings) < len(outcomes):
            return Exhausted()
        reading = mean(readings, self._spread)
        placed.best = self._goal.best([r for r in (placed.best, reading) if r is not None])
        return reading

    def _save(self, row: int, index: int, folder: Path) -> bool:
        """Write a member's model, and of which mean it is a part into its description."""
        slot, best = self._members[row][index], self._placed[row].best
        if not slot.population.save(slot.row, folder):
            return False
        path = folder / DESCRIPTION
        if path.is_file():
            table = json.loads(path.read_text(encoding="utf-8"))
            table["member"] = {
                "index": index,
                "fold": index // self._repeats,
                "repeat": index % self._repeats,
                "folds": self._folds,
                "repeats": self._repeats,
                "mean": {"epoch": best.epoch, self._goal.metric: self._goal.of(best)} if best else None,
            }
            path.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
        return True

    def _told(self, index: int) -> str:
        fold, repeat = divmod(index, self._repeats)
        parts = [("fold", fold, self._folds), ("repeat", repeat, self._repeats)]
        return ", ".join(f"{name} {number + 1} of {count}" for name, number, count in parts if count > 1)

    def _seed(self, trial: Trial, repeat: int) -> int:
        return trial.study_seed if repeat == 0 else derive(trial.study_seed, repeat, "repeat")


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
