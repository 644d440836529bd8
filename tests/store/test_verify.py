"""Whatever is wrong with a database is said in words."""

from __future__ import annotations

import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from tests.store.asking import asked
from tuner.artifacts import MODEL
from tuner.core.budget import StudyState
from tuner.core.ports import Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Trial, TrialRecord, TrialState
from tuner.errors import StoreError, StudyNotFound
from tuner.store import Database, verify
from tuner.store.connect import store_errors, tells_of_damage


@pytest.fixture
def whole(
    url: str,
    spec: StudySpec,
    trial: Callable[..., Trial],
    reading: Callable[..., Reading],
    ended: Callable[..., TrialRecord],
) -> str:
    """A database with a study of every kind of trial."""
    curve = [reading(1, 0.75), reading(2, 0.5), reading(3, float("nan"))]
    with Database.open(url) as database:
        store = database.create_study("nets", spec, {})
        store.artifacts.put(0, MODEL, lambda _: True)
        store.record(Turn(started=[trial(n) for n in range(6)]))
        store.record(Turn(readings=[(n, r) for n in range(5) for r in curve]))
        store.record(
            Turn(
                ended=[
                    ended(trial(0), curve, model_path="kept"),
                    ended(trial(1), curve, TrialState.STOPPED),
                    ended(trial(2), curve, TrialState.FAILED),
                ],
                paused=[ended(trial(3), curve, TrialState.PAUSED)],
            )
        )
        store.finish(StudyState.INTERRUPTED, "Ctrl-C", 1.0)
    return url


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_database_that_is_locked_is_not_called_damaged(kind: str, whole: str) -> None:
    with closing(sqlite3.connect(whole.removeprefix("sqlite:///"))) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="another program keeps it locked") as told:
            verify(f"{whole}?timeout=0.1")
    assert "restore" not in str(told.value)


def test_a_server_that_is_down_is_not_called_damaged() -> None:
    orig = ConnectionRefusedError('connection to server at "127.0.0.1" failed: Connection refused')
    with pytest.raises(StoreError) as caught, store_errors("postgresql://127.0.0.1/tuner"):
        raise OperationalError("", {}, orig)
    assert "does not answer or refuses" in str(caught.value)
    assert not tells_of_damage(caught.value)


def test_a_sound_database_has_nothing_to_be_said(whole: str) -> None:
    verdict = verify(whole)
    assert verdict.findings == []
    assert verdict.is_sound
    assert (verdict.studies, verdict.trials, verdict.epochs) == (1, 6, 15)


@pytest.mark.parametrize(
    ("harm", "number", "part"),
    [
        ("DELETE FROM tuner_epochs WHERE epoch = 2", 0, "epochs are missing: 2"),
        ("DELETE FROM tuner_epochs WHERE epoch = 3", 0, "its count of epochs is 3, and it has 2"),
        ("DELETE FROM trial_intermediate_values", 0, "it has 3 epochs, in Optuna's tables 0"),
        ("UPDATE tuner_epochs SET val_loss = 0.25", 0, "its best val_loss is stored as 0.5 in epoch 2"),
        ("UPDATE tuner_curves SET readings = :zeros", 0, "its packed curve differs from its epochs"),
        ("UPDATE tuner_trials SET value = 0.1 WHERE number = 3", 3, "its best val_loss is stored as 0.1"),
        ("UPDATE tuner_trials SET state = 'asleep' WHERE number = 1", 1, "its state 'asleep' is unknown"),
        ("UPDATE tuner_trials SET number = 9 WHERE number = 5", None, "trials are missing: 5"),
        ("UPDATE tuner_trials SET state = 'running' WHERE number = 4", None, "no process drives the study"),
        (
            "UPDATE tuner_trials SET model_path = '/no/such' WHERE number = 0",
            0,
            "its model is stored as '/no/such'",
        ),
        ("UPDATE tuner_trials SET params = '{' WHERE number = 0", 0, "its params cannot be read"),
        ("UPDATE tuner_trials SET ended_at = NULL WHERE number = 0", 0, "it is finished and has no end time"),
        ("UPDATE trials SET state = 'RUNNING' WHERE number = 0", 0, "in Optuna's tables RUNNING"),
        ("UPDATE tuner_studies SET spec = replace(spec, '100', '101')", None, "the stored digest"),
        ("UPDATE tuner_studies SET spec = '{}'", None, "its spec cannot be read"),
        ("UPDATE tuner_studies SET minimize = NOT minimize", None, "have different objectives"),
        ("DELETE FROM tuner_specs", None, "not the last one of its history"),
        ("DROP TABLE tuner_lease", None, "the table tuner_lease is missing"),
        ("ALTER TABLE tuner_trials DROP COLUMN rule", None, "the column tuner_trials.rule is missing"),
        ("UPDATE alembic_version SET version_num = 'v2.6.0.a'", None, "Optuna refuses it"),
    ],
)
def test_what_is_wrong_is_named(whole: str, harm: str, number: int | None, part: str) -> None:
    asked(whole, harm, zeros=bytes(64))
    verdict = verify(whole)
    assert not verdict.is_sound
    found = [f for f in verdict.findings if part in f.what]
    assert found, verdict.findings
    assert found[0].trial == number
    assert found[0].to_do


def test_a_study_that_was_killed_is_no_fault(
    whole: str, spec: StudySpec, trial: Callable[..., Trial]
) -> None:
    with Database.open(whole) as database:
        store = database.create_study("killed", spec, {})
        store.record(Turn(started=[trial(0)]))
        assert verify(whole).findings == []
        asked(whole, "UPDATE tuner_lease SET process_start = 'a|b', heartbeat = '2020-01-01T00:00:00+00:00'")
        verdict = verify(whole)
        assert verdict.is_sound
        [finding] = verdict.findings
        assert "1 trials were running" in finding.what
        assert finding.to_do == "go on with: tune resume killed"
        store.close()


@pytest.mark.parametrize("kind", ["sqlite"])
def test_rows_that_belong_to_nothing_are_found(kind: str, whole: str) -> None:
    asked(whole, "DELETE FROM trials WHERE number = 5")
    assert any("belong to nothing" in finding.what for finding in verify(whole).findings)


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_damaged_page_is_found(kind: str, whole: str) -> None:
    path = Path(whole.removeprefix("sqlite:///"))
    asked(whole, "PRAGMA user_version = 1")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = path.read_bytes()
    path.write_bytes(raw[:8192] + b"\xff" * 4096 + raw[12288:])
    assert not verify(whole).is_sound


def test_a_file_that_is_no_database_and_one_that_is_not_there_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("x,y\n" * 1000)
    [finding] = verify(str(tmp_path / "notes.db")).findings
    assert "is not a database" in finding.what
    with pytest.raises(StudyNotFound, match="no such file"):
        verify(str(tmp_path / "none.db"))


def test_a_database_of_an_earlier_version_is_left_as_it_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(Path(__file__).parent / "data" / "version-4.zip") as archive:
        archive.extract("tuner.db", tmp_path)
    verdict = verify(str(tmp_path / "tuner.db"))
    assert verdict.is_sound
    assert ["have version 4" in finding.what for finding in verdict.findings] == [True]
