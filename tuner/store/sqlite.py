"""SQLite: how files are opened, how transactions begin, and what its error codes mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another program's transaction; `?timeout=` in the URL replaces it."""

READ_TIMEOUT_S = 2.0
"""How long a lasting reader waits for a program that keeps the whole file locked."""

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


class SQLite:
    """A database in a file.

    Attributes:
        clock: its clock as an SQL expression, in the form of `encoding.stamp`.
        stale_after: a heartbeat further than this from now is a dead driver's, if nothing else tells.
        guard: a condition that is true, with which a driver's transaction begins; empty for none.
    """

    clock = "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')"
    stale_after = timedelta(seconds=60)
    guard = ""

    def engine(self, url: URL, *, create: bool, copy: Path | None) -> Engine:
        """See `connect.connect`."""
        options = {} if "timeout" in url.query else {"connect_args": {"timeout": BUSY_TIMEOUT_S}}
        engine = create_engine(url, **options)
        if not create:
            event.listen(engine, "do_connect", partial(_only_existing, copy))
        event.listen(engine, "connect", _prepare)
        if copy is not None:
            event.listen(engine, "connect", _keep_unwritten)
        return engine

    def reader(self, url: URL, file: Path | None) -> Engine:
        """An engine for a lasting reader; `file` is where an SQLite database is."""

        def opened() -> sqlite3.Connection:
            connection = sqlite3.connect(
                f"file:{quote(str(file))}?mode=ro",
                uri=True,
                timeout=READ_TIMEOUT_S,
                check_same_thread=False,
                isolation_level=None,
            )
            connection.execute("PRAGMA query_only=ON")
            return connection

        return create_engine(url, creator=opened, poolclass=StaticPool)

    def reading(self) -> dict[str, Any]:
        """Options of an engine whose transactions only read, each at one moment."""
        return {}

    def begin(self, *, writes: bool, full: bool, patience_s: float | None) -> Sequence[str]:
        """The statements that begin a transaction; see `connect.writing`."""
        first = ["PRAGMA synchronous=FULL"] if full else []
        if patience_s is not None:
            first.append(f"PRAGMA busy_timeout={patience_s * 1000:.0f}")
        return (*first, "BEGIN IMMEDIATE" if writes else "BEGIN")

    def stamp(self, connection: Connection) -> str:
        """A text that changes when anything was written."""
        return str(connection.exec_driver_sql("PRAGMA data_version").scalar())

    @contextmanager
    def exclusive(self, engine: Engine) -> Iterator[None]:
        """Nobody else creates or changes tables meanwhile."""
        # A transaction that writes has the whole file.
        yield

    def hold(self, engine: Engine, token: str) -> None:
        """Take the lock of a lease, where there are such locks."""
        return

    def is_held(self, connection: Connection, heartbeat: str, token: str) -> bool:
        """Whether a lease's holder on another machine shows signs of life."""
        # Clocks differ, and may be set: a heartbeat far in the future is no more a sign of life.
        return abs(datetime.now(UTC) - datetime.fromisoformat(heartbeat)) < self.stale_after

    def sentence(self, error: DBAPIError) -> str | None:
        """What an error means; None where its own words must do."""
        code = getattr(error.orig, "sqlite_errorname", "")
        known = next((text for prefix, text in _SENTENCES.items() if code.startswith(prefix)), None)
        return known or f"is not as it should be ({_first_line(error)}); restore a copy or name another one"

    def tells_of_damage(self, error: DBAPIError) -> bool:
        """Whether an error means damaged data."""
        return not getattr(error.orig, "sqlite_errorname", "").startswith(_OTHERS)

    def is_lost(self, error: DBAPIError) -> bool:
        """Whether the same transaction may succeed later: the server restarts, or chose a victim."""
        return False


def _first_line(error: DBAPIError) -> str:
    return (str(error.orig).splitlines() or [""])[0]


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
