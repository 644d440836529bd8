"""Waiting for a database server that is away for a while: it restarts, or another one takes its place."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Engine

from tuner.errors import StoreError
from tuner.store.connect import is_lost

PATIENCE_S = 120.0
"""How long a study waits for its server to come back."""

_AGAIN_S = 0.2
_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


class Retry:
    """Calls again what failed because the server was away.

    Args:
        engine: to the database.
        who: who waits, for the log.

    Attributes:
        seconds: how long to wait.
    """

    def __init__(self, engine: Engine, who: str) -> None:
        self._engine = engine
        self._who = who
        self.seconds = PATIENCE_S

    def of(self, call: Callable[[bool], _T]) -> _T:
        """What `call` returns; it is told whether it is repeated.

        Raises:
            StoreError: the server was away for too long, or something else is wrong.
        """
        until = None
        while True:
            try:
                return call(until is not None)
            except StoreError as error:
                if not is_lost(error, self._engine):
                    raise
                if until is None:
                    until = time.monotonic() + self.seconds
                    _LOG.warning("%s; %s waits for it", error, self._who)
                if time.monotonic() >= until:
                    raise
            time.sleep(_AGAIN_S)
