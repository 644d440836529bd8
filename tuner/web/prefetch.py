"""Prefetch: a forked process reads the newest study while the program loads the web framework.

Reading half a million readings takes about as long as loading the framework. Columns are handed over
as they lie in memory.
"""

from __future__ import annotations

import mmap
import os
import pickle
import signal
import sys
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from tuner.errors import TunerError
from tuner.store.columns import Reader
from tuner.store.connect import parse
from tuner.store.temporary_copy import temporary_copy
from tuner.web.insights import Insight
from tuner.web.live import LiveStudy

_APART = 64
"""Alignment of columns, in bytes."""


class Prefetch:
    """A snapshot that another process reads; make it while the program has only one thread.

    Does nothing except on Linux, where a fork is cheap; elsewhere the study is read later.

    Args:
        url: the database.
    """

    def __init__(self, url: str) -> None:
        self._answer: Connection | None = None
        if sys.platform != "linux":
            return
        # A copy that is needed is made here, where it is removed at the end: the other process is killed.
        with suppress(TunerError):
            temporary_copy(parse(url))
        context = get_context("fork")
        self._answer, answer = context.Pipe(duplex=False)
        self._columns = os.fdopen(os.memfd_create("columns"), "w+b", buffering=0)
        args = (url, self._columns, self._answer, answer)
        self._process = context.Process(target=_take, args=args, daemon=True)
        self._process.start()
        answer.close()

    def study(self) -> LiveStudy | None:
        """The newest study with all of its numbers; None where that failed.

        An error is not reported here; the next read meets and reports it.
        """
        found = self._next()
        if found is None:
            return None
        packed, places = found
        flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
        columns = memoryview(mmap.mmap(self._columns.fileno(), 0, flags))
        study: LiveStudy = pickle.loads(packed, buffers=[columns[a:b] for a, b in places])  # noqa: S301
        return study

    def insight(self) -> Insight | None:
        """Wait for the importances and findings of that study; None where that failed."""
        found: Insight | None = self._next()
        return found

    def kill(self) -> None:
        """End the process, however far it is: a thread that waits for its answer gets None."""
        if self._answer is not None:
            self._process.kill()

    def close(self) -> None:
        """End the process and close its pipe: nobody may be reading from it any more."""
        if self._answer is not None:
            self._process.kill()
            self._process.join()
            self._answer.close()
            self._columns.close()

    def _next(self) -> Any:
        with suppress(EOFError, OSError):
            return self._answer.recv() if self._answer is not None else None
        return None


def _take(url: str, columns: Any, theirs: Connection, answer: Connection) -> None:
    theirs.close()  # so that writing fails when the program is gone
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(TunerError, OSError):
        reader = Reader(url)
        summaries = reader.studies()
        if summaries:
            study = LiveStudy(summaries[0].name)
            study.read(reader)
            answer.send(_packed(study, columns))
            study.snapshot(reader)
            study.insights.settle(None)
            answer.send(study.insights.found)


def _packed(study: LiveStudy, columns: Any) -> tuple[bytes, list[tuple[int, int]]]:
    """The study without its columns, and from where to where each of those stands in the file."""
    buffers: list[pickle.PickleBuffer] = []
    packed = pickle.dumps(study, pickle.HIGHEST_PROTOCOL, buffer_callback=buffers.append)
    places, end = [], 0
    for buffer in buffers:
        column = buffer.raw()
        columns.seek(end)
        columns.write(column)
        places.append((end, end + column.nbytes))
        end += -(-max(1, column.nbytes) // _APART) * _APART
    columns.truncate(max(end, _APART))
    return packed, places
