"""CommandProcess: a process group that a trial runs in, its lines, and its end."""

from __future__ import annotations

import atexit
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from tuner.child_process import KILLED_WITH_PARENT
from tuner.core.words import ending
from tuner.script import END, MARK

_WAIT_S = 0.1
"""How often it is seen whether a process has ended whose output others hold open."""

_LINE_BYTES = 1_000_000
_TAIL_LINES = 20

_running: set[int] = set()


class CommandProcess:
    """A command that runs; what it prints is printed again here, line by line."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it, as the leader of a group of its own that ends with this process.

        Raises:
            OSError: it cannot be started.
        """
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=KILLED_WITH_PARENT,
            bufsize=0,
        )
        _running.add(self._process.pid)
        self._input, out, err = self._process.stdin, self._process.stdout, self._process.stderr
        if self._input is None or out is None or err is None:  # it has pipes
            raise OSError("a process without pipes")
        os.set_blocking(self._input.fileno(), False)
        self._rests = {out.fileno(): b"", err.fileno(): b""}
        self._streams = {out.fileno(): out, err.fileno(): err}
        self._selector = selectors.DefaultSelector()
        for stream in self._streams.values():
            self._selector.register(stream, selectors.EVENT_READ)
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def lines(self, wait_s: float | None) -> Iterator[str]:
        """What it prints, as it comes, until it has ended; an empty line where it is silent for `wait_s`."""
        while self._selector.get_map() or self._process.poll() is None:
            ready = self._selector.select(_WAIT_S if wait_s is None else min(wait_s, _WAIT_S))
            for key, _ in ready:
                yield from self._read(key.fd)
            if not ready:
                if self._process.poll() is not None:
                    break
                yield ""
        for fd in self._rests:
            yield from self._cut(fd, last=True)

    def answer(self, line: str) -> None:
        """Give it a line on its standard input; one that does not read need not."""
        with suppress(OSError, ValueError):
            if self._input is not None:
                self._input.write(f"{line}\n".encode())

    def ending(self) -> str:
        """How it ended, in words; empty where all is well."""
        code = self._process.wait()
        return ending(code) if code else ""

    def end(self, grace_s: float, *, asked: bool) -> None:
        """End the group: by SIGTERM, and after `grace_s` seconds by SIGKILL.

        Args:
            grace_s: how long it may take to end.
            asked: whether it waits for an answer, and may end by itself, given as many seconds.
        """
        if asked:
            self.answer(END)
        with suppress(OSError):
            if self._input is not None:
                self._input.close()
        if not (asked and self._ends_within(grace_s)):
            self._signal(signal.SIGTERM)
            self._ends_within(grace_s)
        self._signal(signal.SIGKILL)
        self._process.wait()
        _running.discard(self._process.pid)
        self._selector.close()
        for stream in self._streams.values():
            stream.close()

    def _ends_within(self, seconds: float) -> bool:
        """Print what it prints meanwhile, for else it could not go on to its end."""
        deadline = time.monotonic() + seconds
        while self._process.poll() is None and (left := deadline - time.monotonic()) > 0:
            for key, _ in self._selector.select(min(left, 0.01)):
                deque(self._read(key.fd), 0)
        for key, _ in self._selector.select(0):
            deque(self._read(key.fd), 0)
        return self._process.poll() is not None

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _read(self, fd: int) -> Iterator[str]:
        data = os.read(fd, 65536)
        if not data:
            self._selector.unregister(self._streams[fd])
        self._rests[fd] += data
        yield from self._cut(fd, last=not data)

    def _cut(self, fd: int, *, last: bool) -> Iterator[str]:
        # Progress bars write over their line.
        *lines, rest = self._rests[fd].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        if last or len(rest) > _LINE_BYTES:
            lines, rest = [*lines, rest] if rest else lines, b""
        self._rests[fd] = rest
        for line in lines:
            text = line.decode(errors="replace")
            self._print(text, fd)
            yield text

    def _print(self, text: str, fd: int) -> None:
        if text and MARK not in text:
            self.tail.append(text)
            print(text, file=sys.stdout if fd == min(self._streams) else sys.stderr, flush=True)


@atexit.register
def _end_all() -> None:
    for pid in _running:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
