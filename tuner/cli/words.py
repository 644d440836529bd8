"""What a terminal adds to `core.words`: running times, references and curves of blocks."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from tuner.core.words import ABSENT, count, duration, number, numbers, percent, setting, settings

__all__ = [
    "ABSENT",
    "BLOCKS",
    "PLAIN_BLOCKS",
    "clock",
    "count",
    "duration",
    "number",
    "numbers",
    "percent",
    "reference",
    "setting",
    "settings",
    "span",
    "sparkline",
]

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "_.-=+*%#"


def clock(seconds: float) -> str:
    """``0:07``, ``12:34`` or ``3:25:45``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def reference(text: str) -> str:
    """A file or a reference into one, seen from the working folder where it lies in it."""
    here = f"{Path.cwd()}{os.sep}"
    return text.removeprefix(here)


def span(*curves: Sequence[float]) -> tuple[float, float]:
    """The range that curves drawn beside each other share; (nan, nan) when nothing is finite."""
    finite = [y for curve in curves for y in curve if math.isfinite(y)]
    return (min(finite), max(finite)) if finite else (math.nan, math.nan)


def sparkline(curve: Sequence[float], width: int, low: float, high: float, blocks: str = BLOCKS) -> str:
    """A curve as one line of blocks, at most `width` of them, each the last value of its share.

    Positive curves are drawn on a logarithmic scale, so that late progress shows. What is not
    finite is drawn as ``!``, and nothing of a curve that has no number at all, as it is not reported.
    """
    if all(map(math.isnan, curve)):
        return ""
    if len(curve) > width:
        curve = [curve[(i + 1) * len(curve) // width - 1] for i in range(width)]
    # Halves, for the range may be wider than the largest number.
    scale = math.log if low > 0 else lambda y: y / 2
    bottom, height = (scale(low), scale(high) - scale(low)) if low <= high else (0.0, 0.0)
    text = ""
    for y in curve:
        share = (scale(y) - bottom) / height if math.isfinite(y) and height > 0 else 0.0
        text += blocks[min(len(blocks) - 1, int(share * len(blocks)))] if math.isfinite(y) else "!"
    return text
