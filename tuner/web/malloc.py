"""malloc: give the memory that reading a study needed back to the system.

glibc keeps freed memory per thread; a server with ten threads would appear to use half as
much again. Does nothing where there is no glibc.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_ARENA_MAX = -8


def keep_together() -> None:
    """Let all threads share one arena; call this before they start."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Return free memory to the system."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
