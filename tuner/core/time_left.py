"""Time left: how much longer a study takes, and how sure that is by how long its trials took.

A time that is judged by the pace so far is that of n further trials, whose durations scatter as those of the
k trials that are over. Relative to it the error is cv * sqrt(1/n + 1/k), cv being their standard deviation as
a share of their mean: of the sum of n durations, and of the mean that k of them tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from tuner.core import words
from tuner.core.budget import Budget

FEWEST = 3
"""Fewer trials that are over tell nothing of how durations scatter."""

NORMAL_90 = 1.645
"""So many standard deviations to both sides hold nine of ten values."""

_STUDENT_90 = (2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812)
"""The same where the deviation is estimated, by 2 to 10 degrees of freedom: of Student's t."""


@dataclass(slots=True)
class Durations:
    """How long trials took that are over: how many, their epochs, sums of seconds and of their squares."""

    count: int = 0
    epochs: int = 0
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, seconds: Iterable[float], epochs: Iterable[int]) -> Durations:
        """Of trials, one by one."""
        found = cls()
        for each, its_epochs in zip(seconds, epochs, strict=True):
            found.add(each, its_epochs)
        return found

    def add(self, seconds: float, epochs: int) -> None:
        """One more trial is over; one that tells no time says nothing."""
        if seconds > 0 and math.isfinite(seconds):
            self.count += 1
            self.epochs += epochs
            self.total += seconds
            self.squares += seconds * seconds

    def error(self, trials: float) -> float:
        """By which share of it the time of so many further trials may be off, nine times of ten."""
        if self.count < FEWEST or trials <= 0:
            return 0.0
        mean = self.total / self.count
        variance = max(0.0, self.squares - self.count * mean * mean) / (self.count - 1)
        return (
            _student_90(self.count - 1) * math.sqrt(variance) / mean * math.sqrt(1 / trials + 1 / self.count)
        )


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """How much longer a study takes, in seconds.

    Attributes:
        low: at least, nine times of ten.
        high: at most, likewise.
        is_exact: whether a limit of time ends it, whatever its trials take.
    """

    low: float
    high: float
    is_exact: bool = False

    @property
    def told(self) -> str:
        """In words: ``about 12 to 17 min left``."""
        return f"{'' if self.is_exact else 'about '}{words.durations(self.low, self.high)} left"


@dataclass(frozen=True, slots=True)
class Used:
    """What a study has used of its budget, and at which pace.

    Attributes:
        trials: that are over.
        pace: trials that end in a second; 0 for not known.
    """

    trials: int
    epochs: int
    seconds: float
    pace: float
    durations: Durations = field(default_factory=Durations)


def time_left(budget: Budget, used: Used) -> TimeLeft | None:
    """The time until the first limit is reached; None while nothing is known."""
    durations, found = used.durations, []

    def judged(seconds: float, trials: float) -> None:
        off = durations.error(trials) * seconds
        found.append(TimeLeft(max(0.0, seconds - off), max(0.0, seconds + off)))

    if budget.trials is not None and used.pace > 0:
        trials = max(0, budget.trials - used.trials)
        judged(trials / used.pace, trials)
    if budget.epochs is not None and used.epochs and used.seconds > 0:
        epochs = max(0, budget.epochs - used.epochs)
        a_trial = durations.epochs / durations.count if durations.epochs else math.inf
        judged(epochs * used.seconds / used.epochs, epochs / a_trial)
    if budget.seconds is not None:
        seconds = max(0.0, budget.seconds - used.seconds)
        found.append(TimeLeft(seconds, seconds, is_exact=True))
    if not found:
        return None
    first = min(found, key=lambda each: each.low + each.high)
    low, high = min(each.low for each in found), min(each.high for each in found)
    return TimeLeft(low, high, is_exact=first.is_exact and low == high)


def _student_90(freedom: int) -> float:
    """`NORMAL_90` with a deviation that so many degrees of freedom tell; expanded where the table ends."""
    if freedom - 2 < len(_STUDENT_90):
        return _STUDENT_90[freedom - 2]
    first, second = 1.524, 1.420  # (z**3 + z) / 4 and (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return NORMAL_90 + first / freedom + second / freedom**2
