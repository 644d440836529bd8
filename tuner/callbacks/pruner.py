"""Pruner: ends trials that do worse than the others did at the same epoch.

Brings every objective to ranks of which less is better; how ranks are compared is known in
`halving` and `percentile`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, Self

from tuner.callbacks.halving import Halving, Hyperband
from tuner.callbacks.percentile import Percentile
from tuner.callbacks.ranks import Shortfall
from tuner.core.spec import StudySpec
from tuner.core.trial import Objective, Reading, Stop, Trial


class Rule(Protocol):
    """How trials are compared."""

    def judge(self, trial: Trial, epoch: int, rank: float) -> Shortfall | None:
        """Note what a trial has reached at an epoch; say what it falls short of, if it does."""


class Pruner:
    """On unless `[search] pruner` is ``"none"``; its stops are inconclusive.

    Trials are compared by the best value of the objective up to an epoch. A trial that starts
    again under its number takes its own place anew; it is never compared with itself. Trial 0, the
    default configuration, is compared with but never ended: it is what the others are held to.
    """

    def __init__(self, rule: Rule, goal: Objective) -> None:
        self.rule = rule
        self.goal = goal

    @classmethod
    def from_spec(cls, spec: StudySpec) -> Self | None:
        """As `[search] pruner` and the keys beside it say."""
        search, epochs = spec.search, spec.trainer.epochs
        rule: Rule
        match search.pruner:
            case "asha":
                rule = Halving(search.min_epochs, search.reduction, epochs)
            case "hyperband":
                rule = Hyperband(search.min_epochs, search.reduction, epochs)
            case "median":
                rule = Percentile(50.0, search.min_epochs, epochs, search.startup_trials)
            case "percentile":
                rule = Percentile(search.percentile, search.min_epochs, epochs, search.startup_trials)
            case "none":
                return None
        return cls(rule, spec.goal())

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | None:
        """Stop when the trial's best value so far falls short of the others'."""
        sign = 1.0 if self.goal.minimize else -1.0
        best = self.goal.best(curve)
        rank = math.inf if best is None else sign * best.get(self.goal.metric)
        short = self.rule.judge(trial, curve[-1].epoch, rank)
        if short is None or trial.number == 0:
            return None
        value = "nan" if best is None else f"{sign * rank:.4g}"
        reason = f"{short.where}: {value} is not {short.of} ({sign * short.bar:.4g} would be)"
        return Stop("pruner", reason, conclusive=False)
