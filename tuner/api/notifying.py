"""Notices: tells the one that `[notify]` names how a study goes, from a thread of its own.

What cannot be delivered is told once in the log; it never holds up or ends a study.
"""

from __future__ import annotations

import json
import logging
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

from tuner.core import words
from tuner.core.ports import Observer, Status
from tuner.core.sections import NotifySpec, Occasion
from tuner.core.spec import StudySpec
from tuner.core.trial import TrialState
from tuner.errors import described
from tuner.results import Study

_LOG = logging.getLogger(__name__)

_TIMEOUT_S = 15.0
"""At most so long one notice may take."""

_PATIENCE_S = 2 * _TIMEOUT_S
"""At most so long the end of a study waits for the last notices."""


@contextmanager
def notified(spec: StudySpec, study: Study, observer: Observer | None) -> Iterator[Observer | None]:
    """An observer that also tells whom `[notify]` names, and them how what runs within has ended."""
    if spec.notify.url is None and spec.notify.command is None:
        yield observer
        return
    notices = Notices(spec, observer)
    try:
        try:
            yield notices
        except KeyboardInterrupt:
            notices.send("end", f"{spec.name} was interrupted")
            raise
        except Exception as error:
            notices.send("end", f"{spec.name} failed: {described(error)}")
            raise
        study.refresh()
        taken = study.verdict.number
        value = None if taken is None else study.verdict.value
        found = "" if taken is None else f"; trial {taken} is recommended, {_valued(spec, value)}"
        notices.send(
            "end", f"{spec.name} {study.summary.status}: {study.summary.reason}{found}", taken, value
        )
    finally:
        notices.close()


class Notices:
    """An `Observer` that sends notices, in the order of what happens."""

    def __init__(self, spec: StudySpec, observer: Observer | None) -> None:
        self._spec, self._observer = spec, observer
        self._best: int | None = None
        self._failures: int | None = None
        self._queue: SimpleQueue[Mapping[str, Any] | None] = SimpleQueue()
        self._thread = Thread(target=self._deliver, name="notices", daemon=True)
        self._thread.start()

    def begin(self, spec: StudySpec, notes: Sequence[str]) -> None:
        """A study starts: the search, or the confirmation that follows it."""
        self._failures = None
        if self._observer is not None:
            self._observer.begin(spec, notes)

    def turn(self, status: Status) -> None:
        """A turn was recorded; what earlier sessions found and what a confirmation finds is no news."""
        best, failures = status.best, status.counts.get(TrialState.FAILED, 0)
        number = None if best is None else best.number
        is_first, self._failures, before = self._failures is None, failures, self._failures or 0
        if best is not None and number != self._best and not is_first:
            told = f"{self._spec.name}: trial {number} is the best so far, {_valued(self._spec, best.value)}"
            self.send("best", told, number, best.value)
        if failures > before and not is_first:
            text = f"{self._spec.name}: {words.count(failures, 'trial')} failed so far"
            self.send("failure", f"{text}; see: tune show {shlex.quote(self._spec.name)}")
        self._best = number
        if self._observer is not None:
            self._observer.turn(status)

    def send(self, event: Occasion, text: str, trial: int | None = None, value: float | None = None) -> None:
        """Send a notice, if it is wanted; returns at once."""
        if event in self._spec.notify.on:
            told = {"text": text, "event": event, "study": self._spec.name, "trial": trial, "value": value}
            self._queue.put(told)

    def close(self) -> None:
        """Wait a moment for the last ones to be delivered."""
        self._queue.put(None)
        self._thread.join(_PATIENCE_S)

    def _deliver(self) -> None:
        is_told = False
        while (notice := self._queue.get()) is not None:
            for error in _delivered(self._spec.notify, notice):
                if not is_told:
                    _LOG.warning("notify: %s; the study goes on", error)
                is_told = True


def _delivered(to: NotifySpec, notice: Mapping[str, Any]) -> Iterator[str]:
    """What went wrong, in words."""
    if to.url is not None:
        head = {"Content-Type": "application/json"}
        request = Request(to.url, json.dumps(notice).encode(), head, method="POST")  # noqa: S310
        try:
            with urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310
                pass
        except (OSError, ValueError) as error:
            yield f"the notice could not be posted ({error})"
    if to.command is not None:
        try:
            command = [*shlex.split(to.command), notice["text"]]
            subprocess.run(
                command, check=True, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL, capture_output=True
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            yield f"its command failed ({error})"


def _valued(spec: StudySpec, value: float | None) -> str:
    return f"{words.metric(spec.primary_objective().metric)} {words.number(value)}"
