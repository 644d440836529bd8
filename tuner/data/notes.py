"""What is told of columns: notes by kind, and how a column writes its numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from tuner.data.reading import ColumnReading


class Notes:
    """What was done with columns, by what it was."""

    SENTENCES: Mapping[str, str] = {
        "empty": "Columns without a value in training are left out: {}.",
        "constant": "Columns with one value only in training are left out: {}.",
        "distinct": 'Columns of text that differs in every row are left out: {}; kind = "category" under '
        "[data.columns.<name>] keeps one.",
        "text": "Free text becomes words, with a column for each that many rows tell apart: {}.",
        "wordless": "Columns of free text are left out, as no word of theirs tells several rows apart: {}.",
        "id": 'Columns that only number the rows are left out: {}; kind = "number" under '
        "[data.columns.<name>] keeps one.",
        "dropped": "Columns that the study leaves out: {}.",
        "stray": "Values that are no numbers count as missing: {}.",
        "unread": "Texts that begin with digits and are no numbers, dates or times: {}; where amounts or "
        "dates are meant, write them plainly, or give date_format under [data.columns.<name>].",
        "partly": 'Columns of words with numbers among them are categories: {}; kind = "number" under '
        "[data.columns.<name>] makes the words missing.",
        "odd": "Values that are no dates, times or truth values count as missing: {}.",
        "unordered": "Values that `order` does not name count as missing: {}.",
        "filled": "Missing numbers become the training median, and a column marks them: {}.",
        "filled_with": "Missing values are filled in, and a column marks them: {}.",
        "written": "Numbers are read as they are written: {}.",
        "open_number": "Numbers that could mean two things: {}; decimal or thousands under "
        "[data.columns.<name>] says which.",
        "sentinel": "Values that look as if they stood for a missing one: {}; missing = [...] under "
        "[data.columns.<name>] makes them missing.",
        "codes": 'Numbers with zeros in front are categories: {}; kind = "number" under '
        "[data.columns.<name>] changes it.",
        "named": 'Numbers that may be codes: {}; kind = "category" or "drop" under [data.columns.<name>] '
        "says so.",
        "date": "Dates become days since the first one, and month, day of the year, weekday and hour as "
        "sine and cosine: {}.",
        "open_date": "Dates that could mean two things: {}; date_format under [data.columns.<name>] "
        "says which.",
        "time": "Times of day become hours, and sine and cosine of these: {}.",
        "duration": "Durations become hours: {}.",
        "boolean": "Words for true and false become 1 and 0: {}.",
        "ordinal": "Values become their places in the order that the study gives: {}.",
        "merged": "Categories that differ in case or blanks only are one: {}.",
        "category": "Each category gets a column of its own: {}.",
        "counts": 'Columns that count up with the rows: {}; kind = "drop" under [data.columns.<name>] leaves '
        "one out if it only numbers the rows.",
    }

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def add(self, kind: str, column: str) -> None:
        """Tell something of a column."""
        self.found.setdefault(kind, []).append(column)

    def extend(self, other: Notes) -> None:
        """Tell what another one tells, too."""
        for kind, columns in other.found.items():
            self.found.setdefault(kind, []).extend(columns)

    def sentences(self) -> tuple[str, ...]:
        """What was done, a sentence each."""
        known = self.SENTENCES.items()
        return tuple(text.format(listed(self.found[kind])) for kind, text in known if kind in self.found)


def listed(names: Iterable[str], most: int = 10) -> str:
    """The first of some names, and how many more there are."""
    names = list(names)
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def span(counts: Collection[int] | NDArray[np.intp]) -> str:
    """``7``, or ``3 to 7``."""
    low, high = int(min(counts)), int(max(counts))
    return f"{low}" if low == high else f"{low} to {high}"


def open_number(reading: ColumnReading) -> str:
    """How the number of two meanings was read."""
    case, how = str(reading.open_case), reading.notation
    return (case.replace(how.thousands, "") if how.thousands else case).replace(",", ".")


def written(reading: ColumnReading) -> list[str]:
    """What is not plain of how a column writes its numbers."""
    texts, how = reading.written, reading.notation
    if texts is None:
        return []
    money, marked = texts.currencies(), reading.marked
    several = " as if they were one currency" if len(money) > 1 else ""
    told = {
        "decimal dot and comma": how.mixed,
        "decimal comma": how.decimal == "," and not how.mixed,
        "percent as shares, 50 % as 0.5": texts.has_percent(),
        " and ".join(money) + several: bool(money),
        f"in {how.unit}": bool(how.unit),
    }
    mark = [f"{reading.known.labels()[marked][0]!r} as without the sign"] if marked.any() else []
    return [words for words, is_so in told.items() if is_so] + mark
