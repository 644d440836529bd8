from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from tuner.store import Database, blank
from tuner.store.connect import connect, parse
from tuner.store.schema import OURS


def tables(path: Path) -> Iterator[tuple[str, ...]]:
    """What makes up a database's schema, ours apart, and the rows that name its version."""
    ours = {table.name for table in OURS}
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name")
        for kind, name, table, sql in found:
            if table not in ours and kind != "trigger":
                yield kind, name, table, " ".join((sql or "").replace("(", " ( ").replace(")", " ) ").split())
        for name in ("alembic_version", "version_info"):
            yield name, *map(str, connection.execute(f"SELECT * FROM {name}").fetchall())


def test_a_new_file_has_just_what_optuna_creates(tmp_path: Path) -> None:
    optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/theirs.db").engine.dispose()
    Database.open(f"sqlite:///{tmp_path}/ours.db", create=True).close()
    assert list(tables(tmp_path / "ours.db")) == list(tables(tmp_path / "theirs.db"))


def test_the_installed_optuna_is_the_one_whose_tables_are_known(tmp_path: Path) -> None:
    engine = connect(parse(f"sqlite:///{tmp_path}/a.db"), create=True)
    assert blank.fill(engine)
    engine.dispose()


def test_tables_that_are_there_are_left_to_optuna(tmp_path: Path) -> None:
    engine = connect(parse(f"sqlite:///{tmp_path}/a.db"), create=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE mine (x INTEGER)")
    assert not blank.fill(engine)
    engine.dispose()


def test_an_optuna_with_other_tables_creates_them_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blank, "REVISIONS", blank.REVISIONS - {"v3.2.0.a_"})
    optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/theirs.db").engine.dispose()
    Database.open(f"sqlite:///{tmp_path}/ours.db", create=True).close()
    assert list(tables(tmp_path / "ours.db")) == list(tables(tmp_path / "theirs.db"))
