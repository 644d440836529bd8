"""Commonest class: always predicting it is as good as the best trial, or nearly as good."""

from __future__ import annotations

import math

from tuner.core import words
from tuner.core.baseline import Baseline
from tuner.findings import nothing_learned
from tuner.findings.evidence import Evidence
from tuner.findings.finding import Finding, Severity

MOST = 0.9
"""A class with this share of the rows makes an accuracy look good by itself."""

_OF_THE_RARE = (
    "If one class is rare, use a score that counts the rows of it that are missed: [trainer] score = "
    '"balanced_accuracy" or "average_precision", and [objective] metric = "val_score".'
)
_OTHERWISE = (
    "Look at the inputs first (tune check): they may not contain what distinguishes the classes, or there "
    "may be too few rows of the rare one to learn from."
)


def find(evidence: Evidence) -> Finding | None:
    """Reported when no trial's score is better than that of the baseline, or the baseline's is high."""
    base, best = evidence.baseline, evidence.best_score
    if base is None or not len(evidence.ranking) or not math.isfinite(best):
        return None
    if not base.reaches(best):
        return _unequal(base, best)
    if base.score_falls or base.score == "r2" or nothing_learned.find(evidence) is not None:
        return None
    return Finding(
        "commonest_class",
        f"Always predicting {base.says} is as good: it has {words.article(base.score)} {base.score} of "
        f"{words.percent(base.val_score, 2)} on the validation rows, and no trial has more than "
        f"{words.percent(best, 2)}.",
        {"best": best, "baseline": base.val_score, "score": base.score},
        _OF_THE_RARE if base.score == "accuracy" else _OTHERWISE,
        Severity.WARNING,
    )


def _unequal(base: Baseline, best: float) -> Finding | None:
    if base.score != "accuracy" or base.val_score < MOST:
        return None
    return Finding(
        "commonest_class",
        f"Always predicting {base.says} already has an accuracy of {words.percent(base.val_score, 2)} on the "
        f"validation rows, so the {words.percent(best, 2)} of the best trial say little of the other rows.",
        {"best": best, "baseline": base.val_score, "score": base.score},
        _OF_THE_RARE,
        Severity.ADVICE,
    )
