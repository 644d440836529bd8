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

from tuner.data.words import MONTHS

DAY_FIRST, MONTH_FIRST, YEAR_FIRST = "dmy", "mdy", "ymd"
"""What stands first in dates such as 01/02/03."""

DAY_S = 86_400
_US = 1e-6
_WEEKDAY = (
    r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun|mo|di|mi|do|fr|sa|so|montag|dienstag|mittwoch"
    r"|donnerstag|freitag|samstag|sonnabend|sonntag|lun|mar|mer|jeu|ven|sam|dim)(?:day)?\.?,?\s+)?"
)
_CLOCK = (
    r"(?P<hour>\d{1,2})(?:[:h.](?P<minute>\d{2}))?(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?(?:\s*(?:uhr|h))?"
)
_ZONE = (
    r"\s*(?:utc|gmt)?(?P<zone>z|[+\-]\d{2}(?::?\d{2})?"
    r"|cest|cet|mesz|mez|bst|eest|eet|[ecmp][sd]t|akst|hst|ist|jst|sgt|aest|aedt)?(?:\s*\([a-zÀ-ÿ ]+\))?"
)
_TIME = rf"(?:(?:\s*[t,:]\s*|\s+(?:um\s+|at\s+|-\s+)?){_CLOCK}{_ZONE})?"
_MONTH = r"(?P<name>[a-zÀ-ÿ]{3,10})\.?"
_FORMS = (
    r"(?P<year>\d{4})(?:-(?P<month>\d{1,2})-|/(?P<month2>\d{1,2})/|\.(?P<month3>\d{1,2})\.)(?P<day>\d{1,2})",
    r"(?P<a>\d{1,2})(?:\.\s?(?P<b>\d{1,2})\.\s?|/(?P<b2>\d{1,2})/|-(?P<b3>\d{1,2})-)(?P<c>\d{4}|\d{2})",
    rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.)?(?:\s+|-|/|\.)?(?:of\s+|de\s+)?{_MONTH}(?:,?\s+|-|/|\.)?(?:de\s+)?"
    r"(?P<year>\d{4}|'?\d{2})",
    rf"{_MONTH}\s*-?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,\s*|\s+|-)(?P<year>\d{{4}})",
    rf"(?P<year>\d{{4}})(?:\s+|-|/){_MONTH}(?:\s+|-|/)(?P<day>\d{{1,2}})",
)
_DATES = (
    *(rf"(?i)^\s*{_WEEKDAY}{form}{_TIME}\s*$" for form in _FORMS),
    rf"(?i)^\s*{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}})\s+{_CLOCK}{_ZONE}\s+(?P<year>\d{{4}})\s*$",
    r"(?i)^\s*(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})t(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?"
    rf"{_ZONE}\s*$",
    rf"(?i)^\s*{_MONTH}(?:\s+|-|/|')(?P<year>\d{{4}}|'?\d{{2}})\s*$",
    r"^\s*(?P<year>\d{4})[-/](?P<month>\d{1,2})\s*$",
    r"^\s*(?P<month>\d{1,2})[/](?P<year>\d{4})\s*$",
    r"(?i)^\s*(?P<year>\d{4})[-/ ]?q(?P<quarter>[1-4])\s*$",
    r"(?i)^\s*(?:q(?P<quarter>[1-4])[-/ ]|(?P<quarter2>[1-4])\.?\s?q[-/ ]?)\s*(?P<year>\d{4}|'?\d{2})\s*$",
    r"(?i)^\s*(?P<year>\d{4})(?:-?w|[-/ ](?:kw|cw)\s?)(?P<week>\d{1,2})(?:-(?P<weekday>[1-7]))?\s*$",
    r"(?i)^\s*(?:kw|cw|w|week)[ .-]?(?P<week>\d{1,2})[-/ ]+(?P<year>\d{4})\s*$",
)
_NUMERIC = _DATES[1]
_TIMES = rf"(?i)^\s*{_CLOCK}\s*$".replace("{1,2}", "{1,4}", 1)
_CLOCKED = r"(?i):|\d\s*[ap]\.?m|\d\s*uhr|^\s*\d{1,2}h(?:\d{2})?\s*$"
_DATE_PATTERNS = [re.compile(pattern) for pattern in _DATES]
_TIME_PATTERNS = [re.compile(_TIMES)]
_ISO = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$"
_COMPACT = (19000101, 21001231)
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
    read = _Fields(found, _NUMERIC)
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

    Args:
        texts: an Arrow array of text.
        first: what stands first in 01/02/03; where dots separate them and the year is last, that is the day.
    """
    if bool(pc.all(pc.fill_null(pc.match_substring_regex(texts, _ISO), True)).as_py()):
        words = pd.Series(texts.to_pandas(), dtype=object)
        return stamps(pd.to_datetime(words, format="ISO8601", errors="coerce", utc=True))
    return _each(texts, lambda found: _seconds(found, first))


def hours(texts: Any) -> NDArray[np.float64]:
    """Times of day such as 14:30, 2:30 PM and 14h30, and longer durations, in hours; NaN elsewhere; (N,)."""
    return _each(texts, _hours)


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
    return np.where(np.isnat(values), np.nan, values.astype(np.int64) * _US)


def compact(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Whole numbers such as 20230127, as seconds since 1970; NaN of what is no date of 1900 to 2100; (N,)."""
    ok = (values >= _COMPACT[0]) & (values <= _COMPACT[1]) & (values % 1 == 0)
    number = np.where(ok, values, _COMPACT[0]).astype(np.int64)
    return np.where(ok, _days(number // 10_000, number // 100 % 100, number % 100) * DAY_S, np.nan)


def are_compact(values: NDArray[np.float64]) -> bool:
    """Whether all of these are dates such as 20230127."""
    low, high = _COMPACT
    if ((values[:_HEAD] < low) | (values[:_HEAD] > high)).any():
        return False
    known = values[~np.isnan(values)]
    if not len(known) or known.min() < _COMPACT[0] or known.max() > _COMPACT[1]:
        return False
    return not np.isnan(compact(known)).any()


class _Fields:
    """The named parts of the texts that a pattern matches.

    Attributes:
        at: which texts they are; (M,).
    """

    def __init__(self, texts: Any, pattern: str) -> None:
        self.at = np.flatnonzero(_matches(texts, pattern))
        self._found = pc.extract_regex(texts.take(pa.array(self.at)), pattern)
        self._names = {field.name for field in self._found.type}

    def text(self, *names: str) -> NDArray[np.object_]:
        """The first of these parts that is there; empty where none is; (M,)."""
        found = np.full(len(self.at), "", object)
        for name in reversed([n for n in names if n in self._names]):
            part = self._found.field(name).to_numpy(zero_copy_only=False)
            found = np.where(part == "", found, part)
        return found

    def number(self, *names: str, default: int = 0) -> NDArray[np.int64]:
        """The same as whole numbers."""
        return np.array([int(text.lstrip("'")) if text else default for text in self.text(*names)], np.int64)


def _seconds(texts: Any, first: str) -> NDArray[np.float64]:
    values = np.full(len(texts), np.nan)
    for pattern in _DATES:
        rest = np.flatnonzero(np.isnan(values))
        if not len(rest):
            break
        read = _Fields(texts.take(pa.array(rest)), pattern)
        if len(read.at):
            values[rest[read.at]] = _read(read, first)
    return values


def _read(read: _Fields, first: str) -> NDArray[np.float64]:
    if (read.text("a") != "").any():
        a, b, c = read.number("a"), read.number("b", "b2", "b3"), read.number("c")
        orders = {DAY_FIRST: (c, b, a), MONTH_FIRST: (c, a, b), YEAR_FIRST: (a, b, c)}
        usual = DAY_FIRST if first == MONTH_FIRST else first
        dotted = read.text("b") != ""
        years, months, days = (
            np.where(dotted, one, other) for one, other in zip(orders[usual], orders[first], strict=True)
        )
        written = read.text("c") if first != YEAR_FIRST else read.text("a")
    else:
        years, written = read.number("year"), read.text("year")
        months = read.number("month", "month2", "month3")
        named = read.text("name")
        months = np.where(named == "", months, [MONTHS.get(str(name).lower(), 0) for name in named])
        months = np.where((quarter := read.number("quarter", "quarter2")) > 0, 3 * quarter - 2, months)
        days = read.number("day", default=1)
    short = np.array([len(str(year).lstrip("'")) <= 2 for year in written])
    years = np.where(short, np.where(years < 69, years + 2000, years + 1900), years)
    if (read.text("week") != "").any():
        whole = _weeks(years, read.number("week"), read.number("weekday", default=1)) * DAY_S
    else:
        whole = _days(years, months, days) * DAY_S - _offset(read.text("zone"))
    us = np.array([int((str(part) + "000000")[:6]) for part in read.text("part")], np.int64)
    clock = _clock(read)
    total = np.where(np.isnan(whole + clock), 0, whole + clock).astype(np.int64) * 1_000_000 + us
    return np.where(np.isnan(whole + clock), np.nan, total * _US)


def _clock(read: _Fields, most: int = 24) -> NDArray[np.float64]:
    """Whole seconds since midnight; 0 where there is no time, NaN where it is none or has more hours."""
    hour, minute, second = (read.number(name) for name in ("hour", "minute", "second"))
    half = np.array([str(part).lower()[:1] for part in read.text("half")], object)
    wrong = (hour > most) | (minute > 59) | (second > 60) | ((half != "") & ((hour > 12) | (hour == 0)))
    hour = np.where((half == "p") & (hour < 12), hour + 12, np.where((half == "a") & (hour == 12), 0, hour))
    return np.where(wrong, np.nan, hour * 3600.0 + minute * 60 + second)


def _hours(texts: Any) -> NDArray[np.float64]:
    values = np.full(len(texts), np.nan)
    clocked = np.flatnonzero(_matches(texts, _CLOCKED))
    read = _Fields(texts.take(pa.array(clocked)), _TIMES)
    if len(read.at):
        part = np.array([float(f"0.{text}") if text else 0.0 for text in read.text("part")])
        values[clocked[read.at]] = (_clock(read, most=9999) + part) / 3600
    return values


def _offset(zones: NDArray[np.object_]) -> NDArray[np.float64]:
    def of(zone: str) -> float:
        if not zone or zone[0] not in "+-":
            return 0.0
        digits = zone[1:].replace(":", "")
        size = int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60
        return float(-size if zone[0] == "-" else size)

    known = {zone: of(str(zone)) for zone in set(zones.tolist())}
    return np.array([known[zone] for zone in zones], np.float64)


def _days(years: NDArray[Any], months: NDArray[Any], days: NDArray[Any]) -> NDArray[np.float64]:
    """Days since 1970; NaN where there is no such day."""
    ok = (months >= 1) & (months <= 12) & (years >= 1) & (days >= 1) & (days <= 31)
    start = ((np.where(ok, years, 1970) - 1970) * 12 + np.where(ok, months, 1) - 1).astype("datetime64[M]")
    found = start.astype("datetime64[D]") + np.where(ok, days - 1, 0).astype("timedelta64[D]")
    ok &= found.astype("datetime64[M]") == start
    return np.where(ok, found.astype(np.int64).astype(np.float64), np.nan)


def _weeks(years: NDArray[Any], weeks: NDArray[Any], weekdays: NDArray[Any]) -> NDArray[np.float64]:
    """The days of ISO weeks since 1970: the first week holds January 4th; NaN where there is no such week."""
    fourth = _days(years, np.ones_like(years), np.full_like(years, 4))
    found = fourth - (fourth + 3) % 7 + 7 * (weeks - 1) + weekdays - 1
    return np.where((weeks >= 1) & (weeks <= 53), found, np.nan)


def _each(texts: Any, read: Any) -> NDArray[np.float64]:
    """Read each different text once; null is NaN."""
    coded = pc.dictionary_encode(texts)
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    found: NDArray[np.float64] = np.append(read(coded.dictionary), np.nan)[codes]
    return found


def _matches(texts: Any, pattern: str) -> NDArray[np.bool_]:
    return np.array(pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False), bool)
