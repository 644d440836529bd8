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


def repeated(call: Callable[[bool], _T], engine: Engine, study: str, patience_s: float) -> _T:
    """What `call` returns, which is called again where the server was away; it is told whether it is.

    Raises:
        StoreError: the server was away for too long, or something else is wrong.
    """
    until = None
    while True:
        try:
            return call(until is not None)
        except StoreError as error:
            if not is_lost(error, engine):
                raise
            if until is None:
                until = time.monotonic() + patience_s
                _LOG.warning("%s; study '%s' waits for it", error, study)
            if time.monotonic() >= until:
                raise
        time.sleep(_AGAIN_S)
