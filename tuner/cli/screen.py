"""The screen: safe output of any text on any terminal.

Every line of a command goes through `console` or `say`. A user's text is not read as markup, its control
characters do nothing, and characters that the terminal's encoding lacks are replaced.
"""

from __future__ import annotations

import codecs
import os
import re
import sys
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.table import Table

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Characters that move the cursor, change colours or the direction of writing; all of width 0 in Rich."""

_SIMILAR = {"–": "-", "—": "-", "…": ".", "±": "+-", "·": "*", "━": "=", "╸": "-", "×": "x", "⠿": "#"}
"""Replacements for characters that a terminal lacks; a question mark for all others."""

_ERRORS = "tuner.similar"


def prepare() -> None:
    """Make stdout and stderr take any text; one that is closed takes it and drops it."""
    codecs.register_error(_ERRORS, _similar)
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_ERRORS)


def silence() -> None:
    """Drop what is still to be written to stdout after its reader has gone or its disk is full."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: object, *, stderr: bool = False, flush: bool = False) -> None:
    """Print one line: line breaks become spaces. A closed stderr does not end a command."""
    with suppress(OSError) if stderr else nullcontext():
        print(plain(str(text)), file=sys.stderr if stderr else sys.stdout, flush=flush)


def plain(text: str) -> str:
    """A text in one line, without control characters."""
    return harmless(re.sub(r"[\t\n\x0b\x0c\r\x85\u2028\u2029]", " ", text))


def harmless(text: str) -> str:
    """A text without control characters but line breaks and tabs."""
    return _CONTROLS.sub("", text)


def reference(text: str) -> str:
    """A file or a reference into one, seen from the working folder where it lies in it."""
    return text.removeprefix(f"{Path.cwd()}{os.sep}")


def shows(text: str) -> bool:
    """Whether stdout can encode this text."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return harmless(text) == text


def console(*, stderr: bool = False) -> Console:
    """Where tables, colours and wrapped text are printed."""
    from rich.console import Console

    class Screen(Console):
        """Shows text without markup and control characters; Rich's own control codes are kept."""

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                text, style, control = segment
                yield segment if control else type(segment)(harmless(text), style)

    return Screen(stderr=stderr, highlight=False, markup=False, emoji=False)


def table() -> Table:
    """An empty table, in the style of all tables."""
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))


def _similar(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_SIMILAR.get(letter, "?") for letter in lacking), error.end
