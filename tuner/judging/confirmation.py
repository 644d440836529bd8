"""Confirmation: what is known of a study once its best trials were trained again and its test was opened.

Plain values, to and from a table that JSON can hold; how they came about is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from tuner.judging.choosing import Candidate, Choice
from tuner.judging.intervals import Interval
from tuner.judging.overtuning import Overtuning


@dataclass(frozen=True, slots=True)
class Opening:
    """When the locked test split was read, and by what.

    Attributes:
        at: UTC, ISO 8601.
        command: as it would read in a terminal.
        host: the machine.
    """

    at: str
    command: str
    host: str


@dataclass(frozen=True, slots=True)
class Tested:
    """The test: models of the recommended configuration and of the default one on rows nobody had seen.

    Attributes:
        rows: how many test rows there are.
        loss: of the recommended configuration.
        score: likewise.
        default_loss: of the default configuration; None where not all its repeats have a model.
        default_score: likewise.
        loss_gain: by how much the recommended one is better than the default; None where it is the default.
        score_gain: likewise.
    """

    rows: int
    loss: Interval
    score: Interval
    default_loss: Interval | None = None
    default_score: Interval | None = None
    loss_gain: Interval | None = None
    score_gain: Interval | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """All that was found.

    Attributes:
        study: the study.
        confirmed_by: the name under which the repeats are stored.
        metric: what is searched for.
        minimize: whether less of it is better.
        score: the name of the score.
        score_falls: whether less of the score is better.
        trials: how many trials the study had then.
        train_rows: how many rows each repeat trained on; 0 where the study has no `[data]`.
        validation_rows: how many rows judged it.
        redrawn: whether each repeat drew these rows anew; otherwise only the seeds differ.
        candidates: those that were trained again, the best of the search first, the default last.
        choice: who is best, and who is to be taken.
        params: the recommended trial's configuration.
        naive: the best value of the search, as it was reported before.
        confirmed: the recommended configuration's value over the repeats.
        openings: every time the test was read, this one last; none where there was nothing to read.
        test: None where there was no test.
        untested: why there was none, in words.
        overtuning: None likewise, or where the models on the way were not kept.
        model_path: the recommended model; None where none was kept.
    """

    study: str
    confirmed_by: str
    metric: str
    minimize: bool
    score: str
    score_falls: bool
    trials: int
    train_rows: int
    validation_rows: int
    redrawn: bool
    candidates: tuple[Candidate, ...]
    choice: Choice
    params: Mapping[str, float | int | str | bool]
    naive: float
    confirmed: Interval
    openings: tuple[Opening, ...] = ()
    test: Tested | None = None
    untested: str | None = None
    overtuning: Overtuning | None = None
    model_path: str | None = None

    @property
    def repeats(self) -> int:
        """How often each candidate was trained."""
        return len(self.candidates[0].values)

    @property
    def optimism(self) -> float:
        """By how much the best value of the search was better than the confirmed one; negative: worse."""
        sign = 1 if self.minimize else -1
        return sign * (self.confirmed.estimate - self.naive)

    @property
    def test_is_score(self) -> bool:
        """Whether the objective's counterpart on the test split is the score, not the loss."""
        return self.metric.endswith("_score")

    @property
    def kept_gain(self) -> tuple[float, float] | None:
        """The gain over the default configuration in the search, and on the test split.

        None without a test, or where the default has no value.
        """
        default = next((c for c in self.candidates if c.number == 0), None)
        if self.test is None or default is None or default.searched is None:
            return None
        gain = self.test.score_gain if self.test_is_score else self.test.loss_gain
        sign = 1 if self.minimize else -1
        return sign * (default.searched - self.naive), 0.0 if gain is None else gain.estimate

    def candidate(self, number: int) -> Candidate:
        """The candidate that was this trial."""
        return next(each for each in self.candidates if each.number == number)

    def to_table(self) -> dict[str, Any]:
        """As JSON has it."""
        table: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return table

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Confirmation:
        """What `to_table` wrote."""
        return _ADAPTER.validate_python(table)


_ADAPTER: TypeAdapter[Confirmation] = TypeAdapter(Confirmation)
