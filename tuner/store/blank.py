"""Optuna's tables in an SQLite file that has none, as Optuna itself creates them, without its machinery.

Loading that machinery takes as long as many trials. An Optuna whose tables are others is left to
create them itself. Our own tables are not known here.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import Engine, inspect

from tuner.store.connect import writing

REVISIONS = frozenset({
    "v0.9.0.a", "v1.2.0.a", "v1.3.0.a", "v2.4.0.a", "v2.6.0.a_", "v3.0.0.a", "v3.0.0.b", "v3.0.0.c",
    "v3.0.0.d", "v3.2.0.a_",
})  # fmt: skip
"""The migrations of the Optuna whose tables are in optuna.sql; another one has others."""

SCHEMA_VERSION = 12
"""What such an Optuna calls its tables' version beside that."""


def fill(engine: Engine) -> bool:
    """Create Optuna's tables; False where that is left to Optuna, and nothing is done."""
    if engine.dialect.name != "sqlite" or _revisions() != REVISIONS:
        return False
    with writing(engine).begin() as connection:
        if inspect(connection).get_table_names():
            return False
        # sqlite3 would end the transaction before it runs a whole script.
        script = Path(__file__).with_name("optuna.sql").read_text(encoding="utf-8")
        for statement in script.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        connection.exec_driver_sql(
            "INSERT INTO version_info (version_info_id, schema_version, library_version) VALUES (1, ?, ?)",
            (SCHEMA_VERSION, version("optuna")),
        )
    return True


def _revisions() -> frozenset[str]:
    package = find_spec("optuna")
    folders = package.submodule_search_locations if package is not None else None
    folder = Path(*(folders or [""])[:1], "storages", "_rdb", "alembic", "versions")
    return frozenset(path.stem for path in folder.glob("*.py"))
