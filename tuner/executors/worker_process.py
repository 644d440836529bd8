"""WorkerProcess: one process as its parent sees it, and how it is started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from typing import IO

from tuner.core.ports import Placement
from tuner.core.trial import Stop
from tuner.executors.limits import Watched
from tuner.executors.orders import Removal

_TAIL_BYTES = 4_000
_LOG_BYTES = 1_000_000
# SIGINT goes to the whole group of processes; what it means is the parent's decision.
_BOOT = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = {path!r}; "
_BOOT += "from tuner.executors.serving import serve; serve({connection}, {payload}, {index})"


@dataclass(slots=True)
class WorkerProcess:
    """A worker process, the trials it holds and the orders it gets when it is idle.

    Attributes:
        index: which of the workers it is; its successor is the same.
        trials: those that train, with all that they have reported.
        removed: those that were told to end and have not answered.
        since: when it got its last orders, in seconds of the monotonic clock.
        overdue: whether it was ended because an epoch took too long.
        limit: the limit for which it was ended.
        watched: what its limits go by.
        retries: trials that its predecessor did not live to answer for.
    """

    index: int
    process: subprocess.Popen[bytes]
    connection: Connection
    log: IO[bytes]
    capacity: int = 0
    idle: bool = False
    alone: bool = False
    since: float = 0.0
    overdue: bool = False
    limit: Stop | None = None
    watched: Watched = field(default_factory=Watched)
    retries: list[Placement] = field(default_factory=list)
    trials: dict[int, Placement] = field(default_factory=dict)
    removed: dict[int, Removal] = field(default_factory=dict)
    steps: list[Placement | Removal] = field(default_factory=list)

    @property
    def room(self) -> int:
        """How many more trials it takes."""
        return 0 if self.alone else self.capacity - len(self.trials)

    def tail(self) -> str:
        """The end of what the worker and the user's code in it have printed."""
        size = os.fstat(self.log.fileno()).st_size
        text = os.pread(self.log.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        if size > _LOG_BYTES:
            os.ftruncate(self.log.fileno(), 0)
            os.write(self.log.fileno(), text)
        return text.decode(errors="replace").strip()

    @classmethod
    def start(cls, index: int, payload: IO[bytes], environment: Mapping[str, str]) -> WorkerProcess:
        """Start a process that serves what `payload` holds, see `serving.serve`."""
        ours, theirs = Pipe()
        log = tempfile.TemporaryFile("ab+", buffering=0)  # noqa: SIM115
        handles = (theirs.fileno(), payload.fileno())
        path = [str(path) for path in sys.path]
        code = _BOOT.format(path=path, connection=handles[0], payload=handles[1], index=index)
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=handles,
            env=environment,
        )
        theirs.close()
        return cls(index, process, ours, log)

    def ending(self) -> str:
        """Wait for its end, and say how it ended."""
        code = self.process.wait()
        if code >= 0:
            return f"ended with exit code {code}"
        name = signal.Signals(-code).name
        memory = " (the system's answer to memory running out)" if name == "SIGKILL" else ""
        return f"was killed by {name}{memory}"
