"""Incumbents: the trials that were the best so far when they ended."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tuner.core.objectives import Objectives
from tuner.core.trial import Origin, TrialRecord


class Incumbents:
    """The way of the search, trial by trial as they end.

    Attributes:
        numbers: the incumbents so far, in order of time.
    """

    def __init__(self, objectives: Objectives) -> None:
        self.numbers: list[int] = []
        self._objectives = objectives
        self._lowest = math.inf

    def add(self, record: TrialRecord) -> None:
        """Take in a trial; one is passed over whose value does not stand, or that violates a bound."""
        if not (record.state.is_over and record.conclusive) or record.value is None:
            return
        violates, _, _, (loss, *_), number = self._objectives.key(record)
        if not violates and loss < self._lowest:
            self._lowest = loss
            self.numbers.append(number)


def incumbents(records: Iterable[TrialRecord], objectives: Objectives) -> Incumbents:
    """The path of a stored study."""
    path = Incumbents(objectives)
    own = (record for record in records if record.origin is not Origin.IMPORTED)
    for record in sorted(own, key=lambda r: (r.ended_at or "", r.number)):
        path.add(record)
    return path
