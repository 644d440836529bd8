"""Numbers, durations and curves as short text.

Knows nothing of studies, and nothing of where the text is shown.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "_.-=+*%#"
ABSENT = "–"


def number(value: float | None) -> str:
    """Four significant digits; a dash for what was not measured."""
    return ABSENT if value is None or math.isnan(value) else f"{value:.4g}"


def setting(value: object) -> str:
    """A parameter's value; a dash where the parameter was not active."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """``0:07``, ``12:34`` or ``3:25:45``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def reference(text: str) -> str:
    """A file or a reference into one, seen from the working folder where it lies in it."""
    here = f"{Path.cwd()}{os.sep}"
    return text.removeprefix(here)


def count(amount: int, noun: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


def span(*curves: Sequence[float]) -> tuple[float, float]:
    """The range that curves drawn beside each other share; (nan, nan) when nothing is finite."""
    finite = [y for curve in curves for y in curve if math.isfinite(y)]
    return (min(finite), max(finite)) if finite else (math.nan, math.nan)


def sparkline(curve: Sequence[float], width: int, low: float, high: float, blocks: str = BLOCKS) -> str:
    """A curve as one line of blocks, at most `width` of them, each the last value of its share.

    Positive curves are drawn on a logarithmic scale, so that late progress shows. What is not
    finite is drawn as ``!``.
    """
    if len(curve) > width:
        curve = [curve[(i + 1) * len(curve) // width - 1] for i in range(width)]
    scale = math.log if low > 0 else float
    bottom, height = (scale(low), scale(high) - scale(low)) if low <= high else (0.0, 0.0)
    text = ""
    for y in curve:
        share = (scale(y) - bottom) / height if math.isfinite(y) and height > 0 else 0.0
        text += blocks[min(len(blocks) - 1, int(share * len(blocks)))] if math.isfinite(y) else "!"
    return text
