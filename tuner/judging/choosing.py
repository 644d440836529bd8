"""Choosing among configurations that were trained repeatedly on the same splits: which is best, which may be.

Two questions are asked, one after the other, so that among equal configurations at most 5 % of studies claim
any difference. Is any configuration better or worse than the default (Dunnett 1955)? Only if so,
which of the others are worse than the best (Tukey's all pairs, since the best is picked afterwards)?
Intervals are widened as the tests are.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tuner.core.frame import Frame
from tuner.core.objectives import Objectives
from tuner.core.space import SearchSpace
from tuner.core.trial import TrialRecord
from tuner.judging.intervals import CONFIDENCE, Numbers
from tuner.judging.noise import Noise, chance, greatest, of_repeats

LEVEL = 1 - CONFIDENCE

UPWARDS, DOWNWARDS = 0.65, 0.15
"""The shares of the level that are spent on configurations better and worse than the default.

A fifth is kept back, since few repeats tell variances only roughly.
"""

NEAR = 1.0
"""Standard errors within which a cheaper configuration is as good: Breiman's rule (1984, section 3.4.3)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configuration that was trained again.

    Attributes:
        number: its trial's number in the study.
        searched: the value that its trial had there.
        values: one per repeat; None where it failed or diverged.
        size_bytes: of the model's weights; None where that is not known.
        epochs: mean number of epochs until the best one.
        measured: the means of the other numbers that the study's objectives name; None for one not measured.
    """

    number: int
    searched: float | None
    values: tuple[float | None, ...]
    size_bytes: int | None = None
    epochs: float = 0.0
    measured: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        """The mean over the repeats; None where one of them has no value."""
        values = [value for value in self.values if value is not None]
        return statistics.mean(values) if values and len(values) == len(self.values) else None


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much one configuration is better than another; negative: worse.

    Attributes:
        number: the other one's trial.
        gain: mean over the repeats.
        error: its standard error.
        low: lower end of its 95 % interval; the intervals of a `Selection` hold simultaneously.
        high: upper end.
        p: p-value, corrected for all comparisons.
    """

    number: int
    gain: float
    error: float
    low: float
    high: float
    p: float

    @property
    def is_clear(self) -> bool:
        """Whether the difference is significant at the 5 % level."""
        return self.p < LEVEL


@dataclass(frozen=True, slots=True)
class Selection:
    """The best configuration and the recommended one.

    Attributes:
        winner: the trial with the best mean; of equal ones the default, then the cheaper one.
        recommended: the one to take: the default, unless others are clearly better than it; then the
            cheapest of these that is nearly as good as the best of them.
        tied: trials that cannot be told apart from the winner, the winner first.
        against: the winner beside each other one that has a value for every repeat.
        better: the trials that are clearly better than the default.
        by_row: whether the noise was estimated from each row's loss. If not, and all repeats share one
            validation split, the luck of its rows is not counted, and "clear" means: on these rows.
    """

    winner: int
    recommended: int
    tied: tuple[int, ...]
    against: tuple[Difference, ...]
    better: tuple[int, ...] = ()
    by_row: bool = False


def choose(
    candidates: Sequence[Candidate],
    *,
    minimize: bool,
    overlap: float,
    noise: Noise | None = None,
) -> Selection:
    """Choose the winner and the recommended configuration.

    The default configuration needs no evidence. Others are taken only if they are better than it
    beyond the noise, corrected for how many were tried; then the cheapest one (smallest model, fewest
    epochs) within `NEAR` standard errors of the best of them.

    Args:
        candidates: those that have a value for every repeat are compared.
        minimize: whether less is better.
        overlap: see `noise.of_repeats`.
        noise: of the means of those that are compared, in their order; None: seen from the repeats.

    Raises:
        ValueError: no candidate has a value for every repeat.
    """
    whole = [each for each in candidates if each.mean is not None]
    if not whole:
        raise ValueError("no candidate has a value for every repeat")
    found = _Comparisons.of(whole, minimize, overlap, noise)
    winner = found.best(range(len(whole)))
    against = tuple(found.comparison(winner, other) for other in range(len(whole)) if other != winner)
    tied = (whole[winner].number, *(each.number for each in against if not each.is_clear))
    better = [c for c in range(len(whole)) if found.is_better(c)]
    taken = winner if found.default is None else found.default
    if better:
        first = found.best(better)
        good = [c for c in better if found.gains[first, c] <= NEAR * found.errors[first, c]]
        taken = min(good, key=lambda c: (*_cost(whole[c]), found.gains[first, c]))
    return Selection(
        whole[winner].number,
        whole[taken].number,
        tied,
        against,
        tuple(whole[c].number for c in better if found.default is not None),
        noise is not None,
    )


def smallest(selection: Selection, rivals: Sequence[Candidate], objectives: Objectives) -> Selection:
    """The selection with the rival recommended that has least of the further objectives, in their order.

    Args:
        selection: by the first objective.
        rivals: those that keep every constraint.
        objectives: the first one and those that are made small.
    """
    costs = [objective.metric for objective in objectives.objectives[1:]]

    def cost(one: Candidate) -> tuple[float, ...]:
        known = (one.measured.get(name) for name in costs)
        return (*(math.inf if each is None else each for each in known), one.number)

    return replace(selection, recommended=min(rivals, key=cost).number)


def worth_repeating(objectives: Objectives, standing: Sequence[TrialRecord], top: int) -> tuple[int, ...]:
    """The trials to train again: the best ones, the best first, and the default configuration.

    With several objectives those of the front come first, evenly spread over it where it has more.

    Args:
        objectives: what the study searches for.
        standing: its trials whose values stand.
        top: how many, the default apart.
    """
    frame = Frame.of(standing, {}, SearchSpace({}, {}), objectives)
    front = [number for number in frame.trials.number[frame.front].tolist() if number != 0]
    if len(front) > top:
        front = [front[round(i * (len(front) - 1) / max(1, top - 1))] for i in range(top)]
    ranked = [r.number for r in sorted(standing, key=objectives.key) if r.number != 0]
    return (*[*dict.fromkeys((*front, *ranked))][:top], 0)


@dataclass(frozen=True)
class _Comparisons:
    """All differences of C configurations, and their distribution under the null hypothesis.

    Attributes:
        whole: the configurations.
        default: the place of the default one among them; None where it has no value.
        gains: by how much the first is better than the second, (C, C).
        errors: the standard errors, (C, C).
        p_values: of the difference to the default, for each place but the default's.
        least_p: the least of them; 0 without a default.
        critical: standard errors by which intervals of differences to the default go down and up.
        null: |t| between the others where all are equal, (draws, pairs).
    """

    whole: Sequence[Candidate]
    default: int | None
    gains: Numbers
    errors: Numbers
    p_values: Mapping[int, float]
    least_p: float
    critical: tuple[float, float]
    null: Numbers

    @classmethod
    def of(
        cls, whole: Sequence[Candidate], minimize: bool, overlap: float, noise: Noise | None
    ) -> _Comparisons:
        values = np.array([each.values for each in whole], np.float64)  # (C, R)
        means = values.mean(axis=1)
        gains = (means[None] - means[:, None]) * (1 if minimize else -1)
        if values.shape[1] > 1:
            noise = noise or of_repeats(values, overlap)
        errors = np.full_like(gains, math.inf) if noise is None else noise.errors()
        place = next((c for c, each in enumerate(whole) if each.number == 0), None)
        rest = [c for c in range(len(whole)) if c != place]
        pairs = [(a, b) for a in rest for b in rest if a < b]
        to_default = [(c, place) for c in rest] if place is not None else []
        both = noise.drawn(pairs + to_default) if noise and pairs + to_default else np.full((1, 1), math.inf)
        null, drawn = np.abs(both[:, : len(pairs)]), both[:, len(pairs) :]
        p_values, critical = {}, (math.inf, math.inf)
        if to_default and noise:
            critical = greatest(drawn, UPWARDS * LEVEL), greatest(-drawn, DOWNWARDS * LEVEL)
            for c in rest:
                t = _ratio(float(gains[c, place]), float(errors[c, place]))
                rare = chance(drawn, t) / UPWARDS if t > 0 else chance(-drawn, -t) / DOWNWARDS
                p_values[c] = min(1.0, rare) if t else 1.0
        least_p = min(p_values.values(), default=1.0) if place is not None else 0.0
        return cls(whole, place, gains, errors, p_values, least_p, critical, null)

    def best(self, among: Sequence[int]) -> int:
        """The place of the best mean; of equal ones the default's, then the cheaper one's."""
        return min(among, key=lambda c: (self.gains[0, c], c != self.default, *_cost(self.whole[c])))

    def is_better(self, place: int) -> bool:
        """Whether one is clearly better than the default, or there is no default."""
        if self.default is None:
            return True
        gain = self.gains[place, self.default]
        return place in self.p_values and gain > 0 and self.p_values[place] < LEVEL

    def comparison(self, one: int, other: int) -> Difference:
        """One beside another."""
        gain, error = float(self.gains[one, other]), float(self.errors[one, other])
        if self.default == other:
            (down, up), p = self.critical, self.p_values.get(one, 1.0)
        elif self.default == one:
            (up, down), p = self.critical, self.p_values.get(other, 1.0)
        else:
            down = up = greatest(self.null, LEVEL)
            p = max(self.least_p, chance(self.null, abs(_ratio(gain, error))) if gain else 1.0)
        low, high = (gain - down * error, gain + up * error) if error else (gain, gain)
        return Difference(self.whole[other].number, gain, error, low, high, p)


def _ratio(gain: float, error: float) -> float:
    if not gain:
        return 0.0
    return float(gain / error) if error else math.copysign(math.inf, gain)


def _cost(candidate: Candidate) -> tuple[float, float]:
    return (math.inf if candidate.size_bytes is None else candidate.size_bytes, candidate.epochs)
