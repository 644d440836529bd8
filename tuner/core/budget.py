"""When a study ends: trials, seconds, epochs, target reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from pydantic import Field, model_validator

from tuner.core import words
from tuner.core.space.parameters import Section
from tuner.core.trial import Objective

AMOUNTS = ("trials", "seconds", "epochs")
"""The limits of a budget that are used up bit by bit, and that can be raised while a study runs."""


class StudyState(StrEnum):
    """Where a study stands; anything but RUNNING can be resumed."""

    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Spent:
    """What a study has used up so far, over all its sessions.

    Attributes:
        trials: trials that were started, in any state.
        epochs: epochs trained, over all trials.
    """

    trials: int = 0
    seconds: float = 0.0
    epochs: int = 0
    best: float | None = None


class Budget(Section):
    """`[budget]`: when the study ends; the first limit reached does it.

    At the limits of seconds and epochs running trials are left for `tune resume`.
    """

    trials: int | None = Field(None, ge=1, description="trials in all; 100 where the study has no [budget]")
    seconds: float | None = Field(None, gt=0, description="wall time in all")
    epochs: int | None = Field(None, ge=1, description="epochs in all, over all trials")
    target: float | None = Field(None, description="ends when a trial's value is at least this good")
    patience: int | None = Field(
        None,
        ge=1,
        description="ends when so many trials brought no gain beyond the standard error of folds or repeats, "
        "or no gain at all where neither tells one",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.trials is self.seconds is self.epochs is self.target is self.patience is None:
            raise ValueError("without limit; give trials, seconds, epochs, target or patience")
        return self

    def raised(self, limits: Mapping[str, Any]) -> Budget:
        """This budget with those of the limits that are higher; what has none stays without."""
        now = {key: getattr(self, key) for key in limits}
        return self.model_copy(update={k: v if v is None else max(v, limits[k]) for k, v in now.items()})

    def room(self, spent: Spent) -> int | None:
        """How many more trials may be started; None for no limit."""
        return None if self.trials is None else max(0, self.trials - spent.trials)

    def exhausted(self, spent: Spent, objective: Objective) -> str | None:
        """Why running trials should be left too, in words; None while they may go on."""
        target, best = self.target, spent.best
        if target is not None and best is not None and not objective.better(target, best):
            return f"the target of {target:g} is reached with {best:g}"
        if self.seconds is not None and spent.seconds >= self.seconds:
            return f"the budget of {self.seconds:g} seconds is used up"
        if self.epochs is not None and spent.epochs >= self.epochs:
            return f"the budget of {words.count(self.epochs, 'epoch')} is used up"
        return None
