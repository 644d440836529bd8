"""EndConditions: why a study ends, and in what words."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tuner.core import words
from tuner.core.budget import Budget, Spent, StudyState
from tuner.core.trial import Objective, TrialRecord


@dataclass(slots=True)
class EndConditions:
    """What ends a study: its budget, failed trials, a target, or a space that is used up.

    Attributes:
        max_failures: failed trials of this run that end it.
        is_space_used_up: whether the searcher has no new configuration.
        reached: the value that reached the target, of a trial that still runs.
    """

    budget: Budget
    objective: Objective
    max_failures: int
    is_space_used_up: bool = False
    reached: float | None = None
    _failures: int = 0
    _last_failure: str = ""

    def failed(self, record: TrialRecord) -> None:
        """Count a failed trial."""
        self._failures += 1
        self._last_failure = f"trial {record.number}: {record.reason}"

    def early(self, spent: Spent) -> tuple[StudyState, str] | None:
        """Why running trials are left where they are, if they are."""
        if self._failures >= self.max_failures:
            return StudyState.FAILED, f"{self._failures} trials failed; the last: {self._last_failure}"
        if self.reached is not None:
            spent = replace(spent, best=self.reached)
        reason = self.budget.exhausted(spent, self.objective)
        return None if reason is None else (StudyState.FINISHED, reason)

    def done(self, spent: Spent) -> tuple[StudyState, str] | None:
        """Why there is no new trial, if there is none; asked where no other one is left to train."""
        if self.budget.room(spent) == 0:
            trials = words.count(self.budget.trials or 0, "trial")
            return StudyState.FINISHED, f"the budget of {trials} is used up"
        if self.is_space_used_up:
            return StudyState.FINISHED, "every configuration of the space has been tried"
        return None
