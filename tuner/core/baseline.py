"""Baseline: something simple beside a study's trials: a constant prediction, a linear model, boosted trees.

Plain values, stored among a study's facts; `trainers.baseline` knows the constant one at once,
`trainers.baselines` trains all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from pydantic import Field

from tuner.core.space.parameters import Section

Kind = Literal["constant", "linear", "boosted_trees"]

KINDS: tuple[Kind, ...] = get_args(Kind)

KEY = "baseline"
"""Where the constant one stands among a study's facts, known before anything trains."""

ALL = "baselines"
"""Where all of them stand, once they are trained."""

_NAMES: Mapping[str, str] = {"linear": "a linear model", "boosted_trees": "boosted trees"}


class BaselinesSpec(Section):
    """`[baselines]`: something simple, trained on the same rows beside the search."""

    use: tuple[Kind, ...] = Field(
        KINDS,
        description="what every report sets beside the trials: the best constant prediction, a linear model, "
        "boosted trees; [] turns it off, as does `TUNER_BASELINES=off`",
    )


@dataclass(frozen=True, slots=True)
class Baseline:
    """A simple model of the training rows, judged on the validation rows.

    Attributes:
        says: of the constant one, what it predicts, in words; of others their name.
        score: the name of the score.
        val_loss: its loss, of folds the mean; `nan` where it has none that is comparable with the trials'.
        val_score: its score, likewise.
        rows: the validation rows.
        score_falls: whether less of the score is better.
        kind: one of `KINDS`.
        left_out: why it could not be trained, in words; None where it was.
        loss_error: the standard error of its loss, by its validation rows; `nan` where it is not known.
        score_error: of its score, likewise.
    """

    says: str
    score: str
    val_loss: float
    val_score: float
    rows: int
    score_falls: bool = False
    kind: str = "constant"
    left_out: str | None = None
    loss_error: float = math.nan
    score_error: float = math.nan

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self | None:
        """The constant one that a study keeps; None where it keeps none."""
        return cls._read(facts.get(KEY))

    @staticmethod
    def score_of(given: str | None, facts: Mapping[str, Any]) -> str:
        """The name of a study's score, given or as its task has it; "" where that is not known."""
        constant = Baseline.of(facts)
        return given or (constant.score if constant is not None else "")

    @classmethod
    def all_of(cls, facts: Mapping[str, Any]) -> tuple[Self, ...]:
        """Those that were trained beside a study; none where it has not come to that."""
        found = facts.get(ALL)
        tables = found.get("found", ()) if isinstance(found, Mapping) else ()
        return tuple(each for table in tables if (each := cls._read(table)) is not None)

    @classmethod
    def _read(cls, table: Any) -> Self | None:
        if not isinstance(table, Mapping) or {"says", "score", "val_loss", "val_score", "rows"} - set(table):
            return None
        names = ("val_loss", "val_score", "loss_error", "score_error")
        loss, score, *errors = (math.nan if table.get(n) is None else float(table[n]) for n in names)
        # The first version did not store it, and knew one score of which less is better.
        falls = bool(table.get("score_falls", table["score"] == "rmse"))
        kind, why = str(table.get("kind", "constant")), table.get("left_out")
        says, name, rows = str(table["says"]), str(table["score"]), int(table["rows"])
        return cls(says, name, loss, score, rows, falls, kind, why, *errors)

    def to_table(self) -> dict[str, Any]:
        """JSON-ready."""
        return {n: None if x != x else x for n, x in asdict(self).items()}

    def reaches(self, score: float) -> bool:
        """Whether a score is no better than this one's."""
        return score >= self.val_score if self.score_falls else score <= self.val_score


@dataclass(frozen=True, slots=True)
class Contest:
    """A baseline and a trial on the same rows, by one measure.

    Attributes:
        kind: the baseline's.
        measure: ``"loss"`` or the name of the score.
        mine: of the trial.
        its: of the baseline.
        low: the lower end of the interval of the trial's gain; negative: it may be worse. On rows by
            which the trial was chosen, the gain less what choosing alone may bring.
        high: the upper end; the gain itself where there is no interval.
        is_first: whether the study searches for this measure.
        falls: whether less of it is better.
    """

    kind: str
    measure: str
    mine: float
    its: float
    low: float
    high: float
    is_first: bool
    falls: bool

    @property
    def share(self) -> float:
        """The trial's gain as a share of the baseline's error; of a score up to 1, what it lacks to 1."""
        gain = self.its - self.mine if self.falls else self.mine - self.its
        error = abs(self.its) if self.falls or self.its > 1 else 1 - self.its
        return gain / max(error, 1e-12)


def named(kind: str, says: str) -> str:
    """A baseline in words: ``always 'no'``, ``the mean``, ``a linear model``, ``boosted trees``."""
    return _NAMES.get(kind) or (f"always {says}" if says.startswith("'") else says)
