"""What the values of one raw column say: numbers, dates, text or nothing.

Every value is read by itself, so that no row changes how another one is read.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

DATE_FORMATS = ("ISO8601", "%Y/%m/%d", "%d.%m.%Y")
"""How dates may be written; 01/02/2024 is not among them, as it has two meanings."""

MOSTLY = 0.9
"""A column of which this share of the known values are numbers, or dates, is meant to hold such."""

_DATE = re.compile(r"\s*(?:\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{1,2}\.\d{1,2}\.\d{4})")
_WORDS = {"true": 1.0, "false": 0.0}
_EPOCH_S = 1e-6


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
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(values) <= np.finfo(np.float32).max, values, np.nan)


def seconds(column: pd.Series[Any], form: str) -> NDArray[np.float64]:
    """Read dates, written in one of `DATE_FORMATS`, as seconds since 1970 (UTC); NaN elsewhere; (N,)."""
    if types.is_datetime64_any_dtype(column.dtype):
        stamps = pd.to_datetime(column, utc=True)
    else:
        words = [str(value) for value in column.astype(object)]
        dates = [word.strip() if _DATE.match(word) else None for word in words]
        if not any(dates):
            return np.full(len(column), np.nan)
        stamps = pd.to_datetime(pd.Series(dates, dtype=object), format=form, errors="coerce", utc=True)
    values = stamps.dt.tz_localize(None).to_numpy("datetime64[us]")
    return np.where(np.isnat(values), np.nan, values.astype(np.int64) * _EPOCH_S)


def text(column: pd.Series[Any]) -> NDArray[np.object_]:
    """Every value as text without blanks around it; whole numbers as ``3``, never ``3.0``; (N,)."""
    words = [_word(value) for value in column.astype(object)]
    return np.array(words, dtype=object)


def _word(value: Any) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value).strip()


def timestamps(column: pd.Series[Any]) -> NDArray[np.float64] | None:
    """Read a column that orders rows, dates or numbers; None where any value is neither; (N,)."""
    for values in (numbers(column), *(seconds(column, form) for form in DATE_FORMATS)):
        if np.isfinite(values).all():
            return values
    return None
