from __future__ import annotations

from pathlib import Path

import pytest

import tuner
from tests.store.asking import asked
from tuner.core.spec import StudySpec
from tuner.store import CONFIRMS, Database, verify
from tuner.store.columns import Reader


@pytest.fixture
def url(url: str, tmp_path: Path) -> str:
    def train(params: object, context: object) -> object:
        yield {"train_loss": 1.0, "val_loss": 2.0}

    storage = url
    space = {"x": tuner.Float(low=0.0, high=1.0, default=0.1)}
    tuner.start(trainer=train, space=space, name="s", trials=1, storage=storage)
    return storage


def test_an_opening_is_noted_once_until_it_has_a_result(url: str) -> None:
    with Database.open(url) as database:
        first = database.begin_confirmation("s", "confirm s", opened=True)
        assert database.begin_confirmation("s", "another", opened=True) == first
        database.end_confirmation("s", first.number, {"a": 1})
        database.end_confirmation("s", first.number, {"a": 2})
        assert database.begin_confirmation("s", "confirm s --reopen", opened=True).number == 2
        stored = database.confirmations("s")
    assert [each.result for each in stored] == [{"a": 1}, None]


def test_what_confirming_trained_is_a_study_but_not_one_to_look_at(url: str) -> None:
    with Database.open(url) as database:
        spec = StudySpec.parse(database.study("s").spec, "s")
        database.create_study("s~confirm", spec, {CONFIRMS: "s"}).close()
        assert {each.name: each.confirms for each in database.studies()} == {"s": None, "s~confirm": "s"}
    assert tuner.studies(storage=url)["name"].tolist() == ["s"]
    assert [each.name for each in Reader(url).studies()] == ["s"]


def test_verify_sees_an_opening_that_was_cut_off_and_one_that_was_removed(url: str) -> None:
    with Database.open(url) as database:
        database.begin_confirmation("s", "confirm s", opened=True)
        assert "was cut off after the test was opened" in str(verify(url).findings)
        database.end_confirmation("s", 1, {})
        database.begin_confirmation("s", "confirm s --reopen", opened=True)
    asked(url, "DELETE FROM tuner_confirmations WHERE number = 1")
    assert "the test was opened more often" in str(verify(url).findings)


def test_a_deleted_study_takes_its_confirmations_along(url: str) -> None:
    with Database.open(url) as database:
        database.begin_confirmation("s", "confirm s", opened=True)
        database.delete_study("s")
    assert asked(url, "SELECT count(*) FROM tuner_confirmations") == [(0,)]
