"""Gap: ends trials that over-fit beyond a limit.

Looks at the newest epoch of one trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from tuner.callbacks.single_trial import SingleTrialRule
from tuner.core import words
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Stop, Trial


class Gap(SingleTrialRule):
    """On where `[stop] gap` is given; its stops are conclusive: the best epoch lies behind."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    @classmethod
    def from_spec(cls, spec: StudySpec) -> Self | None:
        """As `[stop] gap` says."""
        return None if spec.stop.gap is None else cls(spec.stop.gap)

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | None:  # noqa: ARG002
        """Stop when val_loss - train_loss exceeds the limit."""
        reading = curve[-1]
        if not reading.gap > self.limit:
            return None
        gap = words.number(reading.gap)
        reason = f"epoch {reading.epoch}: val_loss - train_loss is {gap}, more than {self.limit:g}"
        return Stop("gap", reason, conclusive=True)
