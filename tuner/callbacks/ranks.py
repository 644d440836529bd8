"""Ranks: what trials have reached at one epoch, one place per trial, in order.

Less is better and infinity is worst; what the numbers measure is known to `Bests` alone.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tuner.core.trial import Objective, Reading, Trial

RECENT = 4096
"""Of so many trials the best rank is remembered; of others it is found anew."""

Place = tuple[float, int]
"""A trial's rank and number: of equal ranks the lower number is better."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Why a trial should end.

    Attributes:
        where: the epoch in words, e.g. ``"rung 3"``.
        of: what the trial does not belong to, e.g. ``"among the best 1/3 of 24 trials"``.
        bar: the rank that would have been good enough.
    """

    where: str
    of: str
    bar: float


class Ranks:
    """An ordered list with one place per trial; O(log n) comparisons to put and to drop."""

    def __init__(self) -> None:
        self._by_trial: dict[int, float] = {}
        self._ordered: list[Place] = []

    def __len__(self) -> int:
        return len(self._ordered)

    def __getitem__(self, place: int) -> float:
        return self._ordered[place][0]

    def put(self, number: int, rank: float) -> None:
        """Give a trial its place; the one it had before is void."""
        self.drop(number)
        self._by_trial[number] = rank
        insort(self._ordered, (rank, number))

    def drop(self, number: int) -> None:
        """Take a trial's place away, if it has one."""
        if number in self._by_trial:
            del self._ordered[bisect_left(self._ordered, (self._by_trial.pop(number), number))]

    def place(self, number: int) -> Place:
        """The place that a trial was given; places compare."""
        return self._by_trial[number], number

    def best(self, count: int) -> Iterator[int]:
        """The best `count` trials, the best first, without those whose rank is infinite."""
        return (number for rank, number in islice(self._ordered, count) if math.isfinite(rank))

    def is_among(self, number: int, count: int) -> bool:
        """Whether a trial with a finite rank is one of the best `count`."""
        place = self.place(number)
        return count > 0 and math.isfinite(place[0]) and place <= self._ordered[min(count, len(self)) - 1]


class Bests:
    """Each trial's best rank so far; costs no more for a long curve than for a short one."""

    def __init__(self, goal: Objective) -> None:
        self._goal = goal
        self.sign = 1.0 if goal.minimize else -1.0
        self._known: dict[int, tuple[Reading, float]] = {}

    def rank(self, trial: Trial, curve: Sequence[Reading]) -> float:
        """The signed best finite value of a curve; infinity when there is none."""
        newest, best = self._known.pop(trial.number, (None, math.inf))
        if len(curve) < 2 or curve[-2] is not newest:
            best = min(map(self._of, curve[:-1]), default=math.inf)
        best = min(best, self._of(curve[-1]))
        self._known[trial.number] = curve[-1], best
        if len(self._known) > RECENT:
            del self._known[next(iter(self._known))]
        return best

    def words(self, rank: float) -> str:
        """The value that a rank stands for."""
        return f"{self.sign * rank:.4g}" if math.isfinite(rank) else "nan"

    def _of(self, reading: Reading) -> float:
        value = self._goal.of(reading)
        return self.sign * value if math.isfinite(value) else math.inf
