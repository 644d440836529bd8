"""The observer of a running study: the given one, else the terminal's display."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tuner import registry
from tuner.core.ports import Observer

_DISPLAY = "tuner.cli.progress:watch"
"""The display, by reference like a plugin, since `api` must not import `cli`."""


@contextmanager
def watched(observer: Observer | None, progress: bool | None) -> Iterator[Observer | None]:
    """An observer for as long as a study runs.

    Args:
        observer: the given one.
        progress: whether progress is shown on stderr without an observer; None: if that is a
            terminal or a notebook.
    """
    if observer is not None or not (_is_seen() if progress is None else progress):
        yield observer
        return
    with registry.load(_DISPLAY)() as display:
        yield display


def _is_seen() -> bool:
    """Whether stderr is a terminal or a notebook."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
