"""Ranks: what trials have reached at one epoch, one place per trial, in order.

Less is better and infinity is worst; what the numbers measure is known to `Bests` alone.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuner.core import words
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
    """An ordered list with one place per trial; O(log n) comparisons to put and to drop.

    Flat arrays of numbers: of a long study there may be a list of all its trials for every epoch.
    """

    def __init__(self) -> None:
        self._of = array("d")
        """The rank of each number; nan of one that has no place."""
        self._ranks = array("d")
        self._numbers = array("q")
        self._is_sorted = True

    def __len__(self) -> int:
        self._sort()
        return len(self._ranks)

    def __getitem__(self, place: int) -> float:
        self._sort()
        return self._ranks[place]

    def put(self, number: int, rank: float) -> None:
        """Give a trial its place; the one it had before is void."""
        self.drop(number)
        self._grow(number)
        self._of[number] = rank
        place = self._find(rank, number)
        self._ranks.insert(place, rank)
        self._numbers.insert(place, number)

    def put_all(self, numbers: NDArray[np.int64], ranks: NDArray[np.float64]) -> None:
        """Give many trials their places at once."""
        if len(numbers):
            self._grow(int(numbers.max()))
            np.frombuffer(self._of)[numbers] = ranks
            self._is_sorted = False

    def drop(self, number: int) -> None:
        """Take a trial's place away, if it has one."""
        self._sort()
        if number < len(self._of) and (rank := self._of[number]) == rank:
            place = self._find(rank, number)
            del self._ranks[place], self._numbers[place]
            self._of[number] = math.nan

    def place(self, number: int) -> Place:
        """The place that a trial was given; places compare."""
        return self._of[number], number

    def best(self, count: int) -> Iterator[int]:
        """The best `count` trials, the best first, without those whose rank is infinite."""
        self._sort()
        return (
            n for rank, n in zip(self._ranks[:count], self._numbers[:count], strict=True) if rank < math.inf
        )

    def is_among(self, number: int, count: int) -> bool:
        """Whether a trial with a finite rank is one of the best `count`."""
        place = self.place(number)
        last = min(count, len(self)) - 1
        return count > 0 and math.isfinite(place[0]) and place <= (self._ranks[last], self._numbers[last])

    def _find(self, rank: float, number: int) -> int:
        """Where a place is, or would be."""
        first = bisect_left(self._ranks, rank)
        return bisect_left(self._numbers, number, first, bisect_right(self._ranks, rank, first))

    def _grow(self, number: int) -> None:
        more = number + 1 - len(self._of)
        if more > 0:
            self._of.extend(array("d", [math.nan]) * max(more, len(self._of) // 8))

    def _sort(self) -> None:
        if self._is_sorted:
            return
        ranks = np.frombuffer(self._of)
        numbers = np.flatnonzero(~np.isnan(ranks))
        order = np.argsort(ranks[numbers], kind="stable")
        self._ranks = array("d", ranks[numbers][order].tobytes())
        self._numbers = array("q", numbers[order].astype(np.int64).tobytes())
        self._is_sorted = True


class Bests:
    """Each trial's best rank so far; costs no more for a long curve than for a short one."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self.sign = 1.0 if objective.minimize else -1.0
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
        return words.number(self.sign * rank) if math.isfinite(rank) else "nan"

    def _of(self, reading: Reading) -> float:
        value = self._objective.of(reading)
        return self.sign * value if math.isfinite(value) else math.inf
