from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages._rdb.models import BaseModel
from sqlalchemy import Column, Dialect, Enum, Table
from sqlalchemy.dialects import registry

from tests.store.asking import asked
from tuner.errors import StoreError
from tuner.store import Database
from tuner.store.schema import OPTUNA, OURS, VERSION

OPTUNAS = BaseModel.metadata.tables


def described(column: Column[Any], dialect: Dialect) -> tuple[Any, ...]:
    labels = (column.type.name, column.type.enums) if isinstance(column.type, Enum) else ()
    return (
        column.name,
        column.type.compile(dialect=dialect),
        labels,
        column.nullable,
        column.primary_key,
        column.server_default,
    )


@pytest.mark.parametrize("table", OPTUNA, ids=lambda table: table.name)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_each_declared_table_is_optunas(table: Table, kind: str) -> None:
    dialect: Dialect = registry.load(kind)()
    ours = [described(column, dialect) for column in table.columns]
    assert ours == [described(column, dialect) for column in OPTUNAS[table.name].columns]


def test_every_table_of_optuna_that_keeps_studies_is_declared() -> None:
    assert {table.name for table in OPTUNA} == set(OPTUNAS) - {"version_info"}


def test_our_tables_carry_our_prefix() -> None:
    assert [table.name for table in OURS if not table.name.startswith("tuner_")] == []


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_new_database_has_both_schemas_and_takes_readers_beside_a_writer(kind: str, url: str) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        tables = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        assert tables >= {table.name for table in (*OPTUNA, *OURS)}
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize("kind", ["sqlite"])
def test_opening_again_changes_nothing(kind: str, url: str) -> None:
    path = Path(url.removeprefix("sqlite:///"))
    before = path.read_bytes()
    Database.open(url, create=True).close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("create", [True, False])
def test_a_later_tuners_database_is_refused_with_both_versions(url: str, create: bool) -> None:
    asked(url, "UPDATE tuner_schema SET version = 99")
    with pytest.raises(StoreError, match=f"have version 99, this tuner knows version {VERSION}"):
        Database.open(url, create=create)


def test_a_file_of_plain_optuna_gets_our_tables_beside(tmp_path: Path, spec: Any) -> None:
    url = f"sqlite:///{tmp_path}/theirs.db"
    theirs = optuna.create_study(study_name="theirs", storage=url)
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    with Database.open(url) as database:
        assert database.studies() == []
    with Database.open(url, create=True) as database:
        database.create_study("ours", spec, {}).close()
        assert [study.name for study in database.studies()] == ["ours"]
    assert len(optuna.load_study(study_name="theirs", storage=url).trials) == 2
    assert optuna.get_all_study_names(url) == ["theirs", "ours"]


def test_an_optuna_schema_that_optuna_refuses_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    optuna.create_study(storage=f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    connection.close()
    with pytest.raises(StoreError, match="optuna storage upgrade"):
        Database.open(str(path), create=True)
