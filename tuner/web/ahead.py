"""Ahead: the newest study's first look, taken by a process of its own while the program still starts.

Reading half a million readings and loading a web framework take about as long, and neither has to wait
for the other. What is done with the look is not known here.
"""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection

from tuner.core.spec import StudySpec
from tuner.errors import TunerError
from tuner.store.columns import News, Reader
from tuner.store.read import StudySummary


class Ahead:
    """A look that is being taken; to be begun while the program has but one thread.

    Does nothing where a process cannot be copied cheaply and safely; then the look is taken later.

    Args:
        url: the database.
    """

    def __init__(self, url: str) -> None:
        context = get_context("fork" if sys.platform == "linux" else None)
        self._answer, answer = context.Pipe(duplex=False)
        self._process = context.Process(target=_answer, args=(url, self._answer, answer), daemon=True)
        if sys.platform == "linux":
            self._process.start()
        answer.close()

    def look(self) -> tuple[StudySummary, News] | None:
        """The newest study and all of its numbers; None where that did not work out.

        What is wrong is found out anew by whoever reads next, and told there.
        """
        found: tuple[StudySummary, News] | None = None
        with suppress(EOFError, OSError):
            found = self._answer.recv()
        self.close()
        return found

    def close(self) -> None:
        """End the process, however far it is."""
        self._answer.close()
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()


def _answer(url: str, theirs: Connection, answer: Connection) -> None:
    theirs.close()  # so that nobody is written to when the program is gone
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(TunerError, OSError):
        reader = Reader(url)
        summaries = reader.studies()
        if summaries:
            newest = summaries[0]
            names = StudySpec.parse(newest.spec, newest.name).goals().names
            answer.send((newest, reader.news(newest.name, None, names)))
