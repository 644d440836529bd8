"""What the values of one raw column say by themselves: plain numbers, text or nothing.

For names of classes and of groups; `reading` sees how a column of inputs is written.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

INVISIBLE = "[\u00ad\u200b-\u200f\u2060\ufeff]"
"""Letters without width, which come along when a cell is copied."""

_WORDS = {"true": 1.0, "false": 0.0}


def missing(column: pd.Series[Any]) -> NDArray[np.bool_]:
    """Where a column holds nothing, or only blanks; (N,)."""
    gone = column.isna().to_numpy(bool)
    if isinstance(column.dtype, pd.StringDtype):
        return gone | (column.str.strip() == "").fillna(False).to_numpy(bool)
    if types.is_object_dtype(column.dtype):
        gone = gone | np.fromiter((isinstance(v, str) and not v.strip() for v in column), bool, len(column))
    return gone


def numbers(column: pd.Series[Any]) -> NDArray[np.float64]:
    """Read numbers, ``true`` and ``false`` as 1 and 0, and durations in seconds; NaN elsewhere; (N,)."""
    dtype = column.dtype
    if types.is_datetime64_any_dtype(dtype):
        return np.full(len(column), np.nan)
    if types.is_timedelta64_dtype(dtype):
        return np.asarray(column.dt.total_seconds(), np.float64)
    if not isinstance(dtype, pd.CategoricalDtype) and (
        types.is_bool_dtype(dtype) or types.is_numeric_dtype(dtype)
    ):
        if types.is_complex_dtype(dtype):
            return np.full(len(column), np.nan)
        return column.to_numpy(np.float64, na_value=np.nan)
    raw = column.astype(object)
    read = pd.to_numeric(raw, errors="coerce").to_numpy()
    if read.dtype.kind == "c":
        return np.full(len(column), np.nan)
    values = np.array(read, np.float64)
    rest = np.isnan(values)
    values[rest] = [
        _WORDS.get(v.strip().lower(), np.nan) if isinstance(v, str) else np.nan for v in raw[rest]
    ]
    return values


def finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same with NaN for what float32 cannot hold."""
    most = np.finfo(np.float32).max
    if len(values) and values.min() >= -most and values.max() <= most:
        return values
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(values) <= most, values, np.nan)


def median(known: NDArray[np.float64]) -> float:
    """The same as numpy's, which looks for NaN by sorting further."""
    half = len(known) // 2
    parted = np.partition(known, half)
    upper = parted[half]
    return float(upper if len(known) % 2 else np.mean([parted[:half].max(), upper]))


def text(column: pd.Series[Any]) -> NDArray[np.object_]:
    """Every value as text without blanks around it; whole numbers as ``3``, never ``3.0``; (N,)."""
    codes, each = distinct(column)
    words = [_word(value) for value in each.astype(object)]
    return np.array([*words, None], dtype=object)[codes]


def distinct(column: pd.Series[Any]) -> tuple[NDArray[np.intp], pd.Series[Any]]:
    """The different values of a column in the order in which they come, missing ones too, and which each is.

    Of text alone, as other values may be equal and written differently: 1, 1.0 and true. There each row has
    a value of its own.

    Returns:
        (N,) places among the different values, and these.
    """
    if not isinstance(column.dtype, pd.StringDtype):
        return np.arange(len(column)), column
    codes, found = pd.factorize(column, use_na_sentinel=False)
    return codes, pd.Series(found, dtype=column.dtype, name=column.name)


def _word(value: Any) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text.strip() if text.isascii() else re.sub(INVISIBLE, "", text).strip()
