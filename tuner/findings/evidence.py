"""Evidence: a study's frame and other measurements, with what findings compute from both.

Findings compare values, so that only trials whose value stands are ranked here; `Frame.ranking` also ranks
those that were cut short where nothing else is left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tuner.core import words
from tuner.core.baseline import Baseline, Contest
from tuner.core.columns import Bools, Floats, Ints
from tuner.core.frame import Frame
from tuner.core.space import Choice, Int, SearchSpace
from tuner.core.trial import Reading, TrialState

LEADERS = 5
"""The least number of best trials that findings look at: one alone may be luck."""

MOST_LEADERS = 20
"""The largest number of best trials: of a large study the best tenth, up to this many."""

FEWEST_RANKED = 12
"""Fewer trials show no correlation."""

FEW_VALUES = 16
"""A parameter with at most this many values is looked at value by value."""


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
class Evidence:
    """What a finding is made from.

    Attributes:
        frame: the study's columns, with importances for ``"value"`` and ``"gap"``; N trials.
        planned: epochs of a trial that nothing stops.
        spread: standard deviation of the metric from seed to seed, as `tune confirm` measured it when
            it trained the best few again; None where it did not.
        is_confirmed: whether it did; which trial to take is then told by the verdict.
        baseline: the scores of a constant prediction; None where unknown.
        ends: the first and the last reading of the leaders, by row, with all that their trainer reports.
        baselines: all baselines on the validation rows; none where they are not trained.
        contests: the trial to take beside the baselines on the locked rows; none before a confirmation.
    """

    frame: Frame
    planned: int
    spread: float | None = None
    is_confirmed: bool = False
    baseline: Baseline | None = None
    ends: Mapping[int, tuple[Reading, Reading]] = field(default_factory=dict)
    baselines: Sequence[Baseline] = ()
    contests: Sequence[Contest] = ()

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def metric(self) -> str:
        """The first objective's metric."""
        return self.frame.objective.metric

    @property
    def loss(self) -> Floats:
        """(N,) the value so signed that less of it is better."""
        return self.frame.loss

    @cached_property
    def valued(self) -> Bools:
        """(N,) which trials of this search, imported ones apart, have a value and have not failed."""
        trials = self.frame.trials
        return np.isfinite(trials.value) & ~trials.is_(TrialState.FAILED) & ~trials.imported

    @cached_property
    def standing(self) -> Bools:
        """(N,) which trials' values stand beside each other.

        Those cut short are not among them, nor those that violate a constraint unless all do.
        """
        return self.frame.of_best_kind(self.valued & self.frame.trials.conclusive)

    @cached_property
    def unfinished(self) -> Bools:
        """(N,) which trials have a value and are not over."""
        states = (state for state in TrialState if not state.is_over)
        return self.valued & self.frame.trials.is_(*states)

    @cached_property
    def ranking(self) -> Ints:
        """Rows of the trials whose values stand, the best first."""
        return self.frame.ranked(self.standing)

    @cached_property
    def leaders(self) -> Ints:
        """Rows of the best tenth of them, but at least `LEADERS` and at most `MOST_LEADERS`."""
        return self.ranking[: min(max(LEADERS, len(self.ranking) // 10), MOST_LEADERS)]

    @property
    def full(self) -> list[int]:
        """Rows of those of the leaders that trained to their end."""
        is_finished = self.frame.trials.is_(TrialState.FINISHED)
        return [row for row in self.leaders.tolist() if is_finished[row]]

    @property
    def best_score(self) -> float:
        """The best validation score of the trials whose values stand; `nan` where none is measured."""
        known = self.frame.trials.val_score[self.ranking]
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
        found = np.flatnonzero((self.frame.trials.number == 0) & self.standing)
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
        epochs, (start, end) = self.frame.epochs, self.frame.bounds[row : row + 2]
        value = epochs.value[start:end]
        columns = [epochs.train_loss[start:end], epochs.val_loss[start:end]]
        keep = np.isfinite(value)
        for column in columns:
            keep &= np.isfinite(column) | ~np.isfinite(column).any()
        train, val = (column[keep] for column in columns)
        loss = value[keep] if self.frame.objective.minimize else -value[keep]
        return Curve(epochs.epoch[start:end][keep], train, val, loss)

    def told(self, loss: float) -> str:
        """A value of `loss`, as the metric has it, to four digits."""
        return words.number(loss if self.frame.objective.minimize else -loss)

    def shares(self, name: str) -> Floats:
        """(N,) a number's place in its range, 0 to 1, on the parameter's own scale.

        `nan` where it is not active, and everywhere for choices and for a range of one value.
        """
        parameter, column = self.frame.space.parameters[name], self.frame.params[name]
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
        parameter = self.frame.space.parameters[name]
        if isinstance(parameter, Choice):
            raise TypeError(f"{name} is a choice and has no range")
        low, high = float(parameter.low), float(parameter.high)
        if parameter.log:
            return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        return low * (1 - share) + high * share


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


def ranks(values: Floats) -> Floats:
    """Ranks (N,) of finite values (N,), 1 for the lowest; the mean one for equal values."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], dtype=np.float64)


def clearly_against(place: Floats, bad: Floats) -> float:
    """How many standard errors Spearman's correlation of two columns (N,) lies below zero.

    Its standard error is 1 / sqrt(N - 1) for independent columns.

    Returns:
        0 for too few trials, or where all values of a column are equal.
    """
    if len(place) < FEWEST_RANKED or len(np.unique(place)) < 2 or len(np.unique(bad)) < 2:
        return 0.0
    return float(-np.corrcoef(ranks(place), ranks(bad))[0, 1] * math.sqrt(len(place) - 1))
