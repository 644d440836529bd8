"""The forms of dates and times of day as people write them, and the numbers that they become.

Without Arrow and pandas, so that predict.py can have it, too: this module becomes a part of that file, see
`predict_json`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.data.words import MONTHS

DAY_FIRST, MONTH_FIRST, YEAR_FIRST = "dmy", "mdy", "ymd"
"""What stands first in dates such as 01/02/03."""

DAY_S = 86_400
MICROSECOND = 1e-6
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
_MONTH = r"(?P<name>[a-zÀ-ÿа-я]{3,10})\.?"
_YEAR = "(?:[\\s\u00a0\u202f]*г\\.?)?"
_FORMS = (
    r"(?P<year>\d{4})(?:-(?P<month>\d{1,2})-|/(?P<month2>\d{1,2})/|\.\s?(?P<month3>\d{1,2})\.\s?"
    r"|年\s?(?P<month4>\d{1,2})月\s?)(?P<day>\d{1,2})[日.]?",
    r"(?P<a>\d{1,2})(?:\.\s?(?P<b>\d{1,2})\.\s?|/(?P<b2>\d{1,2})/|-(?P<b3>\d{1,2})-)(?P<c>\d{4}|\d{2})",
    rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.)?(?:\s+|-|/|\.)?(?:of\s+|de\s+)?{_MONTH}(?:,?\s+|-|/|\.)?(?:de\s+)?"
    r"(?P<year>\d{4}|'?\d{2})",
    rf"{_MONTH}\s*-?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,\s*|\s+|-)(?P<year>\d{{4}})",
    rf"(?P<year>\d{{4}})(?:\s+|-|/){_MONTH}(?:\s+|-|/)(?P<day>\d{{1,2}})",
)
DATES = (
    *(rf"(?i)^\s*{_WEEKDAY}{form}{_YEAR}{_TIME}\s*$" for form in _FORMS),
    rf"(?i)^\s*{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}})\s+{_CLOCK}{_ZONE}\s+(?P<year>\d{{4}})\s*$",
    r"(?i)^\s*(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})t(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?"
    rf"{_ZONE}\s*$",
    rf"(?i)^\s*{_MONTH}(?:\s+|-|/|')(?P<year>\d{{4}}|'?\d{{2}}){_YEAR}\s*$",
    r"^\s*(?P<year>\d{4})[-/](?P<month>\d{1,2})\s*$",
    r"^\s*(?P<month>\d{1,2})[/](?P<year>\d{4})\s*$",
    r"(?i)^\s*(?P<year>\d{4})[-/ ]?q(?P<quarter>[1-4])\s*$",
    r"(?i)^\s*(?:q(?P<quarter>[1-4])[-/ ]|(?P<quarter2>[1-4])\.?\s?q[-/ ]?)\s*(?P<year>\d{4}|'?\d{2})\s*$",
    r"(?i)^\s*(?P<year>\d{4})(?:-?w|[-/ ](?:kw|cw)\s?)(?P<week>\d{1,2})(?:-(?P<weekday>[1-7]))?\s*$",
    r"(?i)^\s*(?:kw|cw|w|week)[ .-]?(?P<week>\d{1,2})[-/ ]+(?P<year>\d{4})\s*$",
)
NUMERIC = DATES[1]
CLOCK = rf"(?i)^\s*(?:(?P<days>-?\d{{1,6}})\s+days?,?\s+\+?)?{_CLOCK}\s*$".replace(
    "hour>\\d{1,2}", "hour>\\d{1,4}"
)
DURATION = (
    r"(?i)^\s*(?:p(?:(?P<days>-?\d{1,6})d)?(?:t|\s*$)|(?P<days2>\d{1,6})\s*(?:days?|d|tage?)\.?,?\s*)?"
    r"(?:(?P<hour>\d{1,4})\s*(?:hours?|hrs?|std|h)\.?,?\s*)?(?:(?P<minute>\d{1,4})\s*(?:minutes?|mins?|m)\.?,?\s*)?"
    r"(?:(?P<second>\d{1,4})(?:[.,](?P<part>\d{1,9}))?\s*(?:seconds?|secs?|sek|s)\.?)?\s*$"
)
TWO_UNITS = (
    r"(?i)^\s*(?:p?\d+\s*(?:d|days?|tage?)|p-\d+d)\.?,?\s*t?\d+\s*(?:h|std|m)"
    r"|^\s*(?:pt)?\d+\s*(?:h[a-z]*|std|m[a-z]*)\.?,?\s*\d+(?:[.,]\d+)?\s*[ms]"
)
CLOCKED = r"(?i):|\d\s*[ap]\.?m|\d\s*uhr|^\s*\d{1,2}h(?:\d{2})?\s*$"
DAYS = r"(?i)\d\s+days?"
COMPACT = (19000101, 21001231)


def compact(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Whole numbers such as 20230127, as seconds since 1970; NaN of what is no date of 1900 to 2100; (N,)."""
    ok = (values >= COMPACT[0]) & (values <= COMPACT[1]) & (values % 1 == 0)
    number = np.where(ok, values, COMPACT[0]).astype(np.int64)
    return np.where(ok, _days(number // 10_000, number // 100 % 100, number % 100) * DAY_S, np.nan)


def _read(read: Fields, first: str) -> NDArray[np.float64]:
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
        months = read.number("month", "month2", "month3", "month4")
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
    return np.where(np.isnan(whole + clock), np.nan, total * MICROSECOND)


def _clock(read: Fields, most: int = 24) -> NDArray[np.float64]:
    """Whole seconds since midnight; 0 where there is no time, NaN where it is none or has more hours."""
    hour, minute, second = (read.number(name) for name in ("hour", "minute", "second"))
    half = np.array([str(part).lower()[:1] for part in read.text("half")], object)
    wrong = (hour > most) | (minute > 59) | (second > 60) | ((half != "") & ((hour > 12) | (hour == 0)))
    hour = np.where((half == "p") & (hour < 12), hour + 12, np.where((half == "a") & (hour == 12), 0, hour))
    return np.where(wrong, np.nan, hour * 3600.0 + minute * 60 + second)


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


def date_parts(stamps: NDArray[np.float64], table: Mapping[str, Any]) -> list[NDArray[Any]]:
    """What an encoding makes of dates in seconds since 1970."""
    whole = np.floor(stamps).astype(np.int64)
    day, second = whole // DAY_S, whole % DAY_S
    months = whole.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    weekdays = (day + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    days = (stamps - table["origin_s"]) / DAY_S
    if not table.get("periodic"):
        # Models of before dates were periodic take these as they are.
        return [days, months % 12 + 1, weekdays, *[second / 3600] * table["hours"]]
    years = whole.astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64)
    first, following = (_first_day(years + more) for more in (0, 1))
    turns = [months % 12 / 12, (day - first) / (following - first), weekdays / 7]
    turns += [second / DAY_S] * table["hours"]
    return [days, *(part for turn in turns for part in circle(turn))]


def _first_day(years: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first day of years since 1970, in days since 1970."""
    found: NDArray[np.int64] = years.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    return found


def circle(turns: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Sine and cosine of what begins anew after 1."""
    return [np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)]


class Fields:
    """The named parts of the texts that a pattern matches.

    Attributes:
        at: which texts they are; (M,).
        parts: by name, (M,) texts each, empty where there is none.
    """

    def __init__(self, at: NDArray[np.intp], parts: Mapping[str, NDArray[np.object_]]) -> None:
        self.at, self.parts = at, parts

    def text(self, *names: str) -> NDArray[np.object_]:
        """The first of these parts that is there; empty where none is; (M,)."""
        found = np.full(len(self.at), "", object)
        for name in reversed([n for n in names if n in self.parts]):
            part = self.parts[name]
            found = np.where(part == "", found, part)
        return found

    def number(self, *names: str, default: int = 0) -> NDArray[np.int64]:
        """The same as whole numbers."""
        return np.array([int(text.lstrip("'")) if text else default for text in self.text(*names)], np.int64)


def read_dates(
    count: int, fields: Callable[[str, NDArray[np.intp]], Fields], first: str
) -> NDArray[np.float64]:
    """Dates as seconds since 1970; NaN of what is none; (N,).

    Args:
        count: of the texts.
        fields: gives the parts of some of them, by their places, in a pattern.
        first: what stands first in 01/02/03.
    """
    values = np.full(count, np.nan)
    for pattern in DATES:
        rest = np.flatnonzero(np.isnan(values))
        if not len(rest):
            break
        read = fields(pattern, rest)
        if len(read.at):
            values[rest[read.at]] = _read(read, first)
    return values


def read_times(
    clocked: NDArray[np.bool_], fields: Callable[[str, NDArray[np.intp]], Fields]
) -> NDArray[np.float64]:
    """Times of day and durations in hours; NaN of what is none; (N,).

    Args:
        clocked: which texts match `CLOCKED`; (N,).
        fields: as `read_dates` takes it.
    """
    values = np.full(len(clocked), np.nan)
    rest = np.flatnonzero(clocked)
    if len((read := fields(CLOCK, rest)).at):
        values[rest[read.at]] = 24 * read.number("days") + (_clock(read, most=9999) + _part(read)) / 3600
    rest = np.flatnonzero(~clocked)
    if len((read := fields(DURATION, rest)).at):
        seconds = 3600 * read.number("hour") + 60 * read.number("minute") + read.number("second")
        there = (read.text("days", "days2", "hour", "minute", "second") != "").astype(bool)
        total = 24 * read.number("days", "days2") + (seconds + _part(read)) / 3600
        values[rest[read.at]] = np.where(there, total, np.nan)
    return values


def _part(read: Fields) -> NDArray[np.float64]:
    """What stands behind the whole seconds."""
    return np.array([float(f"0.{text}") if text else 0.0 for text in read.text("part")], np.float64)
