"""Makes an SQLAlchemy engine from a URL or a path; its errors become StoreErrors.

What is special about a kind of database is in `sqlite` and `postgresql`, whose classes have the same methods.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    SAWarning,
    SQLAlchemyError,
)

from tuner.errors import StoreError
from tuner.store.postgresql import PostgreSQL
from tuner.store.sqlite import SQLite

_PSYCOPG = "postgresql+psycopg"
_KNOWN = "known: sqlite:///FILE and postgresql://USER@HOST/DATABASE"


Backend = SQLite | PostgreSQL
"""What differs between kinds of databases; `SQLite` says what each method is for."""

_BACKENDS: Mapping[str, Backend] = {"sqlite": SQLite(), "postgresql": PostgreSQL()}


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
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername=_PSYCOPG)
    kind = parsed.get_backend_name()
    if kind in ("mysql", "mariadb"):
        raise StoreError(f"{display_url(parsed)}: MySQL and MariaDB are not supported; {_KNOWN}")
    if kind not in _BACKENDS:
        raise StoreError(f"{display_url(parsed)}: unknown kind of database '{kind}'; {_KNOWN}")
    if kind == "postgresql" and parsed.drivername != _PSYCOPG:
        raise StoreError(
            f"{display_url(parsed)}: only the driver psycopg 3 is used; begin with postgresql://"
        )
    if kind == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError(f"'{url}' has no file, so nothing would be kept; give sqlite:///tuner.db")
    return parsed


def backend_of(url: URL) -> Backend:
    """What is special about a database of this kind."""
    return _BACKENDS[url.get_backend_name()]


def file_of(url: URL) -> Path | None:
    """The file of an SQLite database; None for a server's."""
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(url.database).absolute()


def display_url(url: URL) -> str:
    """How messages call the database: an SQLite file's path, or the URL without its password."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    shown = url.set(drivername=url.get_backend_name()) if url.drivername == _PSYCOPG else url
    return shown.difference_update_query(["password"]).render_as_string()


def connect(url: URL, *, create: bool = False, copy: Path | None = None) -> Engine:
    """An engine that has not connected yet.

    Args:
        url: the database.
        create: create an SQLite file that is not there.
        copy: an SQLite file that is read in its place, and never written.

    Raises:
        StoreError: its driver is not installed, or it does not take the URL.
    """
    with _usable(url):
        return _begun(backend_of(url).engine(url, create=create, copy=copy))


def reader(url: URL, file: Path | None) -> Engine:
    """An engine for a lasting reader: it never writes, and each transaction reads what is true at one moment.

    Args:
        url: the database.
        file: where an SQLite database is, or its copy.

    Raises:
        StoreError: see `connect`.
    """
    with _usable(url):
        return _begun(backend_of(url).reader(url, file))


def reading(engine: Engine) -> Engine:
    """The same engine, each of its transactions reading what was true at one moment."""
    return engine.execution_options(**backend_of(engine.url).reading())


def writing(engine: Engine, *, full: bool = False, patience_s: float | None = None) -> Engine:
    """The same engine, its transactions holding SQLite's write lock from their beginning.

    A transaction that first reads and then writes would otherwise fail at once when another
    program wrote in between, instead of waiting.

    Args:
        engine: the engine.
        full: wait at each commit until the disk has it, so that it survives a power cut.
        patience_s: wait no longer than this for other programs' transactions.
    """
    statements = backend_of(engine.url).begin(writes=True, full=full, patience_s=patience_s)
    return engine.execution_options(tuner_begin=tuple(statements))


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
    return _raised_by(cause).tells_of_damage(cause)


def is_lost(error: StoreError, engine: Engine) -> bool:
    """Whether the same transaction may succeed later: the server restarts, or chose a victim."""
    cause = error.__cause__
    return isinstance(cause, DBAPIError) and backend_of(engine.url).is_lost(cause)


@contextmanager
def _usable(url: URL) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SAWarning)  # of a key in the URL that has no effect
            yield
    except ImportError as error:
        raise StoreError(
            f"{display_url(url)}: its driver is missing ({error}); install it: pip install 'tuner[postgres]'"
        ) from error
    except (SQLAlchemyError, SAWarning, TypeError, ValueError) as error:
        raise StoreError(f"{display_url(url)}: is not a usable URL: {_first_line(error)}") from error


def _begun(engine: Engine) -> Engine:
    """The same engine, whose transactions begin with the statements of `writing`, or as its backend says."""
    usual = tuple(backend_of(engine.url).begin(writes=False, full=False, patience_s=None))

    def begin(connection: Connection) -> None:
        for statement in connection.get_execution_options().get("tuner_begin", usual):
            connection.exec_driver_sql(statement)

    event.listen(engine, "begin", begin)
    return engine


def _sentence(error: SQLAlchemyError) -> str:
    if not isinstance(error, DBAPIError) or error.orig is None:
        return _first_line(error)
    if (known := _raised_by(error).sentence(error)) is not None:
        return known
    if isinstance(error, OperationalError | InterfaceError):
        return (
            f"the server does not answer or refuses ({_first_line(error.orig).rstrip('.')}); see whether it "
            "runs, and whether host, port, user, password and database in the URL are right"
        )
    return _first_line(error.orig)


def _raised_by(error: DBAPIError) -> Backend:
    return _BACKENDS["sqlite" if hasattr(error.orig, "sqlite_errorname") else "postgresql"]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
