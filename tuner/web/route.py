"""Route: the browser's address: study, page, trial, selection, options, theme.

The browser writes the address; nothing in it is trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tuner.figures import THEMES, Theme

_DIGITS = re.compile("[0-9]{1,9}")

MOST_SELECTED = 20_000
"""More trials than this cannot be selected by one address."""


@dataclass(frozen=True)
class Route:
    """What an address selects.

    Attributes:
        study: a study's name; None: the list of studies.
        page: a page's name; None: the first one.
        trial: a trial's number.
        open: the number of a trial that stands beside the figures.
        against: further studies to compare with.
        selection: numbers of the selected trials.
        options: chosen options by card: ``{"convergence": {"axis": "epochs"}}``.
        theme: the colours.
        lost: the whole address, where it names no study and is not that of the list.
    """

    study: str | None = None
    page: str | None = None
    trial: int | None = None
    open: int | None = None
    against: tuple[str, ...] = ()
    selection: frozenset[int] = frozenset()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    theme: Theme = THEMES["light"]
    lost: str | None = None

    @classmethod
    def read(cls, given: Any) -> Route:
        """Read what the browser sent; invalid parts are ignored."""
        table = given if isinstance(given, Mapping) else {}
        options: dict[str, dict[str, Any]] = {}
        chosen = table.get("options")
        for key, value in chosen.items() if isinstance(chosen, Mapping) else ():
            card, dot, name = str(key).rpartition(".")
            if dot and isinstance(value, str | bool | int | float):
                options.setdefault(card, {})[name] = value
        against = table.get("against")
        return cls(
            study=_text(table.get("study")),
            page=_text(table.get("page")),
            trial=_number(table.get("trial")),
            open=_number(table.get("open")),
            against=tuple(str(name) for name in against) if isinstance(against, list) else (),
            selection=frozenset(numbers(_text(table.get("sel")) or "")),
            options=options,
            theme=THEMES.get(str(table.get("theme")), THEMES["light"]),
            lost=_text(table.get("lost")),
        )


def numbers(text: str) -> Iterable[int]:
    """The numbers of a text such as ``3,5-9``; other parts are ignored."""
    left = MOST_SELECTED
    for part in text.split(","):
        low, dash, high = part.partition("-")
        first = _number(low)
        last = _number(high) if dash else first
        if first is None or last is None:
            continue
        span = range(first, last + 1)[:left]
        left -= len(span)
        yield from span


def address(study: str, page: str | None = None, trial: int | None = None) -> str:
    """The address of a study's page, for links."""
    parts = {"study": study, "page": page, "trial": trial}
    return "/?" + urlencode({name: value for name, value in parts.items() if value is not None})


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> int | None:
    """A trial's number; None for anything but ASCII digits."""
    text = str(value)
    return int(text) if _DIGITS.fullmatch(text) else None
