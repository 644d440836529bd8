"""Comments on studies and trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import optuna
import pytest

import tuner
from tuner.errors import SpecError, StudyNotFound
from tuner.store import verify

URL = "sqlite:///tuner.db"


def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    if context.number == 1:
        tuner.comment("s", "written while it runs")
    yield {"val_loss": params["x"]}


@pytest.fixture
def study() -> tuner.Study:
    return tuner.start(trainer=train, space={"x": tuner.Float(0, 1)}, name="s", trials=3)


def test_they_are_written_replaced_and_taken_away_by_anybody(study: tuner.Study) -> None:
    assert study.comments == {None: "written while it runs"}
    assert "comment" not in study.trials
    tuner.comment("s", " looks good #keep\n", trial=2)
    tuner.comment("s", "second thoughts", trial=0)
    tuner.comment("s", "")
    study.refresh()
    assert study.comments == {0: "second thoughts", 2: "looks good #keep"}
    assert study.trial(2).comment == "looks good #keep"
    assert study.trial(1).comment is None
    assert study.trials["comment"].fillna("").tolist() == ["second thoughts", "", "looks good #keep"]
    theirs = optuna.load_study(study_name="s", storage=URL)
    assert theirs.user_attrs["comments"] == {"0": "second thoughts", "2": "looks good #keep"}
    assert verify(URL).is_sound


def test_what_cannot_be_kept_is_refused(study: tuner.Study) -> None:
    with pytest.raises(SpecError, match="s: there is no trial 7"):
        tuner.comment("s", "x", trial=7)
    with pytest.raises(SpecError, match="at most 2,000 characters are kept, found 2,001"):
        tuner.comment("s", "x" * 2_001)
    with pytest.raises(StudyNotFound, match="no study 'r'"):
        tuner.comment("r", "x")
    tuner.comment("s", "a\0b \udce9", trial=1)
    assert study.refresh().trial(1).comment == "a\ufffdb ?"


def test_what_somebody_else_keeps_under_that_name_is_left_alone_until_one_is_written(
    study: tuner.Study,
) -> None:
    theirs = optuna.load_study(study_name="s", storage=URL)
    for other in ("a text", ["a", "list"], {"trial": "nobody's", "1": 5}):
        theirs.set_user_attr("comments", other)
        assert study.refresh().comments == ({1: "5"} if isinstance(other, dict) else {})
