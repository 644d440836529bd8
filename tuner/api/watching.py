"""The observer of a running study: the given one, else the terminal's display."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from tuner import registry
from tuner.core.ports import Observer
from tuner.errors import SpecError

Progress = bool | Literal["auto"]
"""Whether progress is shown; ``"auto"``: in terminals and notebooks."""

_DISPLAY = "tuner.cli.progress:watch"
"""The display, by reference like a plugin, since `api` must not import `cli`."""


@contextmanager
def watched(observer: Observer | None, progress: Progress) -> Iterator[Observer | None]:
    """The given observer, or one that shows progress if that is wanted, for as long as a study runs.

    Raises:
        SpecError: `progress` is nothing of the kind.
    """
    if progress not in ("auto", True, False):
        raise SpecError(f'progress: found {progress!r}; give "auto", True or False')
    if observer is not None or not (_is_seen() if progress == "auto" else progress):
        yield observer
        return
    with registry.load(_DISPLAY)() as display:
        yield display


def _is_seen() -> bool:
    """Whether stderr is a terminal, or this process the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    if ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None:
        return True
    return sys.stderr is not None and sys.stderr.isatty()
