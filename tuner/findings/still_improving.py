"""Still improving: the best trials were best at the very end, so training was too short.

Source: the Deep Learning Tuning Playbook: a best epoch within the last tenth means that training was too
short.
"""

from __future__ import annotations

import numpy as np

from tuner.core import words
from tuner.findings.evidence import Evidence, noise_of, smooth
from tuner.findings.finding import Finding, Severity, of_the_best

FEWEST_EPOCHS = 5
"""In a shorter curve, the last epoch is often the best one."""

LATE = 0.1
"""The last tenth of the epochs, as the Playbook has it."""

WORTH = 0.02
"""The last fifth of the epochs must bring this share of all that training brought."""

JUMPS = 2.5
"""And this many jumps: three standard errors between two means of three epochs."""

MOST = 0.5
"""The least number of the best trials that must still improve."""


def find(evidence: Evidence) -> Finding | None:
    """Reported when at least half of the best trials that ran to their end still improved there."""
    gains = [gain for row in evidence.full if (gain := _late_gain(evidence, row)) is not None]
    late = [gain for gain in gains if gain > 0]
    if not late or len(late) < MOST * len(gains):
        return None
    gain, epochs = float(np.median(late)), int(np.median(evidence.frame.trials.epochs[evidence.full]))
    longer = 2 * max(epochs, evidence.planned)
    return Finding(
        "still_improving",
        f"{of_the_best(len(late), len(gains))} that trained to the end still improved there: the last fifth "
        f"of {epochs} epochs brought {words.percent(gain)} of the whole gain in {evidence.metric}.",
        {"trials": len(late), "of_best": len(gains), "share_of_gain": gain, "epochs": epochs},
        f"Train longer: [trainer] epochs = {longer}.",
        Severity.ADVICE,
    )


def _late_gain(evidence: Evidence, row: int) -> float | None:
    """The share of a trial's whole gain that came in its last fifth; 0 where it was over before."""
    curve = evidence.curve(row)
    size = len(curve.loss)
    if size < FEWEST_EPOCHS:
        return None
    best = int(np.argmin(curve.loss))
    whole = float(curve.loss[0] - curve.loss[best])
    if best < size - max(1, round(LATE * size)) or whole <= 0:
        return 0.0
    level = smooth(curve.loss)
    late = float(level[-1 - max(1, size // 5)] - level[-1])
    # A curve that only jumps has its best epoch at the end by luck, once in ten.
    jumps = np.nan_to_num(noise_of(curve.loss))
    return late / whole if late > max(JUMPS * jumps, WORTH * whole) else 0.0
