"""Markup: HTML elements from texts, all of them escaped, and small pieces of it for notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

_SNIPPET_STYLE = """
.tuner-snippet { max-width: 62em; line-height: 1.45; } .tuner-snippet p { margin: 4px 0; }
.tuner-snippet table { border-collapse: collapse; margin: 6px 0; font-variant-numeric: tabular-nums; }
.tuner-snippet th, .tuner-snippet td { padding: 2px 12px 2px 0; text-align: right; background: none;
  font-weight: normal; border-bottom: 1px solid rgba(128, 128, 128, .35); }
.tuner-snippet th:first-child { text-align: left; } .tuner-snippet thead th { opacity: .7; }
.tuner-snippet .marked > * { font-weight: 600; } .tuner-snippet .quiet { opacity: .7; }
.tuner-snippet .scroll { overflow-x: auto; }
.tuner-snippet .bar { height: 6px; border-radius: 3px; max-width: 32em; background: rgba(128, 128, 128, .3); }
.tuner-snippet .bar > div { height: 100%; border-radius: 3px; background: #0072b2; }
"""
"""Takes letters and colours from the notebook, so that it suits light and dark ones."""


class Markup(str):
    """A text that is HTML already."""

    __slots__ = ()


def element(name: str, *content: str, **attributes: str) -> Markup:
    """An element; content other than `Markup` is escaped.

    Args:
        name: e.g. ``"p"``.
        content: texts and elements.
        attributes: a trailing underscore is dropped, as in ``class_``.
    """
    told = "".join(f' {key.rstrip("_")}="{html.escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{told}>{joined(content)}</{name}>")


def joined(content: Iterable[str]) -> Markup:
    """Texts and elements, one after the other."""
    return Markup("".join(part if isinstance(part, Markup) else html.escape(part) for part in content))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], marked: int | None = None) -> Markup:
    """A table that scrolls sideways where it is too wide; each row's first cell is its heading.

    Args:
        head: the columns' headings.
        rows: their cells.
        marked: the index of a row that stands out.
    """
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(element("td", cell) for cell in row[1:]),
            **({"class_": "marked"} if i == marked else {}),
        )
        for i, row in enumerate(rows)
    ]
    top = element("thead", element("tr", *(element("th", cell, scope="col") for cell in head)))
    return element("div", element("table", top, element("tbody", *body)), class_="scroll")


def snippet(*content: str) -> str:
    """A piece of HTML that brings its own style, as a notebook shows the value of a cell."""
    style = element("style", Markup(_SNIPPET_STYLE))
    return str(element("div", style, *content, class_="tuner-snippet"))
