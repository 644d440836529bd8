"""Commonest class: always predicting it has as good a score as the best trial, though the loss fell."""

from __future__ import annotations

import math

from tuner.findings import nothing_learned
from tuner.findings.evidence import Evidence
from tuner.findings.finding import Finding, Severity

_OF_THE_RARE = (
    'If one class is rare, use a score that counts the rows of it that are missed: [trainer] score = "f1" or '
    '"recall", and [objective] metric = "val_score".'
)
_OTHERWISE = (
    "Look at the inputs first (tune check): they may not contain what distinguishes the classes, or there "
    "may be too few rows of the rare one to learn from."
)


def find(evidence: Evidence) -> Finding | None:
    """Reported when no trial's score is better than that of the baseline."""
    base, best = evidence.baseline, evidence.best_score
    if base is None or not len(evidence.ranking) or not math.isfinite(best) or not base.reaches(best):
        return None
    if base.score_falls or base.score == "r2" or nothing_learned.find(evidence) is not None:
        return None
    return Finding(
        "commonest_class",
        f"Always predicting {base.says} is as good: it has {_article(base.score)} {base.score} of "
        f"{base.val_score:.2%} on the validation rows, and no trial has more than {best:.2%}.",
        {"best": best, "baseline": base.val_score, "score": base.score},
        _OF_THE_RARE if base.score == "accuracy" else _OTHERWISE,
        Severity.WARNING,
    )


def _article(word: str) -> str:
    return "an" if word[0] in "af" else "a"
