"""Saturated: the best trials had converged long before their last epoch.

Source: the Deep Learning Tuning Playbook: then more trials of fewer epochs are the better use of the
time. Curves that get worse again belong to the over-fitting finding.
"""

from __future__ import annotations

import numpy as np

from tuner.findings.evidence import Evidence, noise_of, smooth
from tuner.findings.finding import Finding, Severity

FEWEST_EPOCHS = 8
"""Fewer epochs leave little to save."""

FEWEST = 3
"""So few trials may each be an exception."""

EARLY = 0.5
"""Converged within the first half."""

NEARLY = 0.01
"""A trial within this share of the whole gain from its best has converged."""

RISE = 0.05
"""A curve that ends above its best by this share of its gain, and by two jumps, has turned instead."""


def find(evidence: Evidence) -> Finding | None:
    """Reported when the best trials that ran to their end were nearly as good at half time."""
    found = [each for row in evidence.full if (each := _done(evidence, row)) is not None]
    if len(found) < FEWEST:
        return None
    done, epochs = int(np.median([d for d, _ in found])), int(np.median([n for _, n in found]))
    if done > EARLY * epochs:
        return None
    enough = max(done + 2, round(1.3 * done))
    return Finding(
        "saturated",
        f"The best trials had practically converged after epoch {done} of {epochs}; later epochs hardly "
        f"changed {evidence.metric}.",
        {"done": done, "epochs": epochs, "trials": len(found)},
        f"Spend the time on more trials: [trainer] epochs = {enough}, or set [stop] patience.",
        Severity.NOTE,
    )


def _done(evidence: Evidence, row: int) -> tuple[int, int] | None:
    """After which epoch, and of how many; the last one where the curve rises again."""
    curve = evidence.curve(row)
    size = len(curve.loss)
    if size < FEWEST_EPOCHS:
        return None
    level = smooth(curve.loss)
    best = float(level.min())
    gain = float(curve.loss[0] - best)
    if level[-1] - best > max(2 * float(np.nan_to_num(noise_of(curve.loss))), RISE * gain):
        return size, size
    # The middle one of the first three epochs that are near.
    return int(np.argmax(level <= best + NEARLY * gain)) + 2, size
