"""TrialOutput: what is printed while a trial is at work goes into that trial's log.

In a worker process it takes the file descriptors 1 and 2, so that compiled code and child processes are
heard, too; in the program's own process only Python's streams, and only of the thread that trains, for
the display prints beside it. Either way `logging` is kept at the levels that loggers have. What a trial
of several in one program prints cannot be told apart, and stays where it went.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tuner.artifacts import Artifacts
from tuner.errors import StoreError

_FORMAT = "%(levelname)s %(name)s: %(message)s"


class TrialOutput:
    """The logs of the trials of one worker that trains one at a time; used by one thread."""

    def __init__(self, artifacts: Artifacts, *, descriptors: bool = False) -> None:
        """Nothing is taken yet.

        Args:
            artifacts: the study's files, where logs lie.
            descriptors: whether the process prints nothing of its own, so that all of it may be taken.
        """
        self._artifacts = artifacts
        self._descriptors = descriptors
        self._handler = _LogHandler(self)
        self._number: int | None = None
        self._file: int | None = None
        self._thread: int | None = None
        self._is_silent = False
        if descriptors:
            self._own = os.dup(1), os.dup(2)
            for stream in (sys.stdout, sys.stderr):
                stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]

    @contextmanager
    def of(self, number: int, *, is_silent: bool = False) -> Iterator[None]:
        """Send what is printed meanwhile to a trial's log.

        Args:
            number: the trial's.
            is_silent: it was heard before, so it goes nowhere.
        """
        if number != self._number:
            self.end()
        self._number, self._is_silent, self._thread = number, is_silent, threading.get_ident()
        root = logging.getLogger()
        root.addHandler(self._handler)
        try:
            with self._taken_descriptors() if self._descriptors else self._taken_streams():
                yield
        finally:
            root.removeHandler(self._handler)
            self._thread = None

    def end(self) -> None:
        """The trial has left its row; a log in which nothing stands is removed."""
        if self._file is not None and self._number is not None:
            is_empty = os.fstat(self._file).st_size == 0
            os.close(self._file)
            if is_empty:
                with suppress(OSError):
                    self._artifacts.log(self._number).unlink()
        self._number = self._file = None

    def write(self, text: str) -> None:
        """Append to the log; a disk that does not take it costs the log, and no trial."""
        if self._is_silent:
            return
        with suppress(OSError, StoreError):
            os.write(self._opened(), text.encode(errors="replace"))
            self._artifacts.shorten_log(self._number or 0)

    def is_for(self, thread: int) -> bool:
        """Whether what a thread prints now belongs to a trial."""
        return thread == self._thread

    def _opened(self) -> int:
        if self._file is None:
            self._file = self._artifacts.open_log(self._number or 0)
        return self._file

    @contextmanager
    def _taken_streams(self) -> Iterator[None]:
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = (_Sink.over(stream, self) for stream in before)
        try:
            yield
        finally:
            # Whoever has set other streams meanwhile has them.
            for name, stream in zip(("stdout", "stderr"), before, strict=True):
                if isinstance(getattr(sys, name), _Sink):
                    setattr(sys, name, stream)

    @contextmanager
    def _taken_descriptors(self) -> Iterator[None]:
        try:
            target = os.open(os.devnull, os.O_WRONLY) if self._is_silent else self._opened()
        except (OSError, StoreError):
            yield
            return
        for descriptor in (1, 2):
            os.dup2(target, descriptor)
        try:
            yield
        finally:
            for stream, own, descriptor in zip((sys.stdout, sys.stderr), self._own, (1, 2), strict=True):
                with suppress(OSError, ValueError):
                    stream.flush()
                os.dup2(own, descriptor)
            if self._is_silent:
                os.close(target)
            else:
                with suppress(OSError):
                    self._artifacts.shorten_log(self._number or 0)


class _Sink:
    """A stream whose text goes to a trial's log if the thread that trains writes it."""

    def __init__(self, stream: Any, output: TrialOutput) -> None:
        self._stream, self._output = stream, output

    @classmethod
    def over(cls, stream: Any, output: TrialOutput) -> _Sink:
        """The sink over a stream: one, for a handler that a trial has set up may hold it."""
        if isinstance(stream, cls):
            return stream
        found = _SINKS.get(id(stream))
        if found is None or found._stream is not stream or found._output is not output:
            found = _SINKS[id(stream)] = cls(stream, output)
        return found

    def write(self, text: str) -> int:
        if not self._output.is_for(threading.get_ident()):
            return int(self._stream.write(text) or 0)
        self._output.write(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


_SINKS: dict[int, _Sink] = {}


class _LogHandler(logging.Handler):
    """Keeps what is logged while a trial is at work, unless another handler prints it there anyway."""

    def __init__(self, output: TrialOutput) -> None:
        super().__init__()
        self._output = output
        self.setFormatter(logging.Formatter(_FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        printed = any(
            isinstance(getattr(each, "stream", None), _Sink) or getattr(each, "stream", None) is sys.stderr
            for each in logging.getLogger().handlers
        )
        if self._output.is_for(record.thread or 0) and not printed:
            self._output.write(f"{self.format(record)}\n")
