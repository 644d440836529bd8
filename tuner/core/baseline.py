"""Baseline: what predicting the same for every row comes to, which every model should beat."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from tuner.core.spec import FALLING_SCORES

KEY = "baseline"
"""Where it stands among a study's facts."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The best constant prediction that the training rows suggest, judged on the validation rows.

    Attributes:
        says: what it predicts, in words.
        score: the name of the score.
        val_loss: its loss; `nan` where the trainer's loss is not one of probabilities.
        val_score: its score.
        rows: the validation rows.
        score_falls: whether less of the score is better.
    """

    says: str
    score: str
    val_loss: float
    val_score: float
    rows: int
    score_falls: bool = False

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self | None:
        """The one that a study keeps; None where it keeps none."""
        found = facts.get(KEY)
        if not isinstance(found, Mapping) or {"says", "score", "val_loss", "val_score", "rows"} - set(found):
            return None
        loss, score = (math.nan if found[n] is None else float(found[n]) for n in ("val_loss", "val_score"))
        falls = bool(found.get("score_falls", found["score"] in FALLING_SCORES))
        return cls(str(found["says"]), str(found["score"]), loss, score, int(found["rows"]), falls)

    def to_table(self) -> dict[str, Any]:
        """JSON-ready."""
        return {n: None if x != x else x for n, x in asdict(self).items()}

    def reaches(self, score: float) -> bool:
        """Whether a score is no better than this one's."""
        return score >= self.val_score if self.score_falls else score <= self.val_score
