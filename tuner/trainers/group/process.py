"""RankProcess: the process of one rank as its parent sees it, and how it is started."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import IO

from tuner.child_process import KILLED_WITH_PARENT, start
from tuner.core.words import ending

_LOG_BYTES = 1_000_000
_RANK = "tuner.trainers.group.rank"


@dataclass(slots=True)
class RankProcess:
    """One rank: a process that ends with its parent."""

    rank: int
    process: subprocess.Popen[bytes]
    connection: Connection
    log: IO[bytes]
    printed: int = 0

    @classmethod
    def start(cls, rank: int, size: int, payload: IO[bytes], notes: IO[bytes]) -> RankProcess:
        """Start it; its first answer says that it is ready. For its notes, see `HangWatch`."""
        log = tempfile.TemporaryFile("ab+", buffering=0)  # noqa: SIM115
        told = {**os.environ, **_environment(rank, size)}
        process, connection = start(_RANK, log, told, [payload, notes], rank, at_start=KILLED_WITH_PARENT)
        return cls(rank, process, connection, log)

    def output(self) -> str:
        """What it has printed since the last call."""
        text = os.pread(self.log.fileno(), _LOG_BYTES, self.printed)
        self.printed += len(text)
        if self.printed > _LOG_BYTES:
            os.ftruncate(self.log.fileno(), 0)
            self.printed = 0
        return text.decode(errors="replace")

    def ending(self) -> str:
        """Wait for its end, and say how it ended."""
        return ending(self.process.wait())

    def end(self) -> None:
        """End it by force, and release everything."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self.connection.close()
        self.log.close()


def _environment(rank: int, size: int) -> Mapping[str, str]:
    """As torchrun has it, for libraries that look there."""
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    found = {name: str(value) for name, value in told.items()}
    # All ranks are on this machine, whose name may not lead anywhere.
    loopback = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
    return {"GLOO_SOCKET_IFNAME": loopback, **os.environ, **found} if loopback else found
