"""A database that an earlier version wrote is brought to this one, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect

from tuner.core.spec import StudySpec
from tuner.errors import StoreError, StudyLocked
from tuner.store import Database, migrations, verify
from tuner.store.encoding import now, stamp
from tuner.store.schema import VERSION

PROJECT = Path(__file__).parent / "data" / "version-4.zip"
"""Left by the code of version 4: `An old study`, finished and confirmed, and `cut` (SIGKILL)."""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    with zipfile.ZipFile(PROJECT) as archive:
        archive.extractall(tmp_path)
    return tmp_path / "tuner.db"


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
def test_a_database_of_an_earlier_version_is_brought_to_this_one_when_it_is_opened(
    older: Path, template: Path, create: bool
) -> None:
    Database.open(str(older), create=create).close()
    assert described(older) == described(template)
    assert asked(older, "SELECT version FROM tuner_schema") == [(VERSION,)]
    assert asked(older, "SELECT version FROM tuner_migrations") == [(step,) for step in range(4, VERSION + 1)]
    assert [f.what for f in verify(str(older)).findings if f.is_fault] == []


def test_a_migration_that_fails_leaves_everything_as_it_was(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = described(older)

    def breaks(connection: Any) -> None:
        migrations._to_5(connection)
        connection.exec_driver_sql("INSERT INTO no_such_table VALUES (1)")

    monkeypatch.setattr(migrations, "STEPS", {5: breaks})
    with pytest.raises(StoreError, match=f"must be brought to version {VERSION} once"):
        Database.open(str(older))
    assert described(older) == before
    assert asked(older, "SELECT version FROM tuner_schema") == [(4,)]
    monkeypatch.undo()
    Database.open(str(older)).close()


def test_a_database_that_an_older_tuner_drives_is_left_alone(older: Path) -> None:
    lease = "UPDATE tuner_lease SET host = ?, pid = ?, heartbeat = ?"
    asked(older, lease, socket.gethostname(), os.getppid(), stamp(now()))
    with pytest.raises(StudyLocked, match="a tuner that writes tables of version 4, drives a study"):
        Database.open(str(older))
    assert asked(older, "SELECT version FROM tuner_schema") == [(4,)]


def test_there_is_a_step_to_every_version() -> None:
    assert list(migrations.STEPS) == list(range(migrations.OLDEST + 1, VERSION + 1))


def test_a_database_from_before_the_oldest_version_is_refused_and_left_as_it_is(older: Path) -> None:
    asked(older, "UPDATE tuner_schema SET version = 3")
    before = described(older)
    with pytest.raises(
        StoreError, match="have version 3; this tuner opens version 4 and later; open it once"
    ):
        Database.open(str(older))
    [finding] = verify(str(older)).findings
    assert (finding.what, finding.to_do) == ("its tables have version 3", migrations.TOO_OLD)
    assert described(older) == before


def test_what_was_called_f1_before_goes_on_as_the_mean_over_classes_that_it_was(older: Path) -> None:
    named = "study_id IN (SELECT study_id FROM studies WHERE study_name = 'An old study')"
    [(text,)] = asked(older, f"SELECT spec FROM tuner_studies WHERE {named}")
    spec = json.loads(text)
    spec["trainer"]["score"] = "f1"
    for table in ("tuner_studies", "tuner_specs"):
        change = f"UPDATE {table} SET spec = ?, digest = ? WHERE {named}"
        asked(older, change, json.dumps(spec), digest(spec))
    with Database.open(str(older)) as database:
        assert StudySpec.parse(database.study("An old study").spec, "s").trainer.score == "f1_macro"
        assert database.study("cut").spec["trainer"].get("score") is None
    for table in ("tuner_studies", "tuner_specs"):
        [(text, stored)] = asked(older, f"SELECT spec, digest FROM {table} WHERE {named}")
        assert json.loads(text)["trainer"]["score"] == "f1_macro"
        assert stored == digest(json.loads(text))
    assert [f.what for f in verify(str(older)).findings if f.is_fault] == []


def digest(spec: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
