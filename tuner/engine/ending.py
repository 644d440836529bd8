"""EndConditions: why a study ends, and in what words."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tuner.core import words
from tuner.core.budget import Budget, Spent, StudyState
from tuner.core.ports import Turn
from tuner.core.request import Request, RequestKind
from tuner.core.trial import Objective, Stop, TrialRecord
from tuner.engine.gains import GainWatch


@dataclass(slots=True)
class EndConditions:
    """What ends a study: its budget, failed trials, a target, or a space that is used up.

    Attributes:
        max_failures: failed trials of this run that end it.
        gains: how long the search has brought nothing.
        is_space_used_up: whether the searcher has no new configuration.
        is_asked: whether somebody has asked for its end.
        reached: the value that reached the target, of a trial that still runs.
    """

    budget: Budget
    objective: Objective
    max_failures: int
    gains: GainWatch
    is_space_used_up: bool = False
    is_asked: bool = False
    reached: float | None = None
    _failures: int = 0
    _last_failure: str = ""

    def failed(self, record: TrialRecord) -> None:
        """Count a failed trial."""
        self._failures += 1
        self._last_failure = f"trial {record.number}: {record.reason}"

    def left(self, seconds: float) -> float:
        """Seconds that the budget leaves after so many."""
        return math.inf if self.budget.seconds is None else self.budget.seconds - seconds

    def heed(self, request: Request, turn: Turn) -> str | None:
        """Carry out a request that is about the study's end; what was done, or None for any other.

        Args:
            request: what is asked for.
            turn: takes the limits that the study has from now on.
        """
        if request.kind is RequestKind.STOP:
            self.is_asked = True
            return "the study is stopped"
        if request.kind is RequestKind.RAISE:
            self.budget = self.budget.raised(request.content)
            turn.changed["budget"].update({key: getattr(self.budget, key) for key in request.content})
            return "the budget is raised"
        return None

    def on_target(self, value: float) -> Stop | None:
        """Why a running trial ends where its value meets every bound and reaches the target."""
        target = self.budget.target
        if target is None or self.objective.better(target, value):
            return None
        self.reached = value
        reason = f"its {self.objective.metric} of {value:g} reaches the target of {target:g}"
        return Stop("target", reason, conclusive=True)

    def early(self, spent: Spent) -> tuple[StudyState, str] | None:
        """Why running trials are left where they are, if they are."""
        if self._failures >= self.max_failures:
            return StudyState.FAILED, f"{self._failures} trials failed; the last: {self._last_failure}"
        if self.is_asked:
            return StudyState.INTERRUPTED, "stopped on request"
        if self.reached is not None:
            spent = replace(spent, best=self.reached)
        reason = self.budget.exhausted(spent, self.objective)
        return None if reason is None else (StudyState.FINISHED, reason)

    def room(self, spent: Spent) -> int | None:
        """How many more trials may be started; None for no limit."""
        return 0 if self._no_gain() else self.budget.room(spent)

    def _no_gain(self) -> str | None:
        return None if self.budget.patience is None else self.gains.reason(self.budget.patience)

    def done(self, spent: Spent) -> tuple[StudyState, str] | None:
        """Why there is no new trial, if there is none; asked where no other one is left to train."""
        if self.budget.room(spent) == 0:
            trials = words.count(self.budget.trials or 0, "trial")
            return StudyState.FINISHED, f"the budget of {trials} is used up"
        if (why := self._no_gain()) is not None:
            return StudyState.FINISHED, why
        if self.is_space_used_up:
            return StudyState.FINISHED, "every configuration of the space has been tried"
        return None
