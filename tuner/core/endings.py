"""Endings: what is said of where a trial stands, in figures and in the terminal; one word for one thing.

"Stopped early" is every trial that a rule has ended before its last epoch; where its value says nothing
beside that of a finished one, it is "cut short".
"""

from __future__ import annotations

from tuner.core.trial import DIVERGENCE, TrialState

FINISHED, FAILED = TrialState.FINISHED.value, TrialState.FAILED.value
RUNNING, PAUSED, WAITING = TrialState.RUNNING.value, TrialState.PAUSED.value, TrialState.WAITING.value

DIVERGED = "diverged"
"""What a trial is called that `DIVERGENCE` has ended."""

COUNTS = "stopped early, value counts"
CUT_SHORT = "cut short"
VIOLATES = "breaks a constraint"

WENT_ON = "trained on"
"""What is said of a trial that an epoch did not end."""


def stopped_by(rule: str | None, *, counts: bool) -> str:
    """How a stopped trial ended, with its rule: ``stopped early by patience``, ``cut short by pruner``.

    Args:
        rule: what stopped it.
        counts: whether its value stands beside those of finished trials; see `Stop.conclusive`.
    """
    if rule == DIVERGENCE:
        return DIVERGED
    return f"{'stopped early' if counts else CUT_SHORT} by {rule or 'an unknown rule'}"
