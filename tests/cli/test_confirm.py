from __future__ import annotations

from tests.cli.program import Tune


def test_confirm_says_what_to_take_and_prints_the_same_as_json(stored: Tune) -> None:
    told = stored("confirm", "study", "--top", "2", "--repeats", "3", "--quiet")
    assert told.code == 0
    assert "Take " in told.out
    assert "not tested" in told.out
    table = stored("confirm", "study", "--json").json
    assert table["choice"]["recommended"] in (0, *(each["number"] for each in table["candidates"]))
    assert [len(each["values"]) for each in table["candidates"]] == [3, 3, 3]
    assert stored("best", "study", "--json").json["confirmed"] == table
    assert "~confirm" not in stored("list").out


def test_start_confirms_unless_the_study_says_otherwise(tune: Tune) -> None:
    told = tune("start", "study.toml", "--quiet", "--set", "confirm.auto=true", "--set", "confirm.repeats=3")
    assert "what was confirmed" in told.out
    assert "what was confirmed" not in tune("start", "study.toml", "--name", "other", "--quiet").out


def test_too_few_repeats_are_refused(stored: Tune) -> None:
    assert stored("confirm", "study", "--repeats", "2").code == 2
