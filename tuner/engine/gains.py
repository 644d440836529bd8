"""GainWatch: how long a search has brought nothing that its measured noise does not explain."""

from __future__ import annotations

import math
from bisect import insort

from tuner.core import words
from tuner.core.objectives import Objectives
from tuner.core.trial import TrialRecord

Seen = tuple[int, float, float]
"""A trial's number, its loss by the first objective and the standard error of that; `nan` for no value."""


class GainWatch:
    """Counts the trials that have ended since the last one that was a gain.

    Trials are compared in the order of their numbers, whatever the order in which they ended, so that a
    study that goes on counts as it would have. A gain is a better value by more than the standard error
    of the difference, where folds or repeats tell one, and any better value where they do not.
    """

    def __init__(self, objectives: Objectives) -> None:
        self._objectives = objectives
        self._seen: list[Seen] = []

    def add(self, record: TrialRecord) -> None:
        """A trial is over."""
        objective = self._objectives.primary
        counts = record.conclusive and record.best is not None and not self._objectives.violation(record.best)
        loss = objective.counted(record.value) if counts and record.value is not None else math.nan
        error = record.best.error(objective.metric) if record.best is not None else math.nan
        found = loss if objective.minimize else -loss
        insort(self._seen, (record.number, found, 0.0 if math.isnan(error) else error))

    def reason(self, patience: int) -> str | None:
        """Why the search ends, in words; None while it may go on."""
        if len(self._seen) <= patience:
            return None
        best, last, error = math.nan, -1, 0.0
        since = 0
        for number, loss, its_error in self._seen:
            since += 1
            noise = math.hypot(error, its_error)
            if not math.isnan(loss) and (math.isnan(best) or loss < best - noise):
                best, last, error, since = loss, number, its_error, 0
        if since < patience or last < 0:
            return None
        objective = self._objectives.primary
        beyond = f" beyond its standard error of {words.number(error, digits=2)}" if error else ""
        value = best if objective.minimize else -best
        over = f"over trial {last}, whose {objective.metric} is {words.number(value)}"
        return f"{words.count(since, 'trial')} brought no gain{beyond} {over}"
