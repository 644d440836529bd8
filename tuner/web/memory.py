"""Memory: what a study leaves behind once it is read goes back to the system.

glibc keeps freed memory for each thread apart; a server with ten threads would seem to need half as
much again. Does nothing where there is no glibc.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_ARENA_MAX = -8


def keep_together() -> None:
    """Let all threads take memory from one place; to be called before they start."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Return what is free."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
