"""A URL or a path becomes an SQLAlchemy engine; what goes wrong with it becomes a StoreError.

All that is special about SQLite is here. Knows no table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from tuner.errors import StoreError

BUSY_TIMEOUT_S = 30.0
"""How long SQLite waits for another program's transaction; `?timeout=` in the URL replaces it."""

_SENTENCES = {
    "SQLITE_NOTADB": "is not a database; name another file",
    "SQLITE_CANTOPEN": "cannot be opened; its folder must exist and be writable",
    "SQLITE_READONLY": "is read-only; make the file and its folder writable, or name another one",
    "SQLITE_BUSY": "another program keeps it locked; try again when that one is done",
    "SQLITE_FULL": "the disk is full; free some space, then go on where you were",
    "SQLITE_CORRUPT": "is damaged; restore a copy or name another file",
    "SQLITE_IOERR": "the disk fails to read or write it; look at the disk",
}


def parse(url: str) -> URL:
    """Read a database's address.

    Args:
        url: an SQLAlchemy URL, or a path that ends in ``.db``.

    Raises:
        StoreError: it is neither, or an SQLite database without a file.
    """
    if "://" not in url and url.endswith(".db"):
        return URL.create("sqlite", database=url)
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(
            f"'{url}' is no database: give a file that ends in .db, or a URL such as sqlite:///tuner.db"
        ) from error
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError(f"'{url}' has no file, so nothing would be kept; give sqlite:///tuner.db")
    return parsed


def file_of(url: URL) -> Path | None:
    """The file of an SQLite database; None for a server's."""
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(url.database).absolute()


def place(url: URL) -> str:
    """How messages call the database: an SQLite file's path, or the URL without its password."""
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string()


def connect(url: URL) -> Engine:
    """An engine that has not connected yet.

    Raises:
        StoreError: the kind of database is unknown, or its driver is not installed.
    """
    is_sqlite = url.get_backend_name() == "sqlite"
    options: dict[str, Any] = {}
    if is_sqlite and "timeout" not in url.query:
        options["connect_args"] = {"timeout": BUSY_TIMEOUT_S}
    try:
        engine = create_engine(url, **options)
    except NoSuchModuleError as error:
        raise StoreError(
            f"{place(url)}: unknown kind of database '{url.drivername}'; known: sqlite, postgresql, mysql"
        ) from error
    except ImportError as error:
        raise StoreError(f"{place(url)}: its driver is missing ({error}); install it") from error
    except (SQLAlchemyError, TypeError, ValueError) as error:
        raise StoreError(f"{place(url)}: is no usable URL: {_first_line(error)}") from error
    if is_sqlite:
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    return engine


def writing(engine: Engine) -> Engine:
    """The same engine, its transactions holding SQLite's write lock from their beginning.

    A transaction that first reads and then writes would otherwise fail at once when another
    program wrote in between, instead of waiting.
    """
    return engine.execution_options(tuner_begin="BEGIN IMMEDIATE")


def write_ahead(engine: Engine) -> None:
    """Let readers of an SQLite file go on while it is written; stays so. Nothing on other databases."""
    if engine.dialect.name == "sqlite":
        with engine.execution_options(tuner_begin="").connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turn what the database raises into a StoreError of one line."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(f"{where}: {_sentence(error)}") from error
    except json.JSONDecodeError as error:
        raise StoreError(f"{where}: is damaged ({error}); restore a copy or name another one") from error


def _prepare(connection: Any, _record: object) -> None:
    # Transactions begin where SQLAlchemy says so, not where the driver guesses.
    connection.isolation_level = None
    # With write-ahead logging NORMAL loses nothing when a program dies, and never consistency.
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    statement = connection.get_execution_options().get("tuner_begin", "BEGIN")
    if statement:
        connection.exec_driver_sql(statement)


def _sentence(error: SQLAlchemyError) -> str:
    if not isinstance(error, DBAPIError) or error.orig is None:
        return _first_line(error)
    code = getattr(error.orig, "sqlite_errorname", None)
    if code is None:
        return _first_line(error.orig)
    known = next((text for prefix, text in _SENTENCES.items() if code.startswith(prefix)), None)
    return known or f"is not as it should be ({_first_line(error.orig)}); restore a copy or name another one"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
