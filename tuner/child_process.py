"""Child processes: a function that serves its parent over a pipe, in a Python of its own that ends with it.

Workers, the ranks of a trial and the baselines run in such processes.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection, Pipe
from typing import IO

_LIBRARIES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None

# SIGINT goes to the whole group of processes; what it means is the parent's decision.
_BOOT = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = {path!r}; "
_BOOT += "from {module} import serve; serve({given})"


def _killed_with_parent() -> None:
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


KILLED_WITH_PARENT = None if _libc is None else _killed_with_parent
"""What a child on Linux calls first, to be killed when its parent ends, also while it is stopped."""


def environment(threads: int) -> dict[str, str]:
    """This process's, for a child whose numerical libraries take so many threads."""
    return {**os.environ, **dict.fromkeys(_LIBRARIES, str(threads))}


def start(
    module: str,
    output: IO[bytes] | int,
    environment: Mapping[str, str],
    files: Sequence[IO[bytes]],
    *given: int | str | None,
    at_start: Callable[[], None] | None = None,
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Run the function `serve` of a module.

    Args:
        module: of tuner's.
        output: where what the child prints goes.
        environment: the child's.
        files: given to it as file descriptors, behind that of its connection.
        given: its further arguments.
        at_start: called in the child before anything else; see `KILLED_WITH_PARENT`.

    Returns:
        The process, and this side's end of the connection.
    """
    ours, theirs = Pipe()
    with theirs:
        handles = [theirs.fileno(), *(file.fileno() for file in files)]
        path, told = [str(each) for each in sys.path], ", ".join(map(repr, (*handles, *given)))
        process = subprocess.Popen(
            [sys.executable, "-c", _BOOT.format(path=path, module=module, given=told)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=handles,
            env=environment,
            preexec_fn=at_start,
        )
    return process, ours


def end_with_parent(connection: int, before: Callable[[], None] = lambda: None) -> None:
    """End this process soon after its parent's end of the connection is gone, whatever it is busy with.

    Args:
        connection: file descriptor of this side's end.
        before: called then, in a thread of its own.
    """

    def wait() -> None:
        poller = select.poll()
        poller.register(connection, 0)
        poller.poll()
        before()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
