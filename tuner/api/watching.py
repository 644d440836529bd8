"""Who looks on while a study runs: whoever was given, else the terminal's own display."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tuner import registry
from tuner.core.ports import Observer

_DISPLAY = "tuner.cli.progress:watch"
"""What shows it; named, as a plugin would be, since commands are built on this room and not it on them."""


@contextmanager
def watched(observer: Observer | None, progress: bool | None) -> Iterator[Observer | None]:
    """An observer for as long as a study runs.

    Args:
        observer: who looks on anyway.
        progress: whether progress is shown on stderr where nobody looks on; None: where that is a
            terminal or a notebook.
    """
    if observer is not None or not (_is_seen() if progress is None else progress):
        yield observer
        return
    with registry.load(_DISPLAY)() as display:
        yield display


def _is_seen() -> bool:
    """Whether somebody reads stderr as it is written."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
