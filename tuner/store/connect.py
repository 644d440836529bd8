"""Makes an SQLAlchemy engine from a URL or a path; its errors become StoreErrors.

Everything special about SQLite is here: pragmas, how transactions begin, and its error codes.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SAWarning,
    SQLAlchemyError,
)

from tuner.errors import StoreError

BUSY_TIMEOUT_S = 30.0
"""How long SQLite waits for another program's transaction; `?timeout=` in the URL replaces it."""

_SENTENCES = {
    "SQLITE_NOTADB": "is not a database; name another file",
    "SQLITE_CANTOPEN": "cannot be opened; its folder must exist and be writable, with room on the disk",
    "SQLITE_READONLY_DBMOVED": "was moved or removed while it was open; put it back",
    "SQLITE_READONLY": "is read-only; make the file and its folder writable, or name another one",
    "SQLITE_BUSY": "another program keeps it locked, for longer than the "
    f"{BUSY_TIMEOUT_S:g} s that are waited (or ?timeout=S in the URL); end that program",
    "SQLITE_LOCKED": "another program keeps it locked; end that program",
    "SQLITE_PROTOCOL": "too many programs want it at once; end some of them",
    "SQLITE_FULL": "the disk is full; free some space",
    "SQLITE_CORRUPT": "is damaged; restore a copy or name another file",
    "SQLITE_IOERR": "the disk fails to read or write it; check the disk, and whether it is full",
}


_OTHERS = tuple(code for code in _SENTENCES if code not in ("SQLITE_NOTADB", "SQLITE_CORRUPT"))


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
            f"'{url}' is not a database: give a file that ends in .db, or a URL such as sqlite:///tuner.db"
        ) from error
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError(f"'{url}' has no file, so nothing would be kept; give sqlite:///tuner.db")
    return parsed


def file_of(url: URL) -> Path | None:
    """The file of an SQLite database; None for a server's."""
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(url.database).absolute()


def display_url(url: URL) -> str:
    """How messages call the database: an SQLite file's path, or the URL without its password."""
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string()


def connect(url: URL, *, create: bool = False, copy: Path | None = None) -> Engine:
    """An engine that has not connected yet.

    Args:
        url: the database.
        create: create an SQLite file that is not there.
        copy: an SQLite file that is read in its place, and never written.

    Raises:
        StoreError: the kind of database is unknown, or its driver is not installed.
    """
    is_sqlite = url.get_backend_name() == "sqlite"
    options: dict[str, Any] = {}
    if is_sqlite and "timeout" not in url.query:
        options["connect_args"] = {"timeout": BUSY_TIMEOUT_S}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SAWarning)  # of a key in the URL that has no effect
            engine = create_engine(url, **options)
    except NoSuchModuleError as error:
        raise StoreError(
            f"{display_url(url)}: unknown kind of database '{url.drivername}'; "
            "known: sqlite, postgresql, mysql"
        ) from error
    except ImportError as error:
        raise StoreError(f"{display_url(url)}: its driver is missing ({error}); install it") from error
    except (SQLAlchemyError, SAWarning, TypeError, ValueError) as error:
        raise StoreError(f"{display_url(url)}: is not a usable URL: {_first_line(error)}") from error
    if is_sqlite:
        if not create:
            event.listen(engine, "do_connect", partial(_only_existing, copy))
        event.listen(engine, "connect", _prepare)
        if copy is not None:
            event.listen(engine, "connect", _keep_unwritten)
        event.listen(engine, "begin", _begin)
    return engine


def writing(engine: Engine, *, full: bool = False, patience_s: float | None = None) -> Engine:
    """The same engine, its transactions holding SQLite's write lock from their beginning.

    A transaction that first reads and then writes would otherwise fail at once when another
    program wrote in between, instead of waiting.

    Args:
        engine: the engine.
        full: wait at each commit until the disk has it, so that it survives a power cut.
        patience_s: wait no longer than this for other programs' transactions.
    """
    first = ["PRAGMA synchronous=FULL"] if full else []
    if patience_s is not None:
        first.append(f"PRAGMA busy_timeout={patience_s * 1000:.0f}")
    return engine.execution_options(tuner_begin=(*first, "BEGIN IMMEDIATE"))


def write_ahead(engine: Engine) -> None:
    """Switch an SQLite file to WAL mode, which lets readers go on during writes; it stays so.

    Where another program is about to write, SQLite refuses this at once, whatever its busy timeout.
    """
    if engine.dialect.name != "sqlite":
        return
    with engine.execution_options(tuner_begin=()).connect() as connection:
        waits_ms = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
        until = time.monotonic() + waits_ms / 1000
        while True:
            try:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                return
            except OperationalError:
                if time.monotonic() >= until:
                    raise
            time.sleep(0.01)


@contextmanager
def store_errors(where: str) -> Iterator[None]:
    """Turn an error of the database into a StoreError of one line."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(f"{where}: {_sentence(error)}") from error
    except json.JSONDecodeError as error:
        raise StoreError(f"{where}: is damaged ({error}); restore a copy or name another one") from error


def tells_of_damage(error: Exception) -> bool:
    """Whether an error means damaged data, unlike a lock or a server that is down."""
    cause = error.__cause__
    if not isinstance(cause, DBAPIError):
        return True
    code = getattr(cause.orig, "sqlite_errorname", None)
    if code is None:
        return not isinstance(cause, OperationalError | InterfaceError)
    return not code.startswith(_OTHERS)


def _prepare(connection: Any, _record: object) -> None:
    # Transactions begin where SQLAlchemy says so, not where the driver guesses.
    connection.isolation_level = None
    # With write-ahead logging NORMAL loses nothing when a program dies, and never consistency.
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _keep_unwritten(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only=ON")


def _only_existing(
    copy: Path | None, _dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]
) -> None:
    """Open an existing file only: a removed one would come back empty."""
    if copy is not None or not options.get("uri"):
        arguments[0] = f"{(copy or Path(arguments[0])).absolute().as_uri()}?mode=rw"
        options["uri"] = True


def _begin(connection: Connection) -> None:
    for statement in connection.get_execution_options().get("tuner_begin", ("BEGIN",)):
        connection.exec_driver_sql(statement)


def _sentence(error: SQLAlchemyError) -> str:
    if not isinstance(error, DBAPIError) or error.orig is None:
        return _first_line(error)
    code = getattr(error.orig, "sqlite_errorname", None)
    if code is None and isinstance(error, OperationalError | InterfaceError):
        return (
            f"the server does not answer or refuses ({_first_line(error.orig).rstrip('.')}); see whether it "
            "runs, and whether host, port, user, password and database in the URL are right"
        )
    if code is None:
        return _first_line(error.orig)
    known = next((text for prefix, text in _SENTENCES.items() if code.startswith(prefix)), None)
    return known or f"is not as it should be ({_first_line(error.orig)}); restore a copy or name another one"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
