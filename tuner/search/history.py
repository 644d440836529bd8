"""What a searcher knows of the trials so far: a set, so that the order in which they ended is of no account.

Holds numbers, not Optuna trials. How configurations are chosen is not known here.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from tuner.core.space import SearchSpace
from tuner.core.trial import Objective, TrialRecord, TrialState
from tuner.search.distributions import to_number

Rank = tuple[bool, int, float, int]
"""Sorts trials from best to worst: inconclusive, -epochs, signed value, number."""

DIVERGED = "divergence"
"""The stop rule after which a trial's best epoch says nothing about its worth."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A trial that has shown something.

    Attributes:
        row: (D,), the number of each parameter in the space's order; `nan` where it is inactive.
        value: less is better; None where the trial was cut before its worth was known.
    """

    number: int
    row: NDArray[np.float64]
    value: float | None
    rank: Rank


class History:
    """Every trial told so far.

    A finished trial and one that stopped conclusively count with their value. One cut before its
    worth was known ranks behind all of those, by how far it got and how good it was there, as in
    Optuna's TPE; one without any value or that diverged ranks last. A failed one is not shown to
    samplers at all.

    Attributes:
        running: (D,) rows of the trials that are not over, by number.
        failed: the numbers of the failed trials.
    """

    def __init__(self, space: SearchSpace, objective: Objective) -> None:
        self._space = space
        self._sign = 1.0 if objective.minimize else -1.0
        self.running: dict[int, NDArray[np.float64]] = {}
        self.failed: set[int] = set()
        self._seen: dict[int, Observation] = {}
        self._numbers: list[int] = []
        self._ranks: list[Rank] = []

    def __len__(self) -> int:
        """How many trials samplers may learn from."""
        return len(self._seen)

    def add(self, record: TrialRecord) -> None:
        """Take in a trial; what was known of it before is replaced."""
        number = record.number
        self._forget(number)
        if record.state is TrialState.FAILED:
            self.failed.add(number)
        elif not record.state.is_over:
            self.running[number] = self._row(record)
        else:
            observation = self._observation(record)
            self._seen[number] = observation
            insort(self._numbers, number)
            insort(self._ranks, observation.rank)

    def get(self, number: int) -> Observation | None:
        """The observation of a trial; None where it is still running, failed or unknown."""
        return self._seen.get(number)

    def is_over(self, number: int) -> bool:
        """Whether the trial has ended in one way or the other."""
        return number in self._seen or number in self.failed

    def window(self, best: int, last: int) -> list[Observation]:
        """The `best` highest ranking and the `last` newest trials, ordered by number."""
        chosen = set(self._numbers[max(0, len(self._numbers) - last) :])
        chosen.update(rank[-1] for rank in self._ranks[:best])
        return [self._seen[number] for number in sorted(chosen)]

    def valued(self, best: int, last: int) -> list[Observation]:
        """Like `window`, among the trials that have a value."""
        end = bisect_left(self._ranks, (True,))
        chosen = {rank[-1] for rank in self._ranks[: min(best, end)]}
        newest = (n for n in reversed(self._numbers) if self._seen[n].value is not None)
        chosen.update(islice(newest, last))
        return [self._seen[number] for number in sorted(chosen)]

    def first_valued(self, count: int) -> list[Observation]:
        """The first `count` trials that have a value, ordered by number."""
        valued = (self._seen[n] for n in self._numbers)
        return list(islice((o for o in valued if o.value is not None), count))

    def places(self) -> dict[int, float]:
        """Each trial's place, 0 for the best; trials that showed the same share one."""
        places: dict[int, float] = {}
        shown: tuple[object, ...] | None = None
        for *key, number in self._ranks:
            if tuple(key) != shown:
                shown, place = tuple(key), float(len(places))
            places[number] = place
        return places

    @property
    def values(self) -> int:
        """How many trials have a value."""
        return bisect_left(self._ranks, (True,))

    def rows(self, observations: Sequence[Observation]) -> NDArray[np.float64]:
        """The rows of some trials: (N, D)."""
        return np.array([o.row for o in observations]).reshape(len(observations), len(self._space))

    def _forget(self, number: int) -> None:
        self.running.pop(number, None)
        self.failed.discard(number)
        before = self._seen.pop(number, None)
        if before is not None:
            del self._numbers[bisect_left(self._numbers, number)]
            del self._ranks[bisect_left(self._ranks, before.rank)]

    def _row(self, record: TrialRecord) -> NDArray[np.float64]:
        """Numbers of what lies in the space as it is now; a study may be resumed with a changed one."""
        row = np.full(len(self._space), np.nan)
        for i, (name, parameter) in enumerate(self._space):
            value = record.params.get(name)
            if value is not None and parameter.contains(value):
                row[i] = to_number(parameter, value)
        return row

    def _observation(self, record: TrialRecord) -> Observation:
        known = record.value is not None and math.isfinite(record.value) and record.rule != DIVERGED
        value = self._sign * record.value if known and record.value is not None else None
        conclusive = record.state is TrialState.FINISHED or record.conclusive
        if value is None:
            rank: Rank = (True, 1, 0.0, record.number)
        elif conclusive:
            rank = (False, 0, value, record.number)
        else:
            rank = (True, -record.epochs, value, record.number)
        return Observation(record.number, self._row(record), value if conclusive else None, rank)
