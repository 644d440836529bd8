"""Room: margins for what stands beside a plot, and axes of numbers that are all the same.

Worked out before it is drawn: Plotly could measure labels itself, and draws every figure twice for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tuner.figures.theme import NOTE

_LETTER, _TITLE, _LINE = 7.2, 34, 15
"""Pixels: a digit's width, an axis' title with its distance, a line of small print."""

_TICKS, _LONGEST = 5, 12
_EDGE = 10
_SAME, _AROUND = 1e-6, 0.1


def make_room(drawing: dict[str, Any]) -> None:
    """Widen a drawing's margins for the numbers along its left axis, and for the small print below it.

    An axis of which all numbers are the same has a range around it, else Plotly would show how they were
    rounded.
    """
    _spread(drawing)
    layout = drawing["layout"]
    margin, axis = layout.get("margin", {}), layout.get("yaxis", {})
    lines = [
        each["text"].count("<br>") + 1 for each in layout.get("annotations", ()) if each.get("name") == NOTE
    ]
    if lines:
        margin["b"] = margin.get("b", 0) + _LINE * max(lines) + 4
    if axis.get("visible", True) and "ticktext" not in axis and not axis.get("tickformat", "").endswith("%"):
        is_log = axis.get("type") == "log"
        ends = _ends(drawing, axis, is_log)
        if ends is not None:
            margin["l"] = max(margin.get("l", 0), round(_TITLE + _LETTER * label_length(*ends, log=is_log)))
    for each in layout.get("annotations", ()):
        if each.get("name") == NOTE:
            each["xshift"] = _EDGE - margin.get("l", 0)  # from edge to edge of the card


def label_length(low: float, high: float, *, log: bool) -> int:
    """How many letters the longest number along an axis has; see `Theme.axis` for how they are written."""
    largest = max(abs(low), abs(high))
    if log:
        decimals = math.ceil(-math.log10(low)) if 0 < low < 1 else 0
    else:
        span = (high - low) or largest or 1.0
        decimals = max(0, -math.floor(math.log10(span / _TICKS)))
    length = len(f"{largest:,.{decimals}f}") + (low < 0)
    return min(length, _LONGEST)


def _spread(drawing: dict[str, Any]) -> None:
    axes = {
        key.replace("axis", ""): axis for key, axis in drawing["layout"].items() if key.startswith("yaxis")
    }
    for name, axis in axes.items():
        sharing = {name, *(other for other, its in axes.items() if its.get("matches") == name)}
        traces = [trace for trace in drawing["data"] if trace.get("yaxis", "y") in sharing]
        if axis.keys() & {"range", "ticktext", "matches"} or any(t.get("type") != "scatter" for t in traces):
            continue
        known = [value for each in sharing for value in _values(drawing, each)]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        if high - low <= _SAME * max(abs(low), abs(high)):
            is_log = axis.get("type") == "log"
            if not is_log:
                axis["range"] = [low - _AROUND * (abs(low) or 1.0), high + _AROUND * (abs(high) or 1.0)]
            elif low > 0:
                axis["range"] = [math.log10(low) - _AROUND, math.log10(high) + _AROUND]


def _ends(drawing: dict[str, Any], axis: dict[str, Any], is_log: bool) -> tuple[float, float] | None:
    """The lowest and the highest number that the axis shows."""
    if "range" in axis:
        low, high = sorted(axis["range"])
        return (10.0**low, 10.0**high) if is_log else (low, high)
    known = [value for value in _values(drawing, "y") if not is_log or value > 0]
    return (min(known), max(known)) if known else None


def _values(drawing: dict[str, Any], axis: str) -> Iterator[float]:
    for trace in drawing["data"]:
        if trace.get("yaxis", "y") == axis and trace.get("orientation") != "h":
            yield from (y for y in trace.get("y", ()) if isinstance(y, int | float))
