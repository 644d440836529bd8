"""Numbers for drawing: rounded lists, thinning, gaps between lines, running and binned medians."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tsdownsample import MinMaxDownsampler

from tuner.core.columns import Bools, Floats, Ints

_EXTREMES: Any = MinMaxDownsampler()  # type: ignore[no-untyped-call]

DIGITS = 4
"""Significant digits of numbers that are sent to be drawn: finer than a pixel."""

POINT_DIGITS = 8
"""Significant digits of a trial's point, whose numbers are shown on hover."""

AXIS_DIGITS = 7
"""Significant digits of positions on a long axis."""

_MOST_DIGITS = 15


def listed(values: Any, digits: int = DIGITS) -> list[float | None]:
    """Numbers as JSON takes them: rounded to significant digits, None for numbers that are not finite.

    Numbers that lie close together have so many digits more that these tell where between the
    lowest and the highest each one lies.
    """
    array = np.asarray(values, dtype=float)
    finite = np.isfinite(array)
    rounded = significant(array, _fine(array[finite], digits))
    if finite.all():
        found: list[float | None] = rounded.tolist()
        return found
    sparse = rounded.astype(object)
    sparse[~finite] = None
    return list(sparse)


def significant(values: NDArray[np.floating[Any]], digits: int) -> Floats:
    """The nearest numbers of so many significant digits; those that are not finite stay as they are."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        size = np.floor(np.log10(np.abs(np.where(np.isfinite(values) & (values != 0), values, 1.0))))
        # Whole powers of ten are exact, so that dividing by one gives the shortest decimal.
        power = 10.0 ** np.clip(np.abs(digits - 1 - size), 0, 300)
        fine, coarse = np.round(values * power) / power, np.round(values / power) * power
        return np.asarray(np.where(size < digits, fine, coarse), np.float64)


def _fine(values: Floats, digits: int) -> int:
    """Significant digits that keep `digits` of the differences between finite values."""
    if not len(values):
        return digits
    low, high = values.min(), values.max()
    most = max(abs(low), abs(high))
    apart = high / most - low / most if most else 0.0
    return (
        min(digits + math.ceil(max(0.0, -math.log10(apart))), _MOST_DIGITS)
        if apart > 0
        else max(digits, POINT_DIGITS)
    )


def colour_ends(values: Floats) -> tuple[float, float]:
    """From where to where a scale of colours goes for finite values: without the outermost, never empty."""
    low, high = (float(q) for q in np.quantile(values, (0.02, 0.98)))
    size = max(abs(low), abs(high))
    return (low, high) if high - low > 1e-6 * size else (low, low + (0.1 * size or 1.0))


def thinned(rows: Ints, keep: Bools, most: int) -> Ints:
    """At most about `most` of these rows: all under `keep` and every n-th of the others.

    Args:
        rows: indices, in the order they are thinned in.
        keep: (len(rows),) which must stay.
        most: how many are enough.
    """
    if len(rows) <= most:
        return rows
    others = np.flatnonzero(~keep)
    room = max(most - int(keep.sum()), 0)
    chosen = keep.copy()
    if room:
        chosen[others[np.linspace(0, len(others) - 1, min(room, len(others))).astype(np.int64)]] = True
    return rows[chosen]


def decimated(y: Floats, most: int, keep: Sequence[int] = ()) -> Ints:
    """Indices of at most about `most` points of a line, its extremes and `keep` among them."""
    if len(y) <= most:
        return np.arange(len(y))
    steady = np.nan_to_num(y, nan=float(np.nanmedian(y)) if np.isfinite(y).any() else 0.0)
    # Below four buckets, and for odd counts, the downsampler refuses.
    chosen = _EXTREMES.downsample(np.ascontiguousarray(steady), n_out=max(most // 2 * 2, 8))
    ends = np.array([0, len(y) - 1, *keep])
    return np.unique(np.concatenate([chosen.astype(np.int64), ends]))


def gapped(values: NDArray[Any], ends: Ints) -> Floats:
    """Lines end to end in one array, with `nan` after each; `ends` are the ends of all but the last."""
    return np.insert(np.asarray(values, dtype=float), ends, np.nan)


def smoothed(y: Floats, weight: float) -> Floats:
    """An exponential moving average, without the bias of its first value (as TensorBoard has it).

    Args:
        y: (E,) a line; `nan` is passed over.
        weight: 0 for none, towards 1 for much.
    """
    if not 0 < weight < 1:
        return np.asarray(y, dtype=float)
    found = np.full(len(y), np.nan)
    last, debias = 0.0, 0.0
    for i, value in enumerate(y.tolist()):
        if np.isfinite(value):
            last = weight * last + (1 - weight) * value
            debias = weight * debias + (1 - weight)
            found[i] = last / debias
    return found


def percentiles(
    group: Ints, y: Floats, shares: tuple[float, ...], most: int = 200
) -> tuple[Ints, NDArray[np.float64]]:
    """Percentiles of y in runs of equal `group`, e.g. at each epoch.

    Args:
        group: (E,) sorted.
        y: (E,) in the same order; what is not finite is left out.
        shares: S of them, 0 to 1; the nearest observed value is taken, so that it is a real one.
        most: more groups than that are thinned evenly, the first and the last kept.

    Returns:
        The groups (G,) that have a number, and their percentiles (G, S).
    """
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    ends = np.append(starts[1:], len(group))
    which = np.arange(len(starts))
    if len(which) > most:
        which = np.unique(np.linspace(0, len(which) - 1, most).astype(np.int64))
    groups, found = [], []
    for i in which.tolist():
        values = y[starts[i] : ends[i]]
        values = values[np.isfinite(values)]
        if len(values):
            places = np.rint(np.array(shares) * (len(values) - 1)).astype(np.int64)
            groups.append(group[starts[i]])
            found.append(np.partition(values, places)[places])
    return np.array(groups, dtype=np.int64), np.array(found, dtype=float).reshape(-1, len(shares))


@dataclass(frozen=True)
class Bins:
    """Medians of y in bins of x, B of them, the empty ones left out.

    Attributes:
        x: (B,) the median x of each.
        low: (B,) the first quartile of y.
        median: (B,) of y.
        high: (B,) the third quartile of y.
        count: (B,) how many points.
    """

    x: Floats
    low: Floats
    median: Floats
    high: Floats
    count: Ints


def binned(x: Floats, y: Floats, bins: int = 10) -> Bins:
    """Medians in bins that hold equally many points; ties in x stay together."""
    fine = np.isfinite(x) & np.isfinite(y)
    x, y = x[fine], y[fine]
    bins = min(bins, max(1, len(x) // 4))
    edges = np.unique(np.quantile(x, np.linspace(0, 1, bins + 1))) if len(x) else np.empty(0)
    code = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, max(len(edges) - 2, 0))
    return grouped(code, x, y)


def grouped(code: Ints, x: Floats, y: Floats) -> Bins:
    """Medians of y (all finite) in groups that are given by number."""
    groups = [np.flatnonzero(code == each) for each in np.unique(code)]
    quartiles = np.array([np.quantile(y[rows], (0.25, 0.5, 0.75)) for rows in groups]).reshape(-1, 3)
    middles = np.array([np.median(x[rows]) for rows in groups], dtype=float)
    counts = np.array([len(rows) for rows in groups], dtype=np.int64)
    return Bins(middles, quartiles[:, 0], quartiles[:, 1], quartiles[:, 2], counts)


def spans_decades(values: Floats) -> bool:
    """Whether a logarithmic axis shows these numbers better: positive, and of different sizes."""
    finite = values[np.isfinite(values)]
    if not len(finite) or finite.min() <= 0:
        return False
    low, high = np.quantile(finite, (0.0, 0.95))
    return bool(high > 20 * low)


def window(values: Floats, log: bool, minimize: bool | None = None) -> list[float] | None:
    """An axis range that leaves far outliers out; None where there are none.

    Args:
        values: what is drawn.
        log: whether the axis is logarithmic; its range is in powers of ten then.
        minimize: which end is the good one and always stays; both ends are cut when left out.
    """
    finite = values[np.isfinite(values) & ((values > 0) | (not log))]
    if len(finite) < 8:
        return None
    scaled = np.log10(finite) if log else finite
    least, q1, q3, most = (float(q) for q in np.quantile(scaled, (0.0, 0.25, 0.75, 1.0)))
    reach = 3.0 * (q3 - q1) or (abs(q3) or 1.0)
    low = least if minimize else max(least, q1 - reach)
    high = most if minimize is False else min(most, q3 + reach)
    if low == least and high == most:
        return None
    margin = 0.05 * (high - low) or 1.0
    return [low - margin, high + margin]
