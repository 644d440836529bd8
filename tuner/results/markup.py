"""The style and the cards of HTML pages; pages as files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from tuner.core.markup import Markup, element
from tuner.errors import SpecError

STYLE = """
.verdict { font-size: 17px; border-left: 4px solid var(--accent); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(330px, 100%), 1fr)); gap: 12px; }
.cards > .card { border-left: 4px solid var(--line); }
.cards > .fair { border-left-color: var(--fair); } .cards > .poor { border-left-color: var(--poor); }
.card p + p { margin-top: 6px; } .stack { display: grid; gap: 12px; }
.full { grid-column: 1 / -1; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13.5px; }
th, td { padding: 3px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
thead th { color: var(--quiet); font-weight: 500; } th:first-child { text-align: left; }
tbody th { font-weight: 500; } .marked > * { color: var(--accent); }
tbody tr:last-child > * { border-bottom: 0; }
.told th, .told td { text-align: left; } .told td { white-space: normal; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: minmax(90px, auto) minmax(0, 1fr); gap: 2px 14px; margin: 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
pre, code { font: 12.5px/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { margin: 8px 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
a { color: var(--accent); } nav { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 4px 0 14px; }
summary { cursor: pointer; } details, .told { margin-top: 10px; }
@media (max-width: 600px) { th, td { padding: 3px 6px; } .card { padding: 10px; }
  th { white-space: normal; min-width: 5em; } }
@media print { nav, .download { display: none; } pre { font-size: 10px; } table { font-size: 11px; }
  .trials th, .trials td { white-space: normal; padding: 2px 4px; } }
"""
"""The style of tables, cards and lists, added to that of `figures.document`."""


def card(*content: str, mood: str = "") -> Markup:
    """A framed part of a page."""
    return element("section", *content, class_=f"card {mood}".strip())


def save(place: Path, text: str) -> None:
    """Write a page, or another text.

    Raises:
        SpecError: it cannot be written there.
    """
    try:
        place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecError(
            f"{place}: cannot be written: {error.strerror}; name a file in a folder that exists"
        ) from error


def library() -> str:
    """The text of plotly.js with cartesian figures alone, a third of the whole one."""
    return resources.files("tuner").joinpath("web/assets/a-plotly.min.js").read_text(encoding="utf-8")
