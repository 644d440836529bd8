"""The lease: one process drives a study, and a dead one's study can be taken over.

Where the holder's process can be seen it decides; elsewhere its heartbeat does, and where the database
has locks that end with their holder's connection, such a lock before it. A turn renews the heartbeat in its
own transaction, and fails where another process has the lease by now; between turns a thread renews it.
With the heartbeat goes what the holder's machine does, as the thread has last read it.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from sqlalchemy import Connection, Engine, Row, bindparam, delete, literal_column, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from tuner.core.words import count
from tuner.errors import StoreError, StudyLocked
from tuner.machine import MachineMeter
from tuner.store.connect import backend_of
from tuner.store.schema import tuner_lease, tuner_studies
from tuner.store.statements import Bulk

BEAT_S = 5.0
"""How long a study goes without a turn before its heartbeat is renewed beside them; how often the machine is
read."""

FIRST_S = 2.0
"""When the machine is read first."""

HOLDER = tuple(tuner_lease.c[name] for name in ("host", "pid", "process_start", "heartbeat", "token"))
"""What tells whether a study is driven, beside its own columns where these are joined; see `is_living`."""

_LOG = logging.getLogger(__name__)

_HELD: set[str] = set()
"""Tokens of the leases that this process holds."""


class Lease:
    """A study held by this process.

    Every turn renews the heartbeat, and finds out that way whether the study is still ours. While
    an epoch takes longer than `BEAT_S`, a thread does it.
    """

    def __init__(self, connection: Connection, study_id: int) -> None:
        self.study_id = study_id
        self.token = uuid4().hex
        self.turns = 0
        backend = backend_of(connection.engine.url)
        self._lock = backend.hold(connection.engine, self.token)
        mine: tuple[Any, ...] = (
            tuner_lease.c.study_id == bindparam("its_id"),
            tuner_lease.c.token == bindparam("its_token"),
        )
        if backend.guard:
            mine = *mine, text(backend.guard)
        beaten: dict[str, Any] = {"heartbeat": literal_column(backend.clock), "machine": bindparam("read")}
        counted = {"turn": tuner_lease.c.turn + literal_column("1")}
        names = ("read", "its_id", "its_token")
        self._beat = Bulk(connection.dialect, update(tuner_lease).where(*mine).values(**beaten), *names)
        renewal = update(tuner_lease).where(*mine).values(**beaten, **counted)
        self._renewal = Bulk(connection.dialect, renewal, *names)
        self._machine: str | None = None
        self._beaten = time.monotonic()
        self._over = threading.Event()
        _HELD.add(self.token)

    @classmethod
    @contextmanager
    def taking(cls, connection: Connection, study_id: int, name: str) -> Iterator[Self]:
        """Take the lease within a transaction that writes; it is dropped where what follows fails.

        Raises:
            StudyLocked: another living process has it; says which.
        """
        # Where a database locks rows, this one keeps two takers apart; SQLite locks the whole file.
        connection.execute(
            select(tuner_studies.c.study_id).where(tuner_studies.c.study_id == study_id).with_for_update()
        )
        require_free(connection, study_id, name)
        connection.execute(delete(tuner_lease).where(tuner_lease.c.study_id == study_id))
        lease = cls(connection, study_id)
        try:
            connection.execute(
                tuner_lease.insert().values(
                    heartbeat=literal_column(backend_of(connection.engine.url).clock)
                ),
                {
                    "study_id": study_id,
                    "token": lease.token,
                    "host": socket.gethostname(),
                    "pid": os.getpid(),
                    "process_start": process_start(os.getpid()) or "",
                },
            )
            yield lease
        except BaseException:
            lease.drop()
            raise

    def renew(self, connection: Connection, name: str) -> None:
        """Renew the heartbeat within a transaction that writes; the row stays locked until its end.

        Raises:
            StudyLocked: another process has taken the study over meanwhile.
        """
        if not self._renewal.run(connection, [(self._machine, self.study_id, self.token)]):
            holder = _holder(connection, self.study_id)
            by = f"process {holder.pid} on {holder.host}" if holder is not None else "another process"
            raise StudyLocked(
                f"study '{name}' was taken over by {by}; this one must not write to it any more"
            )
        self._beaten = time.monotonic()

    def has_turn(self, connection: Connection) -> bool:
        """Whether the turn whose end was not heard is stored, after the connection was lost.

        Raises:
            StoreError: the server has lost earlier ones.
        """
        # Locked: the lost connection's transaction may still be under way there, and is waited for.
        mine = (tuner_lease.c.study_id == self.study_id) & (tuner_lease.c.token == self.token)
        stored = connection.scalar(select(tuner_lease.c.turn).where(mine).with_for_update())
        if stored is not None and stored < self.turns:
            lost = count(self.turns - stored, "transaction")
            raise StoreError(f"the server was cut off, and has lost the last {lost} that it had confirmed")
        return bool(stored == self.turns + 1)

    def beat(self, engine: Engine) -> None:
        """Renew the heartbeat from a thread of its own while no turn does."""
        threading.Thread(target=self._keep, args=(engine,), name="tuner-lease", daemon=True).start()

    def release(self, connection: Connection) -> None:
        """Give the lease back, unless another process has it by now."""
        mine = (tuner_lease.c.study_id == self.study_id) & (tuner_lease.c.token == self.token)
        connection.execute(delete(tuner_lease).where(mine))

    def drop(self) -> None:
        """Hold it no longer, whether or not it could be given back."""
        self._over.set()
        _HELD.discard(self.token)
        if self._lock is not None:
            self._lock.free()

    def _keep(self, engine: Engine) -> None:
        meter, wait = MachineMeter(), min(FIRST_S, BEAT_S)
        while not self._over.wait(wait):
            reading, wait = meter.read(), BEAT_S
            self._machine = None if reading is None else reading.to_text()
            try:
                if self._lock is not None:
                    self._lock.keep()
                if time.monotonic() - self._beaten < BEAT_S:
                    continue
                with engine.begin() as connection:
                    self._beat.run(connection, [(self._machine, self.study_id, self.token)])
            except SQLAlchemyError as error:
                # The next turn meets the same fault, and tells it.
                _LOG.debug("no heartbeat: %s", error)


def require_free(connection: Connection, study_id: int, name: str) -> None:
    """Make sure that no living process drives the study.

    Raises:
        StudyLocked: one does; says which.
    """
    holder = _holder(connection, study_id)
    if holder is None or not is_living(connection, holder):
        return
    wait = ""
    if not _is_in_sight(holder.host, holder.process_start):
        stale_s = backend_of(connection.engine.url).stale_after.seconds
        wait = f"; if it is dead, the study is free {stale_s} s after that"
    raise StudyLocked(
        f"study '{name}' is driven by process {holder.pid} on {holder.host} "
        f"(last seen {holder.heartbeat}); wait for it or stop it{wait}"
    )


def is_living(connection: Connection, holder: Any) -> bool:
    """Whether the holder of a lease, a row with the columns `HOLDER`, still drives its study."""
    if holder.host is None:
        return False
    if _is_in_sight(holder.host, holder.process_start):
        if holder.pid == os.getpid() and holder.token not in _HELD:
            return False
        return process_start(holder.pid) == str(holder.process_start)
    backend = backend_of(connection.engine.url)
    return backend.is_held(connection, holder.heartbeat, holder.token)


def process_start(pid: int) -> str | None:
    """When a process of this machine began, behind what names the machine: ``machine|start``.

    Containers may share a host's name and its kernel, but do not see each other's processes; so
    the machine is named by its boot and by the space that process numbers are counted in.

    Returns:
        None when there is no such process; "" where the machine does not tell.
    """
    if Path("/proc/self/stat").exists():
        try:
            # The name in parentheses may hold anything; state and start time are fields 3 and 22.
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            machine = f"{boot} {Path('/proc/self/ns/pid').readlink()}"
        except OSError:
            return ""
        return None if fields[0] in "ZX" else f"{machine}|{fields[19]}"
    try:
        told = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return f"|{told.stdout.strip()}" if told.stdout.strip() else None


def _is_in_sight(host: str, start: str) -> bool:
    """Whether the process that wrote this start could be seen from here if it lived."""
    here = process_start(os.getpid()) or ""
    machine, bar, _ = start.partition("|")
    return bool(bar) and host == socket.gethostname() and machine == here.partition("|")[0]


def _holder(connection: Connection, study_id: int) -> Row[Any] | None:
    return connection.execute(select(tuner_lease).where(tuner_lease.c.study_id == study_id)).one_or_none()
