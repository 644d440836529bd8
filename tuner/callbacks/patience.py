"""Patience: ends trials that stopped getting better.

Looks at one trial's curve and keeps nothing, so that a replay gives the same answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

from tuner.callbacks.single_trial import SingleTrialRule
from tuner.core import words
from tuner.core.spec import StudySpec
from tuner.core.trial import Objective, Reading, Stop, Trial


class Patience(SingleTrialRule):
    """On where `[stop] patience` is given.

    Args:
        epochs: how many epochs may pass without a better value of the objective.
        min_delta: by how much a value must be better to count.
    """

    def __init__(self, epochs: int, min_delta: float, objective: Objective) -> None:
        self.epochs = epochs
        self.min_delta = min_delta
        self.objective = objective

    @classmethod
    def from_spec(cls, spec: StudySpec) -> Self | None:
        """As `[stop] patience` and `min_delta` say."""
        stop = spec.stop
        return None if stop.patience is None else cls(stop.patience, stop.min_delta, spec.primary_objective())

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | None:  # noqa: ARG002
        """Stop when the best value is too many epochs old; conclusive where there is one."""
        best, since = math.nan, 0
        for reading in curve:
            value = self.objective.of(reading)
            bar = best + (-self.min_delta if self.objective.minimize else self.min_delta)
            if math.isfinite(value) and self.objective.better(value, bar):
                best, since = value, reading.epoch
        waited = curve[-1].epoch - since
        if waited < self.epochs:
            return None
        if math.isnan(best):
            return Stop("patience", f"no {self.objective.metric} in {waited} epochs", conclusive=False)
        than = f"in epoch {since} ({words.number(best)})"
        reason = f"{self.objective.metric} is no better than {than} for {waited} epochs"
        return Stop("patience", reason, conclusive=True)
