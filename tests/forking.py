"""The process that programs of the tests are forked from; see `processes`. It has no threads of its own.

For each order it forks a watcher, which forks the program and tells how it ended.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
from pathlib import Path
from types import ModuleType

IMPORTED = (
    "numba", "optuna", "pandas", "pyarrow", "scipy.stats", "sklearn.ensemble", "sqlalchemy.orm", "torch",
    "tuner.api.confirming", "tuner.api.run", "tuner.cli.drive", "tuner.cli.progress", "tuner.cli.summary",
    "tuner.results", "tuner.search", "tuner.store", "tuner.trainers.sklearn", "tuner.trainers.torch",
)  # fmt: skip

_HIGH = 512
"""Handles wait above this one until they have the places that they had where they come from."""


def orders(link: socket.socket) -> list[str]:
    """Fork at each order until there are no more; returns in the programs alone, with their arguments."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # watchers
    while True:
        text, handles, _, _ = socket.recv_fds(link, 1 << 20, 16)
        if not text:
            os._exit(0)
        if not os.fork():
            break
        for handle in handles:
            os.close(handle)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    link.close()
    tells, *moved = [fcntl.fcntl(handle, fcntl.F_DUPFD, _HIGH) for handle in handles]
    for handle in handles:
        os.close(handle)
    if program := os.fork():
        for handle in moved:
            os.close(handle)
        os.write(tells, f"{program}\n".encode())
        code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
        os.write(tells, f"{code}\n".encode())
        os._exit(0)
    os.close(tells)
    arguments, folder, environment, session, places = json.loads(text)
    for handle, place in zip(moved, places, strict=True):
        os.dup2(handle, place)
        os.close(handle)
    if session:
        os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    found: list[str] = arguments
    return found


def run(arguments: list[str]) -> None:
    """Run what an interpreter would with these arguments."""
    kind, *rest = arguments
    if kind == "-m":
        sys.argv, sys.path[0] = rest, ""
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        return
    main = sys.modules["__main__"] = ModuleType("__main__")
    if kind == "-c":
        sys.argv, sys.path[0] = ["-c", *rest[1:]], ""
        text, name = rest[0], "<string>"
    else:
        path = Path(kind).resolve()
        sys.argv, sys.path[0] = arguments, str(path.parent)
        text, name = path.read_text(encoding="utf-8"), kind
        main.__file__ = kind
    exec(compile(text, name, "exec"), main.__dict__)


def end(error: BaseException | None) -> None:
    """End as an interpreter does, but for the objects that were there before: freeing them takes seconds."""
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if code and error.code != code:
            sys.stderr.write(f"{error.code}\n")
    elif error is not None:
        code = 1
        sys.excepthook(type(error), error, error.__traceback__)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if isinstance(error, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code)


if __name__ == "__main__":
    for each in IMPORTED:
        importlib.import_module(each)
    gc.collect()
    gc.freeze()
    told = orders(socket.socket(fileno=int(sys.argv[1])))
    try:
        run(told)
    except BaseException as error:  # noqa: BLE001
        end(error)
    end(None)
