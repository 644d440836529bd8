"""Evidence: a study as columns, what every finding looks at.

Knows no database. Columns are numpy arrays; `nan` and `""` stand for "none", and `nan` also for
numbers that are not finite or beyond 1e100.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tuner.core.baseline import Baseline
from tuner.core.columns import numbers, param_columns
from tuner.core.goals import Goals
from tuner.core.importances import Importances
from tuner.core.space import Choice, Int, SearchSpace
from tuner.core.trial import Objective, Reading, TrialRecord, TrialState

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LEADERS = 5
"""At least so many of the best trials are looked at beside each other: one alone may be luck."""

MOST_LEADERS = 20
"""And at most so many: of a large study the best tenth, but no crowd."""

FEW_VALUES = 16
"""A parameter of at most so many values is looked at value by value."""


@dataclass(frozen=True)
class Curve:
    """What is left of a trial's curve where all three numbers are measured; E epochs.

    Attributes:
        epoch: (E,) 1 for the first.
        train_loss: (E,) all `nan` where the trainer reports none.
        val_loss: (E,) likewise.
        loss: (E,) the objective's metric, so signed that less is better.
    """

    epoch: Ints
    train_loss: Floats
    val_loss: Floats
    loss: Floats


@dataclass(frozen=True)
class Curves:
    """A row per reading, sorted by trial and epoch; E rows.

    Attributes:
        row: (E,) the trial's row in `Evidence`, not its number.
        epoch: (E,) 1 for the first.
        train_loss: (E,) see `Reading`.
        val_loss: (E,) likewise.
        value: (E,) the objective's metric.
    """

    row: Ints
    epoch: Ints
    train_loss: Floats
    val_loss: Floats
    value: Floats


@dataclass(frozen=True)
class Evidence:
    """A study as columns; N trials in the order of their numbers.

    Attributes:
        space: what was searched.
        objective: what for.
        planned: epochs of a trial that nothing stops.
        number: (N,) trial numbers; 0 is the default configuration.
        state: (N,) values of `TrialState`.
        value: (N,) the best epoch's metric so far.
        conclusive: (N,) whether the value stands; see `Stop.conclusive`.
        rule: (N,) what stopped it.
        gap: (N,) val_loss - train_loss at the best epoch.
        violation: (N,) by how much the best epoch violates the constraints; see `Goals.violation`.
        epochs: (N,) epochs trained.
        params: per searched parameter a column (N,): numbers with `nan`, or choices as text with
            `""`, where it is not active.
        curves: readings, at least those of the trials that `telling` names.
        importances: which parameters mattered, by what they explain, ``"value"`` and ``"gap"``.
        spread: standard deviation of the metric from seed to seed, as `tune confirm` measured it when
            it trained the best few again; None where it did not.
        is_confirmed: whether it did; which trial to take is then told by the verdict.
        score: (N,) the best epoch's validation score; `nan` where none is measured.
        baseline: what a constant prediction comes to; None where it is not known.
        ends: by row, the first and the last reading of the trials that `telling` names.
    """

    space: SearchSpace
    objective: Objective
    planned: int
    number: Ints
    state: NDArray[Any]
    value: Floats
    conclusive: Bools
    rule: NDArray[Any]
    gap: Floats
    violation: Floats
    epochs: Ints
    params: Mapping[str, NDArray[Any]]
    curves: Curves
    importances: Mapping[str, Importances] = field(default_factory=dict)
    spread: float | None = None
    is_confirmed: bool = False
    score: Floats = field(default_factory=lambda: np.empty(0))
    baseline: Baseline | None = None
    ends: Mapping[int, tuple[Reading, Reading]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        records: Sequence[TrialRecord],
        curves: Mapping[int, Sequence[Reading]],
        space: SearchSpace,
        goal: Objective | Goals,
        epochs: int,
        importances: Mapping[str, Importances] | None = None,
        spread: float | None = None,
        baseline: Baseline | None = None,
    ) -> Self:
        """Evidence from core's values.

        Args:
            records: every trial, in any order.
            curves: readings by trial number; see `telling` for those that are needed.
            space: what was searched.
            goal: what for.
            epochs: see `planned`.
            importances: see `importances`; what is not known is left out.
            spread: see `spread`.
            baseline: see `baseline`.
        """
        goals = Goals.of(goal)
        records = sorted(records, key=lambda record: record.number)
        read = [
            (row, reading)
            for row, record in enumerate(records)
            for reading in sorted(curves.get(record.number, ()), key=lambda reading: reading.epoch)
        ]
        return cls(
            space=space,
            objective=goals.primary,
            planned=epochs,
            number=np.array([record.number for record in records], np.int64),
            state=np.array([record.state.value for record in records], dtype=object),
            value=numbers([None if r.value is None else goals.primary.counted(r.value) for r in records]),
            conclusive=np.array([record.conclusive for record in records], np.bool_),
            rule=np.array([record.rule or "" for record in records], dtype=object),
            gap=numbers([record.best.gap if record.best else None for record in records]),
            violation=np.array([goals.violation(record.best) for record in records], np.float64),
            epochs=np.array([record.epochs for record in records], np.int64),
            params=param_columns(space, [record.params for record in records]),
            curves=Curves(
                row=np.array([row for row, _ in read], np.int64),
                epoch=np.array([reading.epoch for _, reading in read], np.int64),
                train_loss=numbers([reading.train_loss for _, reading in read]),
                val_loss=numbers([reading.val_loss for _, reading in read]),
                value=numbers([goals.primary.of(reading) for _, reading in read]),
            ),
            importances=importances or {},
            spread=spread,
            score=numbers([record.best.val_score if record.best else None for record in records]),
            baseline=baseline,
            ends={
                row: (min(curve, key=_epoch), max(curve, key=_epoch))
                for row, record in enumerate(records)
                if (curve := curves.get(record.number))
            },
        )

    def __len__(self) -> int:
        return len(self.number)

    @property
    def metric(self) -> str:
        """The objective's metric."""
        return self.objective.metric

    def is_(self, *states: TrialState) -> Bools:
        """(N,) which trials are in one of these states."""
        return np.isin(self.state, [state.value for state in states])

    @cached_property
    def loss(self) -> Floats:
        """(N,) the value so signed that less of it is better."""
        return self.value if self.objective.minimize else -self.value

    @cached_property
    def valued(self) -> Bools:
        """(N,) which trials have a value and have not failed."""
        return np.isfinite(self.value) & ~self.is_(TrialState.FAILED)

    @cached_property
    def standing(self) -> Bools:
        """(N,) which trials' values stand beside each other.

        Those cut short are not among them, nor those that violate a constraint unless all do.
        """
        standing = self.valued & self.conclusive
        feasible = standing & (self.violation == 0)
        return feasible if feasible.any() else standing

    @cached_property
    def ranking(self) -> Ints:
        """Rows of the trials whose values stand, the best first."""
        rows = np.flatnonzero(self.standing)
        return rows[np.lexsort((self.loss[rows], self.violation[rows]))]

    @cached_property
    def leaders(self) -> Ints:
        """Rows of the best tenth of them, but at least `LEADERS` and at most `MOST_LEADERS`."""
        return self.ranking[: _so_many(len(self.ranking))]

    @property
    def full(self) -> list[int]:
        """Rows of those of the leaders that trained to their end."""
        return [row for row in self.leaders.tolist() if self.state[row] == TrialState.FINISHED.value]

    @property
    def best_score(self) -> float:
        """The best validation score of the trials whose values stand; `nan` where none is measured."""
        known = self.score[self.ranking] if len(self.score) else self.score
        known = known[np.isfinite(known)]
        if not len(known):
            return math.nan
        falls = self.baseline is not None and self.baseline.score_falls
        return float(known.min() if falls else known.max())

    @property
    def best(self) -> int | None:
        """The row of the best trial whose value stands."""
        return int(self.ranking[0]) if len(self.ranking) else None

    @property
    def default(self) -> int | None:
        """The row of the default configuration, if its value stands."""
        found = np.flatnonzero((self.number == 0) & self.standing)
        return int(found[0]) if len(found) else None

    @cached_property
    def noise(self) -> float:
        """How far the metric jumps from epoch to epoch late in the best trials; `nan` if not known.

        The median of `noise_of` over the leaders.
        """
        found = [noise_of(self.curve(row).loss) for row in self.leaders.tolist()]
        known = [each for each in found if math.isfinite(each)]
        return float(np.median(known)) if known else math.nan

    def curve(self, row: int) -> Curve:
        """A trial's readings, those left out whose metric or one of whose losses is missing.

        A loss that the trial never measured is no reason to leave a reading out.
        """
        start, end = np.searchsorted(self.curves.row, [row, row + 1])
        value = self.curves.value[start:end]
        columns = [self.curves.train_loss[start:end], self.curves.val_loss[start:end]]
        keep = np.isfinite(value)
        for column in columns:
            keep &= np.isfinite(column) | ~np.isfinite(column).any()
        train, val = (column[keep] for column in columns)
        loss = value[keep] if self.objective.minimize else -value[keep]
        return Curve(self.curves.epoch[start:end][keep], train, val, loss)

    def told(self, loss: float) -> str:
        """A value of `loss`, as the metric has it, to four digits."""
        return f"{loss if self.objective.minimize else -loss:.4g}"

    def shares(self, name: str) -> Floats:
        """(N,) a number's place in its range, 0 to 1, on the parameter's own scale.

        `nan` where it is not active, and everywhere for choices and for a range of one value.
        """
        parameter, column = self.space.parameters[name], self.params[name]
        if isinstance(parameter, Choice) or parameter.low == parameter.high:
            return np.full(len(self), np.nan)
        low, high = float(parameter.low), float(parameter.high)
        if parameter.log:
            # A range may have become logarithmic since the first trials.
            place = np.log(np.where(column > 0, column, np.nan))
            return np.asarray((place - math.log(low)) / (math.log(high) - math.log(low)))
        # Halves, for a range may be wider than the largest number.
        return np.asarray((column / 2 - low / 2) / (high / 2 - low / 2))

    def at(self, name: str, share: float) -> float:
        """The number at this share of a parameter's range; the reverse of `shares`."""
        parameter = self.space.parameters[name]
        if isinstance(parameter, Choice):
            raise TypeError(f"{name} is a choice and has no range")
        low, high = float(parameter.low), float(parameter.high)
        if parameter.log:
            return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        return low * (1 - share) + high * share


def telling(records: Sequence[TrialRecord], goal: Objective | Goals) -> list[int]:
    """Numbers of the trials whose curves findings look at: the best that stand, and the default."""
    standing = [r for r in records if r.conclusive and r.value is not None and math.isfinite(r.value)]
    standing = [r for r in standing if r.state is not TrialState.FAILED]
    ranked = sorted(standing, key=Goals.of(goal).key)
    chosen = {record.number for record in ranked[: _so_many(len(ranked))]}
    return sorted(chosen | {record.number for record in standing if record.number == 0})


def noise_of(values: Floats) -> float:
    """How far a curve (E,) jumps from one epoch to the next in its later half: a standard deviation.

    From second differences, which a slope leaves at zero; their median, so that a single jump does
    not count: for independent noise of deviation s it is 0.6745 * sqrt(6) * s.

    Returns:
        `nan` for fewer than six epochs.
    """
    if len(values) < 6:
        return math.nan
    late = values[-max(6, len(values) // 2) :]
    return float(np.median(np.abs(np.diff(late, 2)))) / (0.6745 * math.sqrt(6))


def spread_of(repeats: Sequence[Sequence[float | None]]) -> float | None:
    """How far one configuration's value differs from training to training: a standard deviation.

    What is left of the variance when each configuration's and each repeat's mean are taken away: a
    repeat's split is easy or hard for all of them, and says nothing of luck. Of two and more
    configurations, each trained twice and more; None where there are fewer.

    Args:
        repeats: for each configuration a value per repeat; one with a repeat that failed is left out.
    """
    whole = [each for each in repeats if None not in each]
    if len(whole) < 2 or len(whole[0]) < 2:
        return None
    values = np.array(whole, np.float64)
    left = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    return math.sqrt(float((left**2).sum()) / ((values.shape[0] - 1) * (values.shape[1] - 1)))


def smooth(values: Floats) -> Floats:
    """The mean (E - 2,) of each three epochs in a row of a curve (E,); shorter curves as they are."""
    return (values[:-2] + values[1:-1] + values[2:]) / 3 if len(values) > 2 else values


def values_of(space: SearchSpace, name: str) -> int:
    """How many values a parameter has, where they are few; 0 for a continuum."""
    parameter = space.parameters[name]
    if isinstance(parameter, Choice):
        return len(parameter.choices)
    if parameter.low == parameter.high:
        return 1
    step = parameter.step or (1 if isinstance(parameter, Int) and not parameter.log else None)
    count = (parameter.high - parameter.low) / step + 1 if step else math.inf
    return math.floor(count + 1e-8) if count <= FEW_VALUES else 0


def _so_many(standing: int) -> int:
    return min(max(LEADERS, standing // 10), MOST_LEADERS)


def _epoch(reading: Reading) -> int:
    return reading.epoch
