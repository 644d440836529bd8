"""A study gets another name, and everything that is its own follows."""

from __future__ import annotations

import os
from pathlib import Path

import optuna
import pytest

import tuner
from tests.findings.trained import RATE
from tuner.api.stored import summaries, verify
from tuner.errors import SpecError, StudyExists, StudyLocked, StudyNotFound
from tuner.store import Database

QUICK = {"trainer.epochs": 2, "trainer.workers": 1, "confirm.repeats": 3, "confirm.top": 1}


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuner.Study:
    monkeypatch.chdir(tmp_path)
    return tuner.start("digits", name="old", space=RATE, trials=2, settings=QUICK, confirm=True)


def test_trials_models_and_confirmations_follow_and_the_study_goes_on(old: tuner.Study) -> None:
    folder, confirmed = old.recommended.folder, old.confirmation
    tuner.rename("old", "new name")
    with pytest.raises(StudyNotFound):
        tuner.load("old")
    new = tuner.load("new name")
    assert new.spec.name == "new name"
    assert new.recommended.folder == folder
    assert new.confirmation == confirmed
    assert [each.name for each in summaries()] == ["new name"]
    with Database.open("sqlite:///tuner.db") as database:
        [*_, last] = database.specs("new name")
    assert last.changes == ("name: old -> new name",)
    assert last.command == "tuner.rename('old', 'new name')"
    assert verify().is_sound
    assert optuna.load_study(study_name="new name", storage="sqlite:///tuner.db").best_value == new.best.value
    assert len(tuner.resume("new name", trials=3, confirm=False).records) == 3
    assert tuner.confirm("new name", reopen=True).test is not None
    # A study of the old name is another one.
    other = tuner.start("digits", name="old", space=RATE, trials=1, settings=QUICK, confirm=True)
    assert other.confirmation is not None
    assert confirmed is not None
    assert other.confirmation.confirmed_by != confirmed.confirmed_by
    tuner.delete("new name")
    assert [each.name for each in summaries()] == ["old"]
    with Database.open("sqlite:///tuner.db") as database:
        assert len(database.names()) == 2
    assert tuner.load("old").recommended.model() is not None


def test_what_is_no_new_name_changes_nothing(old: tuner.Study) -> None:
    tuner.start("digits", name="other", space=RATE, trials=1, settings=QUICK | {"confirm.auto": False})
    for name, error, words in (
        ("other", StudyExists, "a study 'other' is already there"),
        ("old", StudyExists, "a study 'old' is already there"),
        ("", SpecError, "name"),
        ("x" * 201, SpecError, "name"),
        ("a\nb", SpecError, "control character"),
    ):
        with pytest.raises(error, match=words):
            tuner.rename("old", name)
    with pytest.raises(StudyNotFound):
        tuner.rename("gone", "here")
    assert tuner.load("old").records == old.records


def test_a_study_that_is_driven_keeps_its_name(old: tuner.Study) -> None:
    with Database.open("sqlite:///tuner.db") as database:
        driven = database.resume_study("old", facts={}, command="")
        with pytest.raises(StudyLocked, match=str(os.getpid())):
            tuner.rename("old", "new")
        driven.close()
