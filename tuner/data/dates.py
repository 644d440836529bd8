"""Dates and times of day as people and spreadsheets write them, read by value.

Every value is read by itself, whatever the others look like; only whether the day or the month stands first
is a property of the column. Each different text is read once.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tuner.data.date_forms import (
    CLOCK,
    CLOCKED,
    COMPACT,
    DATES,
    DAY_FIRST,
    DAYS,
    MICROSECOND,
    MONTH_FIRST,
    NUMERIC,
    TWO_UNITS,
    YEAR_FIRST,
    Fields,
    compact,
    read_dates,
    read_times,
)
from tuner.data.notation import matches

_DATE_PATTERNS = [re.compile(pattern) for pattern in DATES]
_AMOUNT = r"\s*\d+\.\d+\s*h?\s*$"
_TIME_PATTERNS = [re.compile(CLOCK.replace("^", f"^(?!{_AMOUNT})", 1)), re.compile(TWO_UNITS)]
_ISO = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$"
_HEAD = 100


def could_be(texts: list[str], times: bool) -> bool:
    """Whether enough of a sample look like dates, or times of day, that it is worth reading the others."""
    patterns = _TIME_PATTERNS if times else _DATE_PATTERNS
    return sum(any(p.match(text) for p in patterns) for text in texts) >= 0.2 * len(texts)


def order(texts: Any) -> tuple[str | None, str | None]:
    """What stands first in the numeric dates of a column.

    Returns:
        ``"dmy"``, ``"mdy"`` or ``"ymd"``; None where nothing says so. And a date that could be read
        either way; None where there is none.
    """
    found = pc.drop_null(pc.unique(texts))
    read = _fields(found, NUMERIC)
    if not len(read.at):
        return None, None
    first, second = read.number("a"), read.number("b", "b2", "b3")
    dotted = read.text("b") != ""
    tellable = ~dotted
    dated = [int(((first > 12) & (first < 32)).sum()), int((second > 12).sum()), int((first > 31).sum())]
    if max(dated):
        return (DAY_FIRST, MONTH_FIRST, YEAR_FIRST)[int(np.argmax(dated))], None
    open_ = tellable & (first != second)
    if not open_.any():
        return None, None
    return None, str(found[int(read.at[int(np.argmax(open_))])].as_py())


def seconds(texts: Any, first: str = DAY_FIRST) -> NDArray[np.float64]:
    """Dates as seconds since 1970, UTC where a zone is given; NaN of what is none; (N,).

    What is `first` in 01/02/03 is told; where dots separate them and the year is last, that is the day.
    """
    if bool(pc.all(pc.fill_null(pc.match_substring_regex(texts, _ISO), True)).as_py()):
        words = pd.Series(texts.to_pandas(), dtype=object)
        return stamps(pd.to_datetime(words, format="ISO8601", errors="coerce", utc=True))
    return _each(
        texts,
        lambda found: read_dates(
            len(found), lambda pattern, at: _fields(found.take(pa.array(at)), pattern), first
        ),
    )


def hours(texts: Any) -> NDArray[np.float64]:
    """Times of day such as 14:30, 2:30 PM and 14h30, and durations, in hours; NaN elsewhere; (N,)."""
    return _each(texts, _hours)


def are_durations(texts: Any) -> bool:
    """Whether any of what `hours` reads is no time of day: it has units, or days."""
    found = pc.unique(texts)
    return bool((~matches(found, CLOCKED) | matches(found, DAYS)).any())


def formatted(texts: Any, form: str) -> NDArray[np.float64]:
    """Dates of this strptime format as seconds since 1970; NaN elsewhere; (N,)."""

    def read(found: Any) -> NDArray[np.float64]:
        words = pd.Series(pc.utf8_trim_whitespace(found).to_pylist(), dtype=object)
        return stamps(pd.to_datetime(words, format=form, errors="coerce", utc=True))

    return _each(texts, read)


def stamps(dates: pd.Series[Any]) -> NDArray[np.float64]:
    """What pandas holds as dates, as seconds since 1970 (UTC); (N,)."""
    utc = pd.to_datetime(dates, utc=True)
    values = utc.dt.tz_localize(None).to_numpy("datetime64[us]")
    return np.where(np.isnat(values), np.nan, values.astype(np.int64) * MICROSECOND)


def are_compact(values: NDArray[np.float64]) -> bool:
    """Whether all of these are dates such as 20230127."""
    low, high = COMPACT
    if ((values[:_HEAD] < low) | (values[:_HEAD] > high)).any():
        return False
    known = values[~np.isnan(values)]
    if not len(known) or known.min() < COMPACT[0] or known.max() > COMPACT[1]:
        return False
    return not np.isnan(compact(known)).any()


def _hours(texts: Any) -> NDArray[np.float64]:
    return read_times(matches(texts, CLOCKED), lambda pattern, at: _fields(texts.take(pa.array(at)), pattern))


def _fields(texts: Any, pattern: str) -> Fields:
    at = np.flatnonzero(matches(texts, pattern))
    found = pc.extract_regex(texts.take(pa.array(at)), pattern)
    names = [field.name for field in found.type]
    return Fields(at, {name: found.field(name).to_numpy(zero_copy_only=False) for name in names})


def _each(texts: Any, read: Any) -> NDArray[np.float64]:
    """Read each different text once; null is NaN."""
    coded = pc.dictionary_encode(texts)
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    found: NDArray[np.float64] = np.append(read(coded.dictionary), np.nan)[codes]
    return found
