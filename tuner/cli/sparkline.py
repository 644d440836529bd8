"""Sparklines: curves as one line of blocks each."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "_.-=+*%#"


def blocks(encoding: str) -> str:
    """The blocks that a terminal of this encoding can show."""
    return BLOCKS if encoding.startswith("utf") else PLAIN_BLOCKS


def span(curve: Sequence[float]) -> tuple[float, float]:
    """The range of a curve; (nan, nan) when nothing is finite."""
    finite = [y for y in curve if math.isfinite(y)]
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
