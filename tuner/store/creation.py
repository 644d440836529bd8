"""Creates missing tables, Optuna's and tuner's; on SQLite in one transaction.

Optuna's own machinery takes 0.5 s to load and to create its tables in an SQLite file; `optuna.sql`, which
holds what Optuna 5 writes, takes 0.04 s. An Optuna with other tables writes a file of its own to copy from.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version as version_of
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import URL, Connection, Engine, inspect

from tuner.errors import StoreError
from tuner.store.connect import backend_of, connect, display_url, store_errors, write_ahead, writing
from tuner.store.encoding import now, stamp
from tuner.store.schema import METADATA, OURS, VERSION, tuner_migrations, tuner_schema, version

REVISIONS = frozenset({
    "v0.9.0.a", "v1.2.0.a", "v1.3.0.a", "v2.4.0.a", "v2.6.0.a_", "v3.0.0.a", "v3.0.0.b", "v3.0.0.c",
    "v3.0.0.d", "v3.2.0.a_",
})  # fmt: skip
"""The migrations of the Optuna whose tables are in optuna.sql; another one has others."""


def create_file(url: URL) -> None:
    """Create an SQLite file with all tables, unless another process does so first.

    Raises:
        StoreError: it cannot be written.
    """
    engine = connect(url, create=True)
    try:
        ensure(engine)
    finally:
        engine.dispose()


def ensure(engine: Engine) -> None:
    """Create Optuna's tables and ours where they are missing.

    Raises:
        StoreError: the database cannot be written, or one of the two schemas does not fit.
    """
    where = display_url(engine.url)
    with store_errors(where), engine.begin() as connection:
        if version(connection) is not None:
            return
        is_blank = connection.dialect.name == "sqlite" and not inspect(connection).get_table_names()
    with store_errors(where), backend_of(engine.url).exclusive(engine):
        if not is_blank:
            open_optunas(engine.url)
        with writing(engine).begin() as connection:
            if is_blank and not inspect(connection).get_table_names():
                for statement in _optunas_statements():
                    connection.exec_driver_sql(statement)
            if version(connection) is None:
                _create_ours(connection)
        write_ahead(engine)


def _create_ours(connection: Connection) -> None:
    METADATA.create_all(connection, tables=OURS)
    connection.execute(tuner_schema.insert().values(version=VERSION))
    connection.execute(tuner_migrations.insert().values(version=VERSION, at=stamp(now())))


def _optunas_statements() -> Iterator[str]:
    """What Optuna executes in a new SQLite file."""
    package = find_spec("optuna")
    folders = package.submodule_search_locations if package is not None else None
    folder = Path(*(folders or [""])[:1], "storages", "_rdb", "alembic", "versions")
    if frozenset(path.stem for path in folder.glob("*.py")) == REVISIONS:
        script = Path(__file__).with_name("optuna.sql").read_text(encoding="utf-8")
        yield from filter(str.strip, script.replace("VERSION_OF_OPTUNA", version_of("optuna")).split(";\n"))
        return
    with TemporaryDirectory(prefix="tuner-", ignore_cleanup_errors=True) as draft:
        file = Path(draft) / "optuna.db"
        open_optunas(URL.create("sqlite", database=str(file)))
        with closing(sqlite3.connect(file)) as made:
            yield from (text for text in made.iterdump() if text not in ("BEGIN TRANSACTION;", "COMMIT;"))


def open_optunas(url: URL, *, creates: bool = True) -> None:
    """Have Optuna check its tables, or create them where there are none.

    Raises:
        StoreError: Optuna refuses them.
    """
    from optuna.exceptions import StorageInternalError
    from optuna.storages import RDBStorage

    # Optuna fills a template: a brace in the URL would stand for a field of it.
    text = url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    try:
        storage = RDBStorage(text, skip_table_creation=not creates)
    except StorageInternalError as error:
        raise error.__cause__ or error from None
    except RuntimeError as error:
        raise StoreError(f"{display_url(url)}: {error}") from error
    storage.remove_session()
    storage.engine.dispose()
