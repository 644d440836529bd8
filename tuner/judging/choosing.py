"""Choosing among configurations that were trained repeatedly on the same splits: who is best, who may be.

Sees values and costs; how they were trained, and the test split, are not known here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from tuner.judging.intervals import CONFIDENCE

LEVEL = 1 - CONFIDENCE

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
    """

    number: int
    searched: float | None
    values: tuple[float | None, ...]
    size_bytes: int | None = None
    epochs: float = 0.0

    @property
    def mean(self) -> float | None:
        """The mean over the repeats; None where one of them has no value."""
        values = [value for value in self.values if value is not None]
        return math.fsum(values) / len(values) if len(values) == len(self.values) else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """By how much one configuration is better than another; negative: worse.

    Attributes:
        number: the other one's trial.
        gain: mean over the repeats.
        error: its standard error.
        low: lower end of its 95 % interval.
        high: upper end.
        p: how often chance alone would show such a difference, adjusted for how many are compared.
    """

    number: int
    gain: float
    error: float
    low: float
    high: float
    p: float

    @property
    def is_clear(self) -> bool:
        """Whether it is more than chance would show one time in twenty."""
        return self.p < LEVEL


@dataclass(frozen=True, slots=True)
class Choice:
    """Who is best, and who is to be taken.

    Attributes:
        winner: the trial with the best mean.
        recommended: the one to take: the cheapest that is nearly as good, if it is better than the default.
        tied: trials that cannot be told apart from the winner, the winner first.
        against: the winner beside each other one.
    """

    winner: int
    recommended: int
    tied: tuple[int, ...]
    against: tuple[Comparison, ...]


def compare(
    one: Sequence[float | None], other: Sequence[float | None], *, minimize: bool, overlap: float
) -> tuple[float, float, int]:
    """The gain of one configuration over another, pair by pair, and its standard error.

    The corrected resampled t-test of Nadeau and Bengio (2003): repeats on splits of the same rows are
    not independent, so the variance of their mean is (1 / R + n_validation / n_train) times that of the
    differences.

    Args:
        one: a value per repeat.
        other: likewise, on the same splits.
        minimize: whether less is better.
        overlap: n_validation / n_train where each repeat drew its split anew; 0 where they share one.

    Returns:
        The gain, its standard error, and the number of pairs.
    """
    sign = 1 if minimize else -1
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    if len(pairs) < 2:
        return math.nan, math.inf, len(pairs)
    gains = np.array([sign * (b - a) for a, b in pairs])
    error = float(gains.std(ddof=1)) * math.sqrt(1 / len(gains) + overlap)
    return float(gains.mean()), error, len(pairs)


def choose(
    candidates: Sequence[Candidate], *, minimize: bool, overlap: float, default: int = 0, near: float = NEAR
) -> Choice:
    """Choose the winner, and whom to take.

    Differences to the winner are tested at 5 % in all (Holm 1979); who does not differ is tied with it.
    The default configuration is what needs no evidence. Another one is taken where the winner is better
    than it by more than `near` standard errors, and then the cheapest one (smallest model, fewest
    epochs) that is better by as much and as near to the winner.

    Args:
        candidates: those that have a value for every repeat can win.
        minimize: whether less is better.
        overlap: see `compare`.
        default: the number of the default configuration's trial.
        near: see `NEAR`.

    Raises:
        ValueError: no candidate has a value for every repeat.
    """
    sign = 1 if minimize else -1
    whole = {each.number: each for each in candidates if each.mean is not None}
    if not whole:
        raise ValueError("no candidate has a value for every repeat")
    # Of equal ones the default configuration wins, then the cheaper one.
    winner = min(whole.values(), key=lambda c: (sign * (c.mean or 0.0), c.number != default, *_cost(c)))
    against = _against(winner, [c for c in candidates if c is not winner], minimize, overlap)
    tied = tuple(c.number for c in against if not c.is_clear and c.number in whole)
    behind = {c.number: c for c in against}

    def beats_default(number: int) -> bool:
        if default not in whole:
            return True
        gain, error, _ = compare(
            whole[number].values, whole[default].values, minimize=minimize, overlap=overlap
        )
        return gain > near * error

    recommended = default if default in whole else winner.number
    if winner.number != default and beats_default(winner.number):
        good = [winner] + [
            whole[n]
            for n in tied
            if n != default and behind[n].gain <= near * behind[n].error and beats_default(n)
        ]
        recommended = min(good, key=lambda c: (*_cost(c), sign * (c.mean or 0.0))).number
    return Choice(winner.number, recommended, (winner.number, *tied), against)


def _against(
    winner: Candidate, others: Sequence[Candidate], minimize: bool, overlap: float
) -> tuple[Comparison, ...]:
    found = []
    for other in others:
        gain, error, pairs = compare(winner.values, other.values, minimize=minimize, overlap=overlap)
        if pairs < 2 or math.isnan(gain):
            found.append((other.number, math.nan, math.inf, math.inf, 1.0))
            continue
        reach = float(special.stdtrit(pairs - 1, (1 + CONFIDENCE) / 2)) * error
        p = float(2 * special.stdtr(pairs - 1, -abs(gain) / error)) if error else float(gain == 0)
        found.append((other.number, gain, error, reach, p))
    order = sorted(range(len(found)), key=lambda i: found[i][4])
    adjusted, highest = [1.0] * len(found), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(found) - rank) * found[i][4]))
        adjusted[i] = highest
    return tuple(
        Comparison(number, gain, error, gain - reach, gain + reach, p)
        for (number, gain, error, reach, _), p in zip(found, adjusted, strict=True)
    )


def _cost(candidate: Candidate) -> tuple[float, float]:
    return (math.inf if candidate.size_bytes is None else candidate.size_bytes, candidate.epochs)
