"""Divergence: ends trials whose loss is no number, infinite or many times its first value.

Runs in the engine's process after every epoch, in the order of the events, and before every other rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import numpy as np

from tuner.core import words
from tuner.core.reading_columns import ReadingColumns
from tuner.core.spec import StudySpec
from tuner.core.trial import DIVERGENCE, Reading, Stop, Trial

TINY = 1e-3
"""Of a loss that starts below this, the ratio to its first value tells nothing."""


class Divergence:
    """Always on.

    Args:
        explosion: how many times its first value a loss may reach.
        metric: the objective's. While it is a number, a loss that neither this trial nor another
            ever had counts as not measured, not as diverged.
    """

    def __init__(self, explosion: float, metric: str) -> None:
        self.explosion = explosion
        self.metric = metric
        # Two trials that have each loss; two, so that one of them is another than the judged one.
        self._measured: dict[str, set[int]] = {"train_loss": set(), "val_loss": set()}

    @classmethod
    def from_spec(cls, spec: StudySpec) -> Self:
        """As `[stop] explosion` says."""
        return cls(spec.stop.explosion, spec.primary_objective().metric)

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | None:
        """Stop when a measured loss is `nan`, infinite, or beyond its limit."""
        last = curve[-1]
        losses = {name: last.get(name) for name in self._measured}
        faults = [each for name, loss in losses.items() if (each := self._fault(name, loss, trial, curve))]
        is_partial = any(map(math.isnan, losses.values()))
        if not faults and is_partial and not math.isfinite(last.get(self.metric)):
            faults = [f"{self.metric} is {last.get(self.metric)}"]
        return Stop(DIVERGENCE, f"epoch {last.epoch}: {faults[0]}", conclusive=False) if faults else None

    def recall(self, readings: ReadingColumns, study_seed: int) -> None:  # noqa: ARG002
        """Note which losses were measured of trials that are over."""
        for name, known in self._measured.items():
            if len(known) < 2:
                whose = np.unique(readings.number[~np.isnan(readings.get(name))])
                known.update(whose.tolist()[: 2 - len(known)])

    def _fault(self, name: str, loss: float, trial: Trial, curve: Sequence[Reading]) -> str | None:
        if math.isnan(loss):
            return f"{name} is {loss}" if self._is_measured(name, trial, curve) else None
        if len(self._measured[name]) < 2:
            self._measured[name].add(trial.number)
        if math.isinf(loss):
            return f"{name} is {loss}"
        first = curve[0].get(name)
        if math.isnan(first):
            first = next(value for reading in curve if not math.isnan(value := reading.get(name)))
        # A loss that may be negative, as a log-likelihood, has no zero to be many times away from.
        if (
            loss > self.explosion * first
            and first >= TINY
            and not any(reading.get(name) <= 0 for reading in curve)
        ):
            now, began = words.number(loss), words.number(first)
            return f"{name} is {now}, more than {self.explosion:g} times its first value, {began}"
        return None

    def _is_measured(self, name: str, trial: Trial, curve: Sequence[Reading]) -> bool:
        return (
            name == self.metric
            or bool(self._measured[name] - {trial.number})
            or any(not math.isnan(reading.get(name)) for reading in curve)
        )
