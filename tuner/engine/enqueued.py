"""EnqueuedTrials: configurations that others, such as plain Optuna, want a running study to train."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable

from tuner.core.ports import Searcher, Store
from tuner.core.trial import Params, Trial
from tuner.errors import SpecError

_LOOK_EVERY_S = 1.0
_LOG = logging.getLogger(__name__)


class EnqueuedTrials:
    """Looked for in the store once a second at most."""

    def __init__(self, store: Store, searcher: Searcher, seconds: Callable[[], float]) -> None:
        self._store, self._searcher, self._seconds = store, searcher, seconds
        self._waiting: deque[tuple[int, Params]] = deque()
        self._known: set[int] = set()
        self._looked = -math.inf

    def take(self, most: int) -> dict[int, Trial]:
        """Take up some of them, by the store's id; why others cannot be trained is stored."""
        if self._seconds() - self._looked >= _LOOK_EVERY_S:
            self._looked = self._seconds()
            new = {i: given for i, given in self._store.enqueued().items() if i not in self._known}
            self._known.update(new)
            self._waiting.extend(new.items())
        taken: dict[int, Trial] = {}
        refused: dict[int, str] = {}
        while self._waiting and len(taken) < most:
            key, given = self._waiting.popleft()
            try:
                taken[key] = self._searcher.take(given)
            except SpecError as error:
                refused[key] = f"it is not trained: {'; '.join(error.faults)}"
                _LOG.warning("an enqueued trial %s: %s", dict(given), refused[key])
        if refused:
            self._store.refuse(refused)
        return taken
