"""When a study ends: trials, seconds, epochs, target reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from tuner.core import words
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


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of a study; the first one that is reached ends it.

    Attributes:
        trials: how many trials are started in all.
        seconds: wall time in all; running trials are left for `tune resume`.
        epochs: trial-epochs in all; likewise.
        target: ends the study as soon as a trial's value is at least this good.
        patience: no further trial is started once so many brought no gain; the engine counts them.
    """

    trials: int | None = None
    seconds: float | None = None
    epochs: int | None = None
    target: float | None = None
    patience: int | None = None

    def raised(self, limits: Mapping[str, Any]) -> Budget:
        """This budget with those of the limits that are higher; what has none stays without."""
        now = {key: getattr(self, key) for key in limits}
        return replace(self, **{k: v if v is None else max(v, limits[k]) for k, v in now.items()})

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
