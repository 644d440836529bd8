"""From the values of raw rows to a model's inputs: columns of a table, tokens, series and images.

With numpy alone, so that predict.py can have it, too: this module becomes a part of it, see `predict_json`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.data.date_forms import circle, date_parts

PADDING, UNKNOWN = 0, 1
"""As `core.dataset` has them, which predict.py has not."""

_CHANNELS = (1, 3, 4)

LARGEST = float(np.finfo(np.float32).max)


def finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same with NaN for what float32 cannot hold."""
    if len(values) and values.min() >= -LARGEST and values.max() <= LARGEST:
        return values
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(values) <= LARGEST, values, np.nan)


def number_columns(values: NDArray[np.float64], table: Mapping[str, Any]) -> list[NDArray[Any]]:
    """What an encoding makes of numbers, times of day and truth values, NaN of what is missing; (N,) each."""
    values = finite(values)
    lost = np.isnan(values)
    parts = [np.where(lost, table["fill"], values) if lost.any() else values]
    if table.get("periodic"):
        parts += circle(parts[0] / 24)
    return marked(parts, lost, table)


def date_columns(stamps: NDArray[np.float64], table: Mapping[str, Any]) -> list[NDArray[Any]]:
    """What an encoding makes of dates in seconds since 1970, NaN of what is missing; (N,) each."""
    lost = np.isnan(stamps)
    return marked(date_parts(np.where(lost, table["fill_s"], stamps), table), lost, table)


def category_columns(
    codes: NDArray[Any], lost: NDArray[np.bool_], table: Mapping[str, Any]
) -> list[NDArray[Any]]:
    """What an encoding makes of categories; (N,) each.

    Args:
        codes: (N,) the place of each among the known ones, -1 of others.
        lost: (N,) where nothing stands.
        table: of the column.
    """
    count = len(table["categories"])
    if "fill" in table:
        codes = np.where(lost, table["categories"].index(table["fill"]), codes)
    if table.get("embedded"):
        return [np.where(lost & (codes < 0), count + 1, codes + 1) if table["missing"] else codes + 1]
    parts: list[NDArray[Any]] = [codes == place for place in range(count)]
    parts += [~lost & (codes < 0)] if table["other"] else []
    return marked(parts, lost, table)


def marked(
    parts: list[NDArray[Any]], lost: NDArray[np.bool_], table: Mapping[str, Any]
) -> list[NDArray[Any]]:
    """The columns, and one that marks what is missing where the encoding has one."""
    return [*parts, lost] if table["missing"] else parts


def apart(x: NDArray[Any], shapes: Sequence[Sequence[int]]) -> list[NDArray[Any]]:
    """Several inputs that stand side by side in rows, (N, D), each in the shape of its own, (N, *shape)."""
    edges = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    parts = np.split(x, edges, axis=1)
    return [part.reshape(len(x), *shape) for part, shape in zip(parts, shapes, strict=True)]


def packed(x: NDArray[Any]) -> NDArray[Any]:
    """Tokens, (N, T), those of each row side by side from the first place on, all `PADDING` behind them."""
    return np.take_along_axis(x, np.argsort(x == PADDING, axis=1, kind="stable"), 1)


def tokens(x: NDArray[Any], how: Mapping[str, Any]) -> NDArray[np.int32]:
    """The first tokens of each row, (N, T); those that training did not reach are `UNKNOWN`."""
    x = x[:, : how["length"]]
    x = np.pad(x, ((0, 0), (0, how["length"] - x.shape[1])), constant_values=PADDING)
    found: NDArray[np.int32] = np.where(x < how["known"], x, UNKNOWN).astype(np.int32)
    found[~(found != PADDING).any(axis=1), 0] = UNKNOWN
    return found


def token_counts(x: NDArray[Any], count: int) -> NDArray[np.float32]:
    """How often each of the first tokens stands in a row, `PADDING` apart; (N, count - 1)."""
    at = np.arange(len(x))[:, None] * count + x
    found = np.bincount(at[x < count], minlength=len(x) * count).reshape(len(x), count)
    return np.asarray(found[:, UNKNOWN:], np.float32)


def series(x: NDArray[np.float32], how: Mapping[str, Any]) -> NDArray[np.float32]:
    """The last steps of each row, (N, T, F), and whether they are there where that is not said of all."""
    steps, length = ends(x), how["length"]
    if x.shape[1] == length and not how["masked"] and steps.min(initial=length) == length:
        return x
    at = np.maximum(steps - length, 0)[:, None] + np.arange(length)
    there = (at < steps[:, None])[:, :, None]
    taken = np.take_along_axis(x, np.minimum(at, x.shape[1] - 1)[:, :, None], axis=1)
    found: NDArray[np.float32] = np.where(there, taken, np.float32(0))
    return np.concatenate([found, there.astype(np.float32)], axis=2) if how["masked"] else found


def ends(x: NDArray[Any]) -> NDArray[np.intp]:
    """How many steps each series has, (N,); `x` is (N, T, F)."""
    gone: NDArray[np.bool_] = np.asarray(np.isnan(x).all(axis=2))
    behind = np.logical_and.accumulate(gone[:, ::-1], axis=1)
    return np.asarray(x.shape[1] - behind.sum(axis=1), np.intp)


def channels_first(x: NDArray[Any]) -> NDArray[Any]:
    """Images as (N, C, H, W); they may be (N, H, W), or (N, H, W, C) where that is clear."""
    if x.ndim == 3:
        return x[:, None]
    is_last = x.ndim == 4 and x.shape[3] in _CHANNELS and x.shape[1] not in _CHANNELS
    return np.ascontiguousarray(np.moveaxis(x, 3, 1)) if is_last else x


def padded(rows: Sequence[NDArray[Any]], nothing: float) -> NDArray[Any]:
    """Rows of different lengths as one array, with this behind the shorter ones; (N, T) or (N, T, F)."""
    found = np.full((len(rows), *max(rows, key=len).shape), nothing)
    for place, row in zip(found, rows, strict=True):
        if len(row):
            place[: len(row)] = row
    return found
