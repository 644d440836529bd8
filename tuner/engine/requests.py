"""Requests as the loop sees them: configurations to be tried wait for a row, the rest is done at once."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable

from tuner.core.ports import Searcher, Store
from tuner.core.request import Request, RequestKind
from tuner.core.trial import Trial
from tuner.errors import SpecError

_LOOK_EVERY_S = 1.0
_LOG = logging.getLogger(__name__)


class Requests:
    """Looked for in the store once a second at most, the first time at once.

    Which ones are open follows from the store, so that a study that was cut off goes on with those whose
    turn was not recorded.
    """

    def __init__(self, store: Store, searcher: Searcher, seconds: Callable[[], float]) -> None:
        self._store, self._searcher, self._seconds = store, searcher, seconds
        self._to_try: deque[Request] = deque()
        self._others: list[Request] = []
        self._known: set[Request] = set()
        self._looked = -math.inf

    def _look(self, *, at_once: bool = False) -> None:
        if self._seconds() - self._looked < _LOOK_EVERY_S and not at_once:
            return
        self._looked = self._seconds()
        for request in self._store.requests():
            if request not in self._known:
                self._known.add(request)
                (self._to_try if request.kind is RequestKind.TRY else self._others).append(request)

    def configurations(self, most: int) -> list[tuple[Request, Trial]]:
        """Take up some of the configurations to be tried; why others cannot be trained is stored."""
        self._look()
        taken: list[tuple[Request, Trial]] = []
        refused: list[tuple[Request, str]] = []
        while self._to_try and len(taken) < most:
            request = self._to_try.popleft()
            try:
                taken.append((request, self._searcher.take(request.content)))
            except SpecError as error:
                refused.append((request, f"it is not trained: {'; '.join(error.faults)}"))
                _LOG.warning("a trial %s that was asked for: %s", dict(request.content), refused[-1][1])
        if refused:
            self._store.refuse(refused)
        return taken

    def others(self, *, at_once: bool = False) -> list[Request]:
        """Take up everything else; `at_once` where there is no later time for it."""
        self._look(at_once=at_once)
        found, self._others = self._others, []
        return found
