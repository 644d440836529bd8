"""Limits: what ends a single trial from outside, since it does not come to an epoch's end by itself.

Watched by the parent of the worker processes, about twice a second. What belongs to the worker counts:
its own memory, libraries included, and that of the processes it has started.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tuner.core.sections import StopSpec
from tuner.core.trial import Stop
from tuner.machine import descendants, resident_bytes

_GIB = 2**30


@dataclass(slots=True)
class Watched:
    """What is known of a worker that is at work.

    Attributes:
        size: bytes of its trial's log when it was last looked at.
        heard: when it last got orders or printed something, in seconds of the monotonic clock.
    """

    size: int = 0
    heard: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one trial.

    Attributes:
        memory: bytes; None for no limit.
        silence_s: seconds without a reading and without output.
    """

    memory: int | None = None
    silence_s: float | None = None

    @classmethod
    def of(cls, spec: StopSpec) -> Limits:
        """Those of `[stop]`."""
        return cls(spec.memory_bytes, spec.silence)

    def __bool__(self) -> bool:
        return self.memory is not None or self.silence_s is not None

    def broken(self, pid: int, trials: int, log: Path, watched: Watched) -> Stop | None:
        """Why the trials of a worker end now, if one of them is beyond a limit.

        Args:
            pid: the worker's process.
            trials: how many it trains side by side; each may use as much as the limit.
            log: where its trial's output goes.
            watched: kept up.
        """
        if self.memory is not None and (used := resident_bytes(pid)) > self.memory * max(1, trials):
            reason = f"it used {used / _GIB:.2f} GiB of memory; [stop] memory is {self.memory / _GIB:.2f} GiB"
            return Stop("memory", reason, conclusive=False)
        if self.silence_s is None:
            return None
        now, size = time.monotonic(), 0
        with suppress(OSError):
            size = log.stat().st_size
        if size != watched.size:
            watched.size, watched.heard = size, now
        if now - watched.heard <= self.silence_s:
            return None
        reason = f"it reported and printed nothing for {self.silence_s:g} seconds, see [stop] silence"
        return Stop("silence", reason, conclusive=False)


def end(pid: int) -> None:
    """End a process and those that it has started."""
    for each in [pid, *descendants(pid)]:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(each, signal.SIGKILL)
