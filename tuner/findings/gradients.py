"""Gradients: those of the first layer all but vanish beside those of the last one, or all are huge.

Trainers of networks put the norms of both into the first and the last epoch's reading, see
`core.trial.LAYER_NORMS`; for other trainers only huge gradients can be seen.
"""

from __future__ import annotations

import math

import numpy as np

from tuner.core.trial import LAYER_NORMS, Reading
from tuner.findings.evidence import Evidence
from tuner.findings.finding import Finding, Severity, of_the_best

FEWEST = 3
"""One or two trials may each be an exception."""

VANISHED = 1e-3
"""Layers whose gradients differ by less still learn, if slowly."""

HUGE = 1e3
"""With a loss of about one, no network that learns has a gradient of this norm."""


def find(evidence: Evidence) -> Finding | None:
    """Reported when it is so in most of the best trials, in their first epoch."""
    ends = [evidence.ends[row] for row in evidence.leaders.tolist() if row in evidence.ends]
    if len(ends) < FEWEST:
        return None
    ratios = [_ratio(first) for first, _ in ends]
    known = [ratio for ratio in ratios if math.isfinite(ratio)]
    vanished = [ratio for ratio in known if ratio < VANISHED]
    if len(known) >= FEWEST and 2 * len(vanished) > len(known):
        last = [ratio for _, end in ends if math.isfinite(ratio := _ratio(end))]
        after = f" ({float(np.median(last)):.1g} times at the end)" if last else ""
        least = float(np.median(vanished))
        return Finding(
            "gradients",
            f"{of_the_best(len(vanished), len(known))} {_begin(vanished)} with a gradient in the first layer "
            f"that is {least:.1g} times the last layer's{after}: the first layers hardly learn.",
            {"ratio": least, "trials": len(vanished), "of_best": len(known)},
            "Take fewer layers, another activation (relu, gelu), layer_norm, or a larger init_gain.",
            Severity.ADVICE,
        )
    norms = [norm for first, _ in ends if math.isfinite(norm := first.grad_norm)]
    huge = [norm for norm in norms if norm > HUGE]
    if len(norms) < FEWEST or 2 * len(huge) <= len(norms):
        return None
    return Finding(
        "gradients",
        f"{of_the_best(len(huge), len(norms))} {_begin(huge)} with gradients of a norm of about "
        f"{float(np.median(huge)):.1g}: steps that follow such gradients are unreliable.",
        {"norm": float(np.median(huge)), "trials": len(huge), "of_best": len(norms)},
        "Clip gradients (clipping), lower init_gain, scale the inputs and the target, or take layer_norm.",
        Severity.ADVICE,
    )


def _begin(trials: list[float]) -> str:
    return "begins" if len(trials) == 1 else "begin"


def _ratio(reading: Reading) -> float:
    first, last = (reading.get(name) for name in LAYER_NORMS)
    return first / last if last > 0 and math.isfinite(first) else math.nan
