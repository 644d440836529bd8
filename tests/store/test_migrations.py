"""A database that the first version wrote is brought to this one, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect

from tuner.core.ports import Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial, TrialState
from tuner.errors import StoreError, StudyLocked
from tuner.store import Database, migrations, verify
from tuner.store.encoding import now, stamp
from tuner.store.schema import VERSION

FIRST = Path(__file__).parent / "data" / "version-1.db"
"""Written by the code of version 1: the studies `done`, `cut` (Ctrl-C) and `killed` (SIGKILL)."""


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return Path(shutil.copyfile(FIRST, tmp_path / "tuner.db"))


def asked(path: Path, statement: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def described(path: Path) -> dict[str, Any]:
    inspector = inspect(create_engine(f"sqlite:///{path}"))
    triggers = asked(path, "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name")
    tables: dict[str, Any] = {"triggers": triggers}
    for name in inspector.get_table_names():
        columns = [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)]
        keys = (inspector.get_pk_constraint(name)["constrained_columns"], inspector.get_foreign_keys(name))
        tables[name] = (columns, keys)
    return tables


@pytest.mark.parametrize("create", [True, False])
def test_a_database_of_the_first_version_is_brought_to_this_one_when_it_is_opened(
    first: Path, template: Path, create: bool
) -> None:
    Database.open(str(first), create=create).close()
    assert described(first) == described(template)
    assert asked(first, "SELECT version FROM tuner_schema") == [(VERSION,)]
    assert asked(first, "SELECT version FROM tuner_migrations") == [(step,) for step in range(2, VERSION + 1)]
    assert [f.what for f in verify(str(first)).findings if f.is_fault] == []


def test_its_studies_go_on_with_all_that_they_had(first: Path) -> None:
    with Database.open(str(first)) as database:
        assert {s.name: s.counts["finished"] for s in database.studies()} == {
            "done": 4,
            "cut": 2,
            "killed": 1,
        }
        for name in ("cut", "killed"):
            curves = database.curves(name)
            resumed = database.resume_study(name)
            records = database.records(name)
            left = [r for r in records if not r.state.is_over]
            assert [(r.state, r.interruptions, r.epochs) for r in left] == [(TrialState.WAITING, 1, 2)] * 2
            assert database.curves(name) == curves
            resumed.record(Turn(started=[Trial(r.number, r.params, 0) for r in left]))
            resumed.close()
        [only] = database.specs("done")
        assert (only.command, only.changes, only.digest) == ("", (), database.study("done").digest)
        assert only.at == database.study("done").created_at


def test_a_migration_that_fails_leaves_everything_as_it_was(
    first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = described(first)

    def breaks(connection: Any) -> None:
        migrations._to_2(connection)
        connection.exec_driver_sql("INSERT INTO no_such_table VALUES (1)")

    monkeypatch.setattr(migrations, "STEPS", {2: breaks})
    with pytest.raises(StoreError, match=f"must be brought to version {VERSION} once"):
        Database.open(str(first))
    assert described(first) == before
    assert asked(first, "SELECT version FROM tuner_schema") == [(1,)]
    monkeypatch.undo()
    Database.open(str(first)).close()


def test_a_database_that_an_older_tuner_drives_is_left_alone(first: Path) -> None:
    lease = "UPDATE tuner_lease SET host = ?, pid = ?, heartbeat = ?"
    asked(first, lease, socket.gethostname(), os.getppid(), stamp(now()))
    with pytest.raises(StudyLocked, match="a tuner that writes tables of version 1, drives a study"):
        Database.open(str(first))
    assert asked(first, "SELECT version FROM tuner_schema") == [(1,)]


def test_there_is_a_step_to_every_version() -> None:
    assert list(migrations.STEPS) == list(range(2, VERSION + 1))


def test_what_was_called_f1_before_goes_on_as_the_mean_over_classes_that_it_was(first: Path) -> None:
    [(text,)] = asked(
        first, "SELECT spec FROM tuner_studies t JOIN studies s USING (study_id) WHERE study_name = 'done'"
    )
    spec = json.loads(text)
    spec["trainer"]["score"] = "f1"
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
    asked(
        first,
        "UPDATE tuner_studies SET spec = ?, digest = ? WHERE study_id IN "
        "(SELECT study_id FROM studies WHERE study_name = 'done')",
        json.dumps(spec),
        digest,
    )
    with Database.open(str(first)) as database:
        summary = database.study("done")
        [only] = database.specs("done")
        for found in (summary, only):
            assert StudySpec.parse(found.spec, "done").trainer.score == "f1_macro"
            assert found.digest == hashlib.sha256(json.dumps(found.spec, sort_keys=True).encode()).hexdigest()
        assert database.study("cut").spec["trainer"].get("score") is None
    assert [f.what for f in verify(str(first)).findings if f.is_fault] == []
