"""Pruner: ends trials that do worse than the others did at the same epoch.

How they are compared is known in `halving` and `percentile`; the pruner that pauses is in `asha`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tuner.callbacks.asha import ASHA
from tuner.callbacks.halving import Halving, Hyperband, Rungs
from tuner.callbacks.percentile import Percentile
from tuner.callbacks.ranks import Bests, Shortfall
from tuner.core.past import Past
from tuner.core.ports import Callback
from tuner.core.spec import StudySpec
from tuner.core.trial import Objective, Reading, Stop, Trial


class Rule(Protocol):
    """How trials are compared."""

    def judge(self, trial: Trial, epoch: int, rank: float) -> Shortfall | None:
        """Note what a trial has reached at an epoch; say what it falls short of, if it does."""

    def recall(self, past: Past, ranks: NDArray[np.float64], study_seed: int) -> None:
        """Note what trials that are over have reached at their epochs."""


class Pruner:
    """On unless `[search] pruner` is ``"none"``; its stops are inconclusive.

    Trials are compared by the best value of the objective up to an epoch. A trial that starts
    again under its number takes its own place anew; it is never compared with itself. Trial 0, the
    default configuration, is compared with but never ended: it is what the others are held to.
    """

    def __init__(self, rule: Rule, goal: Objective) -> None:
        self.rule = rule
        self._goal = goal
        self._bests = Bests(goal)

    @classmethod
    def from_spec(cls, spec: StudySpec) -> Callback | None:
        """As `[search] pruner` and the keys beside it say: a Pruner, or for ``"asha"`` an ASHA."""
        search, epochs = spec.search, spec.trainer.epochs
        rule: Rule
        match search.pruner:
            case "asha":
                return ASHA(Rungs(search.min_epochs, search.reduction, epochs), spec.goal())
            case "asha-stop":
                rule = Halving(Rungs(search.min_epochs, search.reduction, epochs))
            case "hyperband":
                rule = Hyperband(search.min_epochs, search.reduction, epochs)
            case "median":
                rule = Percentile(50.0, search.min_epochs, epochs, search.startup_trials)
            case "percentile":
                rule = Percentile(search.percentile, search.min_epochs, epochs, search.startup_trials)
            case "none":
                return None
        return cls(rule, spec.goal())

    def recall(self, past: Past, study_seed: int) -> None:
        """Note what trials that are over have reached, as if each epoch had been judged."""
        self.rule.recall(past, past.bests(self._goal), study_seed)

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | None:
        """Stop when the trial's best value so far falls short of the others'."""
        rank = self._bests.rank(trial, curve)
        short = self.rule.judge(trial, curve[-1].epoch, rank)
        if short is None or trial.number == 0:
            return None
        value, bar = self._bests.words(rank), self._bests.sign * short.bar
        reason = f"{short.where}: {value} is not {short.of} ({bar:.4g} would be)"
        return Stop("pruner", reason, conclusive=False)
