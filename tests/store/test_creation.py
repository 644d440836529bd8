from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from tuner.store import Database, creation
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


def test_a_new_file_is_created_without_loading_optuna(tmp_path: Path) -> None:
    code = (
        "import sys; from tuner.store import Database; "
        "Database.open(sys.argv[1], create=True); sys.exit('optuna' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, f"{tmp_path}/a.db"], check=False).returncode == 0


def test_tables_that_are_there_stay_beside_optunas(tmp_path: Path) -> None:
    optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/theirs.db").engine.dispose()
    with closing(sqlite3.connect(tmp_path / "ours.db")) as connection:
        connection.execute("CREATE TABLE mine (x INTEGER)")
    Database.open(f"sqlite:///{tmp_path}/ours.db", create=True).close()
    found = list(tables(tmp_path / "ours.db"))
    assert [row for row in found if row[1] != "mine"] == list(tables(tmp_path / "theirs.db"))
    assert len(found) == 1 + len([row for row in found if row[1] != "mine"])


def test_an_optuna_with_other_tables_creates_them_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creation, "REVISIONS", creation.REVISIONS - {"v3.2.0.a_"})
    optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/theirs.db").engine.dispose()
    Database.open(f"sqlite:///{tmp_path}/ours.db", create=True).close()
    assert list(tables(tmp_path / "ours.db")) == list(tables(tmp_path / "theirs.db"))
