"""Values of a score in words: shares in percent, with as many digits as tell them apart."""

from __future__ import annotations

from tuner.core import words
from tuner.judging.intervals import Interval

_PERCENT = ("accuracy", "exact_match", "balanced_accuracy", "precision", "recall", "f1")
"""What the names of scores begin with that are told in percent."""


def within(interval: Interval, score: str = "") -> str:
    """A value with its interval."""
    at, low, high = amounts(score, interval.estimate, interval.low, interval.high)
    return f"{at} (95 % confidence interval {low} to {high})"


def amounts(score: str, *values: float) -> list[str]:
    """Values of a score beside each other, shares in percent."""
    if not score.startswith(_PERCENT):
        return words.numbers(*values)
    told: list[str] = []
    for places in range(1, 12):
        told = [f"{100 * value:.{places}f} %" for value in values]
        if len(set(told)) == len(set(map(words.rounded, values))):
            break
    return told


def points(score: str, low: float, high: float) -> str:
    """The interval of a difference."""
    ends = " to ".join(told.removesuffix(" %") for told in amounts(score, low, high))
    return f"{ends} points" if score.startswith(_PERCENT) else ends
