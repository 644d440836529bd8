"""Pruner: ends trials that do worse than the others did at the same epoch; and the pruners by name.

How they are compared is in `halving` and `percentile`; the pruner that pauses is in `asha`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tuner import registry
from tuner.callbacks.asha import ASHA
from tuner.callbacks.halving import Halving, Hyperband, Rungs
from tuner.callbacks.percentile import Percentile
from tuner.callbacks.ranks import Bests, Shortfall
from tuner.core import words
from tuner.core.ports import Callback
from tuner.core.reading_columns import ReadingColumns
from tuner.core.spec import StudySpec
from tuner.core.trial import Objective, Reading, Stop, Trial
from tuner.errors import PluginError

GROUP = "tuner.pruners"
"""The entry points that pruners are registered under: functions of a spec that return a rule, or None."""


class Rule(Protocol):
    """How trials are compared."""

    def judge(self, trial: Trial, epoch: int, rank: float) -> Shortfall | None:
        """Note what a trial has reached at an epoch; say what it falls short of, if it does."""

    def recall(self, readings: ReadingColumns, ranks: NDArray[np.float64], study_seed: int) -> None:
        """Note what trials that are over have reached at their epochs."""


class Pruner:
    """On unless `[search] pruner` is ``"none"``; its stops are inconclusive.

    Trials are compared by the best value of the objective up to an epoch. A trial that starts
    again under its number takes its own place anew; it is never compared with itself. Trial 0, the
    default configuration, is compared with but never ended: it is what the others are held to.
    """

    def __init__(self, rule: Rule, objective: Objective) -> None:
        self.rule = rule
        self._objective = objective
        self._bests = Bests(objective)

    @classmethod
    def from_spec(cls, spec: StudySpec) -> Callback | None:
        """The rule that `[search] pruner` names; None where it names none.

        Raises:
            PluginError: the name leads nowhere, or to something that cannot judge.
        """
        name = spec.search.pruner
        found = registry.load(name, GROUP)
        if isinstance(found, type) and any(c.__module__.startswith("optuna.pruners") for c in found.__mro__):
            from tuner.callbacks.optuna_pruner import OptunaPruner

            return OptunaPruner(name, found, spec)
        rule: Callback | None = registry.set_up(name, found, spec) if callable(found) else found
        if rule is not None and not callable(getattr(rule, "decide", None)):
            raise PluginError(
                f"{name}: cannot judge; give a function pruner(spec) that returns an object with "
                "decide(trial, curve), or a pruner class of Optuna's"
            )
        return rule

    def recall(self, readings: ReadingColumns, study_seed: int) -> None:
        """Note what trials that are over have reached, as if each epoch had been judged."""
        self.rule.recall(readings, readings.bests(self._objective), study_seed)

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | None:
        """Stop when the trial's best value so far falls short of the others'."""
        rank = self._bests.rank(trial, curve)
        short = self.rule.judge(trial, curve[-1].epoch, rank)
        if short is None or trial.number == 0:
            return None
        value, bar = self._bests.words(rank), self._bests.sign * short.bar
        reason = f"{short.where}: {value} is not {short.of} ({words.number(bar)} would be)"
        return Stop("pruner", reason, conclusive=False)


def asha(spec: StudySpec) -> Callback:
    """Pauses trials; the best go on."""
    return ASHA(_rungs(spec), spec.primary_objective())


def asha_stop(spec: StudySpec) -> Callback:
    """Ends trials at the rungs of asha."""
    return Pruner(Halving(_rungs(spec)), spec.primary_objective())


def hyperband(spec: StudySpec) -> Callback:
    """Ends trials at the rungs of their bracket."""
    search = spec.search
    return Pruner(
        Hyperband(search.min_epochs, search.reduction, spec.trainer.epochs), spec.primary_objective()
    )


def median(spec: StudySpec) -> Callback:
    """Ends the worse half of the trials at every epoch."""
    return _percentile(spec, 50.0)


def percentile(spec: StudySpec) -> Callback:
    """Ends all but the best share of the trials at every epoch."""
    return _percentile(spec, spec.search.percentile)


def none(spec: StudySpec) -> None:
    """Ends no trial."""


def _rungs(spec: StudySpec) -> Rungs:
    return Rungs(spec.search.min_epochs, spec.search.reduction, spec.trainer.epochs)


def _percentile(spec: StudySpec, share: float) -> Callback:
    search, epochs = spec.search, spec.trainer.epochs
    return Pruner(
        Percentile(share, search.min_epochs, epochs, search.startup_trials), spec.primary_objective()
    )
