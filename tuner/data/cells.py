"""Cells: the values of one raw column, as text or as the numbers and dates that they already are.

Whatever holds them (text of a CSV file, objects, numpy's or Arrow's types), they are read the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pandas.api import types

from tuner.data import dates, notation
from tuner.data.notation import Notation
from tuner.data.number_forms import word
from tuner.data.words import INVISIBLE

TEXT = pa.large_string()


class Cells:
    """The values of one column.

    Args:
        raw: the column.
        absent: what counts as missing in it: texts, compared without regard to case, and numbers.
        words: more texts that do, in lower case.

    Attributes:
        texts: what is text, as an Arrow array without blanks around it; null elsewhere; (N,).
        is_declared: whether the column's type says that it holds categories.
    """

    def __init__(self, raw: pd.Series[Any], absent: Iterable[Any] = (), words: Iterable[str] = ()) -> None:
        self.is_declared = isinstance(raw.dtype, pd.CategoricalDtype)
        raw = uncategorized(raw)
        self.texts: Any = None
        self._raw = raw
        self._numbers: NDArray[np.float64] | None = None
        self._stamps: NDArray[np.float64] | None = None
        dtype = raw.dtype
        if types.is_datetime64_any_dtype(dtype):
            self._stamps = dates.stamps(raw)
        elif types.is_timedelta64_dtype(dtype):
            self._numbers = np.asarray(raw.dt.total_seconds(), np.float64)
        elif types.is_complex_dtype(dtype):
            self._numbers = np.full(len(raw), np.nan)
        elif types.is_bool_dtype(dtype) or types.is_numeric_dtype(dtype):
            self._numbers = raw.to_numpy(np.float64, na_value=np.nan)
        elif isinstance(dtype, pd.StringDtype) or types.infer_dtype(raw, skipna=True) == "string":
            self.texts = _stripped(pa.array(raw, from_pandas=True))
        else:
            self._numbers, texts = _sorted_out(raw)
            # A column without any value holds text rather than numbers.
            some = texts.null_count < len(texts) or bool(np.isnan(self._numbers).all())
            self.texts = texts if some else None
        self._without(tuple(absent), frozenset(words))

    def __len__(self) -> int:
        return len(self._raw)

    @property
    def is_text(self) -> bool:
        """Whether all that is there is text."""
        return self.texts is not None and self._numbers is None

    @property
    def are_dates(self) -> bool:
        """Whether the column's type is one of dates."""
        return self._stamps is not None

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """Where there is nothing; (N,)."""
        if types.is_complex_dtype(self._raw.dtype):
            return self._raw.isna().to_numpy(bool)
        gone = np.ones(len(self), bool)
        if self.texts is not None:
            gone &= np.asarray(pc.is_null(self.texts).to_numpy(zero_copy_only=False), bool)
        for values in (self._numbers, self._stamps):
            gone &= True if values is None else np.isnan(values)
        return gone

    def numbers(self, how: Notation = notation.PLAIN) -> NDArray[np.float64]:
        """As numbers; durations in seconds, true and false as 1 and 0; NaN elsewhere; (N,)."""
        read = None if self.texts is None else notation.numbers(self.texts, how)
        return self.beside(read)

    def beside(self, read: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Numbers that were read from `texts`, and the cells that are numbers; (N,)."""
        if read is None or self._numbers is None:
            found = read if read is not None else self._numbers
            values = np.full(len(self), np.nan) if found is None else found
        else:
            values = np.where(np.isnan(read), self._numbers, read)
        return np.where(np.isin(values, self._absent), np.nan, values) if self._absent else values

    def seconds(self, first: str, form: str | None = None) -> NDArray[np.float64]:
        """As dates, see `dates.seconds`, or of a format, see `dates.formatted`; (N,)."""
        if self._stamps is not None:
            return self._stamps
        if form is not None:
            labels = pa.array(self.labels(), TEXT)
            return dates.formatted(labels, form)
        if self.texts is None:
            return np.full(len(self), np.nan)
        return dates.seconds(self.texts, first)

    def hours(self) -> NDArray[np.float64]:
        """As times of day, see `dates.hours`; (N,)."""
        return np.full(len(self), np.nan) if self.texts is None else dates.hours(self.texts)

    def labels(self) -> NDArray[np.object_]:
        """Each as the text that names it, whole numbers as ``3``, never ``3.0``; None of what is missing."""
        if self.is_text:
            return np.asarray(self.texts.to_numpy(zero_copy_only=False), object)
        gone = self.missing
        words = [None if no else word(v) for v, no in zip(self._raw.astype(object), gone, strict=True)]
        return np.array([*words, None], dtype=object)[:-1]

    def array(self) -> Any:
        """The labels as an Arrow array; null of what is missing."""
        return self.texts if self.is_text else pa.array(self.labels(), TEXT, from_pandas=True)

    def _without(self, absent: tuple[Any, ...], words: frozenset[str]) -> None:
        """Take out what counts as missing."""
        self._absent = [float(value) for value in absent if _is_number(value)]
        if self._numbers is not None and self._absent:
            self._numbers = np.where(np.isin(self._numbers, self._absent), np.nan, self._numbers)
        listed = sorted({str(value).strip().lower() for value in absent} | words)
        if self.texts is not None and listed:
            gone = pc.is_in(pc.utf8_lower(self.texts), value_set=pa.array(listed, TEXT))
            self.texts = without(self.texts, gone)


def uncategorized(raw: pd.Series[Any]) -> pd.Series[Any]:
    """The values of a column that pandas holds as categories; `astype` knows no missing whole number."""
    if not isinstance(raw.dtype, pd.CategoricalDtype):
        return raw
    return pd.Series(raw.dtype.categories).reindex(raw.cat.codes)


def _stripped(texts: Any) -> Any:
    """Without blanks around them; null where nothing is left."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    texts = texts.cast(TEXT)
    if _may_have_blanks(texts):
        texts = pc.utf8_trim_whitespace(notation.replaced(texts, INVISIBLE, ""))
    return without(texts, pc.equal(texts, pa.scalar("", TEXT)))


def without(texts: Any, gone: Any) -> Any:
    """Texts with null where this says so."""
    return pc.if_else(gone, pa.scalar(None, TEXT), texts) if bool(pc.any(gone).as_py()) else texts


def _may_have_blanks(texts: Any) -> bool:
    """Whether any byte could be part of a blank, which is much cheaper to see than to look at each text."""
    _, offsets, letters = texts.buffers()
    if letters is None:
        return False
    first, last = np.frombuffer(offsets, np.int64)[[texts.offset, texts.offset + len(texts)]]
    found = np.frombuffer(letters, np.uint8)[first:last]
    return bool(len(found)) and bool(found.min() <= ord(" ") or found.max() > ord("~"))


def _sorted_out(raw: pd.Series[Any]) -> tuple[NDArray[np.float64], Any]:
    """The numbers among objects, and the texts of all the others."""
    values = np.full(len(raw), np.nan)
    texts: list[str | None] = []
    for i, (value, gone) in enumerate(zip(raw, raw.isna(), strict=True)):
        is_number = not gone and isinstance(value, Real | Decimal | np.bool_ | timedelta)
        if is_number:
            values[i] = value.total_seconds() if isinstance(value, timedelta) else _float(value)
        texts.append(None if gone or is_number else word(value).encode(errors="replace").decode())
    return values, _stripped(pa.array(texts, TEXT))


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _is_number(value: Any) -> bool:
    try:
        return not np.isnan(float(value))
    except (TypeError, ValueError):
        return False
