"""Divergence: ends trials whose loss is no number, infinite or many times its first value.

Looks at the losses alone; which trainer produced them is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Stop, Trial

TINY = 1e-3
"""A first loss below this counts as this: a fit that starts out perfect may lose its last digits."""


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
        return cls(spec.stop.explosion, spec.goal().metric)

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | None:
        """Stop when a measured loss is `nan`, infinite, or beyond its limit."""
        for name in self._measured:
            reason = self._fault(name, trial, curve)
            if reason is not None:
                return Stop("divergence", f"epoch {curve[-1].epoch}: {reason}", conclusive=False)
        return None

    def _fault(self, name: str, trial: Trial, curve: Sequence[Reading]) -> str | None:
        loss, first = curve[-1].get(name), curve[0].get(name)
        if math.isnan(loss) and not self._is_measured(name, trial, curve):
            return None
        if not math.isnan(loss) and len(self._measured[name]) < 2:
            self._measured[name].add(trial.number)
        if not math.isfinite(loss):
            return f"{name} is {loss}"
        limit = self.explosion * max(abs(first), TINY)
        if loss > limit:
            return f"{name} is {loss:.4g}, more than {self.explosion:g} times its first value, {first:.4g}"
        return None

    def _is_measured(self, name: str, trial: Trial, curve: Sequence[Reading]) -> bool:
        return (
            name == self.metric
            or not math.isfinite(curve[-1].get(self.metric))
            or bool(self._measured[name] - {trial.number})
            or any(not math.isnan(reading.get(name)) for reading in curve)
        )
