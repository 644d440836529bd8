"""ScratchFolder: a folder for files of one process, such as a trial's while it trains, in the system's own.

What has to survive is put into checkpoints and models from there. A process that is killed cannot remove its
folders, so each is locked by its process, and those that nobody locks are removed by the next one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_PREFIX = "tuner-trial-"
_YOUNG_S = 60.0
"""A folder may be this old before it is locked."""


class ScratchFolder:
    """A folder that is there from its first use to `close`."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._lock = -1

    def __call__(self) -> Path:
        """The folder, which lies somewhere else each time that a trial goes on."""
        if self._path is None:
            _sweep()
            self._path = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
            self._lock = os.open(self._path, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self._path

    def part(self, name: str) -> Path:
        """A folder in it."""
        path = self() / name
        path.mkdir(exist_ok=True)
        return path

    def close(self) -> None:
        """Remove it."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            os.close(self._lock)
            self._path = None


def _sweep() -> None:
    """Remove the folders of processes that are gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if path.stat().st_mtime > time.time() - _YOUNG_S:
                continue
            lock = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
