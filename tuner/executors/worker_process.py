"""WorkerProcess: a link to a process of this machine by a pipe, and how it is started."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

from tuner.child_process import start
from tuner.core.trial import Stop
from tuner.core.words import ending
from tuner.executors.limits import Limits, Watched, end
from tuner.executors.orders import Orders
from tuner.executors.serving import Answer

_TAIL_BYTES = 4_000
_LOG_BYTES = 1_000_000
_SERVING = "tuner.executors.serving"


@dataclass(slots=True, eq=False)
class WorkerProcess:
    """A worker process, its end of the connection and what it prints; a `Link`."""

    process: subprocess.Popen[bytes]
    connection: Connection
    log: IO[bytes]

    def send(self, orders: Orders | bytes | int | None) -> None:
        """Give it orders; if it died while it was idle, the end of its connection says so in a moment."""
        with suppress(OSError):
            self.connection.send(orders)

    def recv(self) -> Answer:
        """What it has answered."""
        answer: Answer = self.connection.recv()
        return answer

    def broken(self, limits: Limits, trials: int, log: Path, watched: Watched) -> Stop | None:
        """Why its trials end now, if one is beyond a limit."""
        return limits.broken(self.process.pid, trials, log, watched)

    def kill(self) -> None:
        """End it at once, with the processes that it has started."""
        if self.process.poll() is None:
            end(self.process.pid)

    def close(self, timeout_s: float) -> None:
        """Wait for its end for so long, else end it by force."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.connection.close()
        self.log.close()

    def tail(self) -> str:
        """The end of what the worker and the user's code in it have printed."""
        size = os.fstat(self.log.fileno()).st_size
        text = os.pread(self.log.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        if size > _LOG_BYTES:
            os.ftruncate(self.log.fileno(), 0)
            os.write(self.log.fileno(), text)
        return text.decode(errors="replace").strip()

    @classmethod
    def start(
        cls, index: int | None, payload: IO[bytes], environment: Mapping[str, str], folder: str | None = None
    ) -> WorkerProcess:
        """Start a process that serves what `payload` holds, see `serving.serve`."""
        log = tempfile.TemporaryFile("ab+", buffering=0)  # noqa: SIM115
        process, connection = start(_SERVING, log, environment, [payload], index, folder)
        return cls(process, connection, log)

    def ending(self) -> str:
        """Wait for its end, and say how it ended."""
        return ending(self.process.wait())
