"""No gain: the best trial is not better than the default configuration, or by less than curves jump anyway.

It knows one run per trial, and not how much a second run would differ.
"""

from __future__ import annotations

import math

from tuner.core import words
from tuner.findings.evidence import Evidence, noise_of, smooth
from tuner.findings.finding import Finding, Severity

FEWEST = 10
"""Fewer trials are not a search."""

CLEAR = 2.0
"""Standard errors from which on two levels differ, at the 5 % level."""


def find(evidence: Evidence) -> Finding | None:
    """Reported when the gain over trial 0 is nothing, or within the noise of late epochs.

    Not reported after a confirmation, which knows more.
    """
    return None if evidence.is_confirmed else of_search(evidence)


def of_search(evidence: Evidence) -> Finding | None:
    """The finding from the search's curves."""
    best, default, trials = evidence.best, evidence.default, int(evidence.valued.sum())
    if best is None or default is None or trials < FEWEST:
        return None
    gain = float(evidence.loss[default] - evidence.loss[best])
    first, found = evidence.told(float(evidence.loss[default])), evidence.told(float(evidence.loss[best]))
    if gain <= 0 and bool((evidence.loss[evidence.unfinished] < evidence.loss[best]).any()):
        return None  # the search has ended before one that is better
    if gain <= 0:
        return Finding(
            "no_gain",
            f"None of {trials - 1} other trials is better than the default configuration, "
            f"{evidence.metric} {first}.",
            {"gain": 0.0, "trials": trials},
            "Use the default configuration, or search other settings: those searched so far, within their "
            "ranges, do not help.",
            Severity.WARNING,
        )
    level, jumps = _level(evidence, best)
    before, other = _level(evidence, default)
    apart, noise = before - level, math.hypot(jumps, other)
    # The mean of three epochs jumps less than one of them.
    if not apart < CLEAR * noise / math.sqrt(3):
        return None
    about, jump = (words.number(value, digits=2) for value in (apart, noise))
    return Finding(
        "no_gain",
        f"The best trial, {evidence.metric} {found}, is not clearly better than the default configuration, "
        f"{first}: averaged over three epochs they differ by "
        f"{about}, and this difference jumps by about {jump} "
        "from epoch to epoch.",
        {"gain": gain, "level_gain": apart, "jumps": noise, "trials": trials},
        "Treat it as a tie until both are trained again with several seeds; the default is the safe choice.",
        Severity.WARNING,
    )


def _level(evidence: Evidence, row: int) -> tuple[float, float]:
    """The best mean of three epochs in a row, less biased by luck than the best epoch, and the noise."""
    loss = evidence.curve(row).loss
    return (float(smooth(loss).min()), noise_of(loss)) if len(loss) else (math.nan, math.nan)
