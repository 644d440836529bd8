"""PostgreSQL by psycopg 3: how sessions begin, what error codes mean, locks that end with their holder.

Sessions are of one server process each: behind PgBouncer in transaction mode neither the locks nor the
settings hold.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

LOCK_TIMEOUT_S = 30.0
"""How long a writer waits for rows that another program has locked."""

_CLIENT = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "tuner",
}
"""How this side notices that the server's host is gone; what the URL says comes first."""

_SESSION = (
    # What is committed survives the death of any process; see `begin` for that of the server.
    "SET synchronous_commit = off; SET timezone = 'UTC'; "
    f"SET lock_timeout = {LOCK_TIMEOUT_S * 1000:.0f}; "
    # How the server notices that this host is gone: it frees the locks then, 25 s later.
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; "
    "SET tcp_user_timeout = 20000"
)

_AT_ONCE = {"isolation_level": "AUTOCOMMIT", "tuner_begin": ()}
"""Options of a connection whose statements are no transaction."""

_SCHEMA_LOCK = 0x74756E6572
"""The lock of whoever creates tables or changes them: `tuner` in ASCII."""

_SENTENCES = {
    "25006": "can only be read: it is a standby server or a read-only session; name the primary one",
    "42501": "its user may not do this ({}); GRANT it, or name another user in the URL",
    "53100": "the server's disk is full; free some space there",
    "53300": "the server has no connection left for this one; end some programs, or raise max_connections",
    "55P03": "another program keeps rows locked, for longer than the "
    f"{LOCK_TIMEOUT_S:g} s that are waited; end that program",
    "57P": "the server was stopped ({}); see whether it runs again",
    "42": "is not as it should be ({}); restore a copy or name another one",
}

_PASSING = ("08", "40001", "40P01", "53300", "57P01", "57P02", "57P03")
"""Codes after which a transaction may succeed later: connections, deadlocks, a server that restarts."""

_IS_HELD = text(
    "SELECT abs(extract(epoch FROM clock_timestamp() - CAST(:heartbeat AS timestamptz))), "
    "EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    "AND classid = CAST(CAST(:high AS bigint) AS oid) AND objid = CAST(CAST(:low AS bigint) AS oid) "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())), "
    "pg_postmaster_start_time() > CAST(:heartbeat AS timestamptz)"
)


class PostgreSQL:
    """A database of a PostgreSQL server; its methods are those of `SQLite`."""

    clock = "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"+00:00\"')"
    stale_after = timedelta(seconds=20)  # by the server's clock alone
    # A driver that is stopped in the middle of a transaction loses it, and with it the lock on its lease.
    guard = "set_config('idle_in_transaction_session_timeout', '10s', true) IS NOT NULL"

    def engine(self, url: URL, *, create: bool, copy: Path | None) -> Engine:
        arguments = {key: value for key, value in _CLIENT.items() if key not in url.query}
        # The last one first: what it has prepared is there.
        engine = create_engine(
            url, connect_args=arguments, pool_pre_ping=True, pool_use_lifo=True, paramstyle="format"
        )
        event.listen(engine, "connect", _prepare)
        return engine

    def reader(self, url: URL, file: Path | None) -> Engine:
        return self.engine(url, create=False, copy=file).execution_options(**self.reading())

    def reading(self) -> dict[str, Any]:
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

    def begin(self, *, writes: bool, full: bool, patience_s: float | None) -> Sequence[str]:
        first = ["SET LOCAL synchronous_commit = on"] if writes and full else []
        if patience_s is not None:
            first.append(f"SET LOCAL lock_timeout = {patience_s * 1000:.0f}")
        return first

    def stamp(self, connection: Connection) -> str:
        # The numbers of the transactions that are under way and of the next one: every write moves them.
        return str(connection.scalar(text("SELECT CAST(pg_current_snapshot() AS text)")))

    @contextmanager
    def exclusive(self, engine: Engine) -> Iterator[None]:
        with engine.execution_options(**_AT_ONCE).connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _SCHEMA_LOCK})
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _SCHEMA_LOCK})

    def hold(self, engine: Engine, token: str) -> SessionLock:
        return SessionLock(engine, token)

    def is_held(self, connection: Connection, heartbeat: str, token: str) -> bool:
        key = _key(token) % 2**64
        its = {"heartbeat": heartbeat, "high": key >> 32, "low": key % 2**32}
        age_s, is_locked, has_restarted = connection.execute(_IS_HELD, its).one()
        # After a restart of the server nobody can have had the time to lock again.
        return bool(age_s < self.stale_after.total_seconds() and (is_locked or has_restarted))

    def sentence(self, error: DBAPIError) -> str | None:
        state = getattr(error.orig, "sqlstate", None) or ""
        known = next((sentence for prefix, sentence in _SENTENCES.items() if state.startswith(prefix)), None)
        return None if known is None else known.format((str(error.orig).splitlines() or [state])[0])

    def tells_of_damage(self, error: DBAPIError) -> bool:
        return not isinstance(error, OperationalError | InterfaceError)

    def is_lost(self, error: DBAPIError) -> bool:
        state = getattr(error.orig, "sqlstate", None)
        if state is None:
            return isinstance(error, OperationalError | InterfaceError)
        return error.connection_invalidated or state.startswith(_PASSING)


class SessionLock:
    """An advisory lock on a connection of its own: the server frees it as soon as its holder is gone.

    Of a host that vanished it is freed when the server's keepalives have gone unanswered. Raises what the
    database does.
    """

    def __init__(self, engine: Engine, token: str) -> None:
        self._engine = engine
        self._token = token
        self._guard = threading.Lock()
        self._is_over = False
        self._connection: Connection | None = None
        self.keep()

    def keep(self) -> None:
        """Take it again where the connection was lost; from any thread."""
        with self._guard:
            if self._is_over:
                return
            if self._connection is not None:
                try:
                    self._connection.execute(text("SELECT 1"))
                    return
                except SQLAlchemyError:
                    self._drop()
            connection = self._engine.execution_options(**_AT_ONCE).connect()
            connection.detach()  # It never goes back to the pool.
            self._connection = connection
            connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _key(self._token)})

    def free(self) -> None:
        """Give it back, for good."""
        with self._guard:
            self._is_over = True
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()


def _key(token: str) -> int:
    """The number that stands for a token, of 64 bits with a sign."""
    return int.from_bytes(bytes.fromhex(token)[:8], signed=True)


def _prepare(connection: Any, _record: object) -> None:
    connection.autocommit = True
    connection.execute(_SESSION)
    connection.autocommit = False
