"""Ranks: what trials have reached at one epoch, one place per trial, in order.

Less is better and infinity is worst; what the numbers measure is not known here.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass


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
        self._ordered: list[float] = []

    def __len__(self) -> int:
        return len(self._ordered)

    def __getitem__(self, place: int) -> float:
        return self._ordered[place]

    def put(self, number: int, rank: float) -> None:
        """Give a trial its place; the one it had before is void."""
        self.drop(number)
        self._by_trial[number] = rank
        insort(self._ordered, rank)

    def drop(self, number: int) -> None:
        """Take a trial's place away, if it has one."""
        if number in self._by_trial:
            del self._ordered[bisect_left(self._ordered, self._by_trial.pop(number))]
