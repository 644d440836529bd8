"""Nothing learned: the best trials are no better than a constant prediction, or than where they started."""

from __future__ import annotations

import math

import numpy as np

from tuner.core import words
from tuner.findings.evidence import Evidence
from tuner.findings.finding import Finding, Severity

FEWEST = 3
"""One or two trials may each be an exception."""

LITTLE = 0.01
"""A loss that fell by less than this share has learned nothing."""

LUCK = 0.5
"""Also one that fell by less than this over the root of the validation rows: of many predictions that
have nothing to do with the target, the luckiest gains about as much."""

FEWEST_EPOCHS = 5
"""A flat curve of fewer epochs is not enough: much is learned in the first one, before it is measured."""

ADVICE = (
    "Look at the inputs and the target first (tune check), then at the range of the learning rate and at "
    "the loss; a network that cannot learn its training rows needs no tuning yet."
)


def find(evidence: Evidence) -> Finding | None:
    """Reported when no trial is better than the baseline, or, where there is none, no curve has moved."""
    if len(evidence.ranking) < FEWEST:
        return None
    if evidence.baseline is None:
        return _flat(evidence)
    base = evidence.baseline
    curves = [evidence.curve(row).val_loss for row in evidence.leaders.tolist()]
    losses = [float(np.nanmin(curve)) for curve in curves if np.isfinite(curve).any()]
    if losses and math.isfinite(base.val_loss):
        best, before = min(losses), base.val_loss
        if best < before * (1 - max(LITTLE, LUCK / math.sqrt(max(base.rows, 1)))):
            return None
        mine, its = words.numbers(best, before)
        told = f"the best validation loss is {mine}, and always predicting {base.says} has {its}"
    else:
        best, before = evidence.best_score, base.val_score
        if not base.reaches(best):
            return None
        mine, its = words.numbers(best, before)
        told = f"the best {base.score} is {mine}, and always predicting {base.says} has {its}"
    return Finding(
        "nothing_learned",
        f"Nothing was learned: {told}.",
        {"best": best, "baseline": before, "trials": len(evidence.ranking)},
        ADVICE,
        Severity.WARNING,
    )


def _flat(evidence: Evidence) -> Finding | None:
    curves = [evidence.curve(row) for row in evidence.leaders.tolist()]
    losses = [c.train_loss if np.isfinite(c.train_loss).any() else c.loss for c in curves]
    if not losses or min(map(len, losses)) < FEWEST_EPOCHS:
        return None
    if any(np.ptp(loss) > LITTLE * abs(loss[0]) for loss in losses):
        return None
    first, last = float(losses[0][0]), float(losses[0][-1])
    began, ended = words.numbers(first, last)
    return Finding(
        "nothing_learned",
        f"Nothing was learned: in the best {len(losses)} trials the loss ends where it started; in the best "
        f"one it went from {began} to {ended}.",
        {"first": first, "last": last, "trials": len(losses)},
        ADVICE,
        Severity.WARNING,
    )
