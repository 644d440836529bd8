"""Overfit: ends trials some epochs after they began to over-fit.

Looks at one trial's curve; `core.overfitting` tells the onset, for figures and findings as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from tuner.callbacks.single_trial import SingleTrialRule
from tuner.core import words
from tuner.core.overfitting import FEWEST_EPOCHS, onset
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Stop, Trial


class Overfit(SingleTrialRule):
    """On where `[stop] overfit` is given; its stops are conclusive: the best epoch lies behind.

    Args:
        epochs: how many epochs a trial may train after validation loss has turned.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    @classmethod
    def from_spec(cls, spec: StudySpec) -> Self | None:
        """As `[stop] overfit` says."""
        return None if spec.stop.overfit is None else cls(spec.stop.overfit)

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | None:  # noqa: ARG002
        """Stop when validation loss turned so many epochs ago while training loss still falls."""
        # A curve with a new low since then has not turned; most are told by that alone.
        if len(curve) < FEWEST_EPOCHS or _lowest(curve) >= len(curve) - self.epochs:
            return None
        found = onset(curve)
        newest = curve[-1].epoch
        if found is None or newest - found[0] < self.epochs:
            return None
        reason = (
            f"epoch {newest}: over-fits from epoch {found[0]} on; val_loss has risen by "
            f"{words.percent(found[1])} since, while train_loss falls"
        )
        return Stop("overfit", reason, conclusive=True)


def _lowest(curve: Sequence[Reading]) -> int:
    """The index of the lowest validation loss that is not NaN; 0 where all are NaN."""
    return min(range(len(curve)), key=lambda i: (curve[i].val_loss != curve[i].val_loss, curve[i].val_loss))
