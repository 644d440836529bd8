"""The lease: one process drives a study, and a dead one's study can be taken over.

On the holder's own machine its process decides, elsewhere its heartbeat does. Knows no trial.
"""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection, Row, delete, select, update

from tuner.errors import StudyLocked
from tuner.store.encoding import now, stamp
from tuner.store.schema import tuner_lease, tuner_studies

STALE_AFTER = timedelta(seconds=60)
"""A heartbeat older than this, on another machine, is a dead driver's."""

RENEW_AFTER = timedelta(seconds=5)
"""How old a heartbeat gets before the next turn renews it."""


@dataclass(slots=True)
class Lease:
    """A study held by this process."""

    study_id: int
    token: str
    renewed: datetime

    @classmethod
    def take(cls, connection: Connection, study_id: int, name: str) -> Lease:
        """Take the lease within a transaction that writes.

        Raises:
            StudyLocked: another living process has it; says which.
        """
        # Where a database locks rows, this one keeps two takers apart; SQLite locks the whole file.
        connection.execute(
            select(tuner_studies.c.study_id).where(tuner_studies.c.study_id == study_id).with_for_update()
        )
        require_free(connection, study_id, name)
        connection.execute(delete(tuner_lease).where(tuner_lease.c.study_id == study_id))
        lease = cls(study_id, uuid4().hex, now())
        connection.execute(
            tuner_lease.insert(),
            {
                "study_id": study_id,
                "token": lease.token,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "process_start": process_start(os.getpid()) or "",
                "heartbeat": stamp(lease.renewed),
            },
        )
        return lease

    def renew(self, connection: Connection, name: str) -> datetime:
        """Renew the heartbeat when it has grown old.

        Returns:
            When it was last renewed, true as soon as the transaction is committed.

        Raises:
            StudyLocked: another process has taken the study over meanwhile.
        """
        moment = now()
        if moment - self.renewed < RENEW_AFTER:
            return self.renewed
        mine = (tuner_lease.c.study_id == self.study_id) & (tuner_lease.c.token == self.token)
        if not connection.execute(update(tuner_lease).where(mine).values(heartbeat=stamp(moment))).rowcount:
            holder = _holder(connection, self.study_id)
            by = f"process {holder.pid} on {holder.host}" if holder is not None else "another process"
            raise StudyLocked(
                f"study '{name}' was taken over by {by}; this one must not write to it any more"
            )
        return moment

    def release(self, connection: Connection) -> None:
        """Give the lease back, unless another process has it by now."""
        mine = (tuner_lease.c.study_id == self.study_id) & (tuner_lease.c.token == self.token)
        connection.execute(delete(tuner_lease).where(mine))


def require_free(connection: Connection, study_id: int, name: str) -> None:
    """Make sure that no living process drives the study.

    Raises:
        StudyLocked: one does; says which.
    """
    holder = _holder(connection, study_id)
    if holder is not None and is_living(holder.host, holder.pid, holder.process_start, holder.heartbeat):
        raise StudyLocked(
            f"study '{name}' is driven by process {holder.pid} on {holder.host} "
            f"(last seen {holder.heartbeat}); wait for it or stop it"
        )


def is_living(host: str, pid: int, start: str, heartbeat: str) -> bool:
    """Whether a lease's holder still drives its study."""
    if host == socket.gethostname() and start:
        return process_start(pid) == start
    return now() - datetime.fromisoformat(heartbeat) < STALE_AFTER


def process_start(pid: int) -> str | None:
    """When a process of this machine began, as text.

    Returns:
        None when there is no such process; "" where the machine does not tell.
    """
    if Path("/proc/self/stat").exists():
        try:
            # The name in parentheses may hold anything; state and start time are fields 3 and 22.
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return None if fields[0] in "ZX" else f"{boot} {fields[19]}"
    try:
        told = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return told.stdout.strip() or None


def _holder(connection: Connection, study_id: int) -> Row[tuple[int, str, str, int, str, str]] | None:
    return connection.execute(select(tuner_lease).where(tuner_lease.c.study_id == study_id)).one_or_none()
