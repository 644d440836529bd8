"""SecondsPerTrial: ends trials that have used up their training time.

Adds up the seconds that the readings hold and reads no clock, so that a replay gives the same answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

from tuner.callbacks.single_trial import SingleTrialRule
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Stop, Trial


class SecondsPerTrial(SingleTrialRule):
    """On where `[stop] seconds` is given; its stops are conclusive: the time was what the trial had."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    @classmethod
    def from_spec(cls, spec: StudySpec) -> Self | None:
        """As `[stop] seconds` says."""
        return None if spec.stop.seconds is None else cls(spec.stop.seconds)

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | None:  # noqa: ARG002
        """Stop when the readings' seconds exceed the limit together."""
        spent = math.fsum(reading.seconds for reading in curve)
        if not spent > self.limit:
            return None
        reason = f"epoch {curve[-1].epoch}: trained {spent:.3g} seconds, more than {self.limit:g}"
        return Stop("seconds", reason, conclusive=True)
