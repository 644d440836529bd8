"""Other processes of Python for the tests, forked from one that has imported what most of them need.

Such a program begins where an interpreter is that has just imported tuner, torch and scikit-learn: that is
most of what a small study costs. It is a process as any other: its `__main__`, arguments, folder and
environment are its own, it can be killed, and it ends as an interpreter ends. What a test says of the start
itself, of what is imported or of variables that libraries read when they are loaded needs an interpreter that
really starts.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Self, TextIO

import pytest

FORKS = sys.platform == "linux"
"""Elsewhere libraries may have threads that do not survive a fork: interpreters are started there."""


class Forked:
    """A forked program, with what is used here of `subprocess.Popen`.

    Attributes:
        pid: its number.
        returncode: its exit code, or the negative number of a signal that killed it; None: not known yet.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        cwd: Path | str | None = None,
        env: Mapping[str, str] | None = None,
        session: bool = False,
        pipes: bool = False,
        places: Mapping[int, int] | None = None,
    ) -> None:
        """Fork it; `places`: open handles by the numbers that it has them under."""
        self.args = arguments
        self.returncode: int | None = None
        self._output = [os.memfd_create(name) for name in ("out", "err")]
        self._told, tells = os.pipe()
        given = {1: self._output[0], 2: self._output[1], **(places or {})}
        self.stdin: TextIO | None = None
        self.stdout: TextIO | None = None
        if pipes:
            given[0], into = os.pipe()
            out, given[1] = os.pipe()
            self.stdin, self.stdout = os.fdopen(into, "w"), os.fdopen(out)
        environment = dict(os.environ if env is None else env)
        order = json.dumps([list(arguments), str(cwd or Path.cwd()), environment, session, list(given)])
        socket.send_fds(_server(), [order.encode()], [tells, *given.values()])
        for handle in (tells, *((given[0], given[1]) if pipes else ())):
            os.close(handle)
        self.pid = int(self._line())

    @classmethod
    def worker(
        cls,
        command: Sequence[str],
        *,
        stdin: int,
        stdout: int | IO[bytes],
        stderr: int | IO[bytes],
        pass_fds: Sequence[int],
        env: Mapping[str, str],
        preexec_fn: Callable[[], None] | None = None,
    ) -> Forked:
        """One that `subprocess.Popen` would start with these arguments."""
        assert (command[0], stdin) == (sys.executable, subprocess.DEVNULL)
        places = {handle: handle for handle in pass_fds}
        places |= {at: each.fileno() for at, each in ((1, stdout), (2, stderr)) if not isinstance(each, int)}
        return cls(command[1:], env=env, places=places)

    def poll(self) -> int | None:
        """Its exit code, the negative number of a signal that killed it; None while it runs."""
        return self._code(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended."""
        if (code := self._code(timeout)) is None:
            raise subprocess.TimeoutExpired(list(self.args), timeout or 0.0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it has printed as output and as errors, once it has ended."""
        if self.stdin is not None and self.stdout is not None:
            self.stdin.close()
            self.stdout.close()
        self.wait(timeout)
        out, err = (os.pread(each, os.fstat(each).st_size, 0).decode() for each in self._output)
        return out, err

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def __del__(self) -> None:
        for handle in (*self._output, self._told):
            os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _code(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            ended = select.poll()
            ended.register(self._told)
            if ended.poll(None if timeout is None else 1000 * timeout):
                self.returncode = int(self._line())
        return self.returncode

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            if not (byte := os.read(self._told, 1)):
                raise ChildProcessError(
                    "the process that forks, or the one that watches the program, has ended"
                )
            line += byte
        return line


Program = Forked | subprocess.Popen[str]


def start(
    *arguments: str,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    session: bool = False,
    pipes: bool = False,
) -> Program:
    """A program that begins to run.

    Args:
        arguments: as those of `python`: a script, ``-m`` and a module or ``-c`` and code, and what follows.
        cwd: its folder; None: that of the test.
        env: its environment; None: that of the test.
        session: whether it leads a session of its own.
        pipes: whether its input and its output are pipes, `stdin` and `stdout`.
    """
    if FORKS:
        return Forked(arguments, cwd, env, session, pipes)
    command, pipe = [sys.executable, *arguments], subprocess.PIPE
    handles = {"stdin": pipe if pipes else subprocess.DEVNULL, "stdout": pipe, "stderr": pipe}
    return subprocess.Popen(command, cwd=cwd, env=env, start_new_session=session, text=True, **handles)  # type: ignore[call-overload, no-any-return]


def run(
    *arguments: str,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = False,
    timeout: float = 600.0,
) -> subprocess.CompletedProcess[str]:
    """How a program has ended; see `start`, and `subprocess.run` for the others."""
    program = start(*arguments, cwd=cwd, env=env)
    try:
        out, err = program.communicate(timeout=timeout)
    except BaseException:
        program.kill()
        program.wait()
        raise
    code = program.wait()
    if check:
        assert code == 0, err
    return subprocess.CompletedProcess(arguments, code, out, err)


def fork_workers(patch: pytest.MonkeyPatch) -> None:
    """Have the workers and ranks of this process, and what trains its baselines, forked where that can be.

    They run what they would if they were started; what is loaded or set before that is not seen.
    """
    if FORKS:
        forking = SimpleNamespace(**vars(subprocess) | {"Popen": Forked.worker})
        patch.setattr("tuner.child_process.subprocess", forking)


@cache
def _server() -> socket.socket:
    """A link to the process that forks, which ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    script = Path(__file__).with_name("forking.py")
    server = subprocess.Popen(
        [sys.executable, str(script), str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    theirs.close()

    @atexit.register
    def end() -> None:
        ours.close()
        server.wait()

    return ours
