"""What the columns of a table hold, and how they write it; decided on the rows that are handed in.

`read_columns` looks at all columns of the training rows at once, as one column may say how another one writes
its numbers or dates; `read_column` looks at one alone, as the target is. Each becomes a `ColumnReading`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tuner.core.column_spec import ColumnSpec
from tuner.data import dates, notation, plain_numbers
from tuner.data.cells import TEXT, Cells
from tuner.data.date_forms import DAY_FIRST, MONTH_FIRST, compact
from tuner.data.notation import PLAIN, Notation, Written
from tuner.data.number_forms import other_mark
from tuner.data.options import Options
from tuner.data.threads import each
from tuner.data.words import BOOLEANS, SHORT_BOOLEANS

MOSTLY = 0.5
"""A column of which this share of the known values are numbers, or dates, holds such; others are missing."""

UNIT_SHARE = 0.9
"""This share has to be numbers where they have a unit: seats such as 12A and 13B are none."""

_SAMPLE = 100
_FEW = 12
_OF_WORDS = {word for pair in BOOLEANS for word in pair}


@dataclass(frozen=True)
class ColumnReading:
    """What a column holds.

    Attributes:
        name: the column's.
        kind: number, date, time, boolean or category.
        cells: its values, as they were.
        known: its values without what is missing by a word for it.
        values: numbers, dates in seconds since 1970, times in hours, truth values as 1 and 0; none of
            categories. NaN where there is no such value; (N,).
        notation: how it writes numbers.
        first: what stands first in its dates.
        form: the strptime format that the study names.
        true: words for true, in lower case.
        false: words for false.
        compact: whether its dates are numbers such as 20230127.
        open_case: a value that could mean something else, where nothing but custom decided.
        codes: why numbers are a category: one with zeros in front.
        partly: of a category, how many values are numbers.
    """

    name: str
    kind: str
    cells: Cells
    known: Cells
    values: NDArray[np.float64] | None = None
    notation: Notation = PLAIN
    first: str = DAY_FIRST
    form: str | None = None
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    compact: bool = False
    open_case: str | None = None
    codes: str | None = None
    partly: int = 0
    votes: int = 0
    written: Written | None = None

    @property
    def marked(self) -> NDArray[np.bool_]:
        """Where a number has the sign of a bound or a footnote, which is left away; (N,)."""
        if self.written is None or not self.notation.marks:
            return np.zeros(len(self.cells), bool)
        return self.written.marked

    @property
    def stray(self) -> NDArray[np.bool_]:
        """Where something stands that is no such value; (N,)."""
        if self.values is None:
            return np.zeros(len(self.cells), bool)
        return np.isnan(self.values) & ~self.cells.missing


def read_columns(rows: pd.DataFrame, options: Options) -> list[ColumnReading]:
    """Read all columns of a table."""
    found = each(lambda name: _read(str(name), rows[name], options), rows.columns, len(rows))
    decimal = _majority([r.votes for r in found if r.kind == "number"], ".", ",")
    first = _majority(
        [1 if r.first == DAY_FIRST else -1 for r in found if r.kind == "date" and r.votes],
        DAY_FIRST,
        MONTH_FIRST,
    )
    return [_settled(reading, decimal, first, options) for reading in found]


def read_column(name: str, raw: pd.Series[Any], options: Options) -> ColumnReading:
    """Read one column by itself."""
    return _settled(_read(name, raw, options), None, None, options)


def numbers(raw: pd.Series[Any], name: str, options: Options) -> NDArray[np.float64]:
    """Read a column that has to hold numbers, in its own notation; NaN where it does not; (N,)."""
    values = read_column(name, raw, options.asking(name, "number")).values
    return np.full(len(raw), np.nan) if values is None else values


def ordering(raw: pd.Series[Any], name: str, options: Options) -> ColumnReading | None:
    """How a column that orders rows is read, as dates or numbers; None where any value is neither."""
    # Numbers with zeros in front are a category where nobody asks for numbers.
    for kind in (None, "number"):
        found = read_column(name, raw, options.asking(name, kind))
        if found.values is not None:
            return found if np.isfinite(found.values).all() else None
    return None


def _majority(votes: Iterable[int], one: str, other: str) -> str | None:
    total = sum(np.sign(vote) for vote in votes)
    return None if not total else one if total > 0 else other


def _read(name: str, raw: pd.Series[Any], options: Options) -> ColumnReading:
    asked, absent = options.asked(name), options.absent(name)
    cells = Cells(raw, absent)
    if asked.kind in ("category", "text", "ordinal", "drop") or (cells.is_declared and asked.kind is None):
        return ColumnReading(name, "category", cells, cells)
    if cells.are_dates:
        return ColumnReading(name, "date", cells, cells, cells.seconds(DAY_FIRST))
    if cells.texts is None:
        votes = options.votes.get(name, 0)
        return _of_numbers(ColumnReading(name, "number", cells, cells, cells.numbers(), votes=votes), asked)
    if asked.kind is None and asked.date_format is None and (plain := _plain(name, cells, asked)) is not None:
        return _of_numbers(plain, asked)
    words = options.words(name)
    if asked.kind is None and asked.date_format is None and _are_names(_sample(cells.array()), words):
        return ColumnReading(name, "category", cells, cells)
    known = Cells(raw, absent, words)
    of = _Candidates(name, cells, known, asked)
    if asked.kind is not None:
        return of.asked_for(asked.kind)
    return of.likely()


def _plain(name: str, cells: Cells, asked: ColumnSpec) -> ColumnReading | None:
    """A column that is numbers throughout, written plainly; None of any other."""
    decimal = _decimal(asked)
    read = None if decimal == "," else notation.whole(cells.texts)
    if read is None or cells.texts.null_count == len(cells):
        return None
    if (code := plain_numbers.code(cells.texts)) is not None:
        return ColumnReading(name, "category", cells, cells, codes=code)
    reading = ColumnReading(name, "number", cells, cells, cells.beside(read))
    if decimal == ".":
        return reading
    votes, case = plain_numbers.dots(cells.texts)
    return replace(reading, votes=votes, open_case=case)


def _of_numbers(reading: ColumnReading, asked: ColumnSpec) -> ColumnReading:
    """Numbers, or the dates that numbers such as 20230127 are."""
    values = reading.values
    if asked.kind is None and reading.kind == "number" and values is not None and dates.are_compact(values):
        stamps = compact(values)
        return replace(reading, kind="date", values=stamps, compact=True, votes=0, open_case=None)
    return reading


class _Candidates:
    """What a column of text could be."""

    def __init__(self, name: str, cells: Cells, known: Cells, asked: ColumnSpec) -> None:
        self._reading = ColumnReading(name, "category", cells, known)
        self._known, self._asked = known, asked
        self._count = int((~known.missing).sum())

    def likely(self) -> ColumnReading:
        """The first kind that the column fits."""
        if not self._count:
            return self._reading
        if self._asked.date_format is not None and self._share((date := self._date()).values) >= MOSTLY:
            return date
        boolean = self._boolean()
        if boolean is not None:
            # true and false are numbers, as in a column whose type is that of truth values.
            return replace(boolean, kind="number") if boolean.true == ("true", "1") else boolean
        sample, texts = _sample(self._known.array()), self._known.texts
        if any(text[0] in "='\"" for text in sample):  # spreadsheets keep zeros in front so
            texts = notation.bare(texts)
        if (code := plain_numbers.code(texts)) is not None:
            return replace(self._reading, codes=code)
        if not _has_digits(sample):
            return self._reading
        partly = 0
        if notation.could_be(sample):
            # What is said of all columns need not hold of each.
            for marked in (self._asked, self._asked.model_copy(update={"decimal": None, "thousands": None})):
                number = self._number(marked)
                if self._share(number.values) >= (UNIT_SHARE if number.notation.unit else MOSTLY):
                    return number
                partly = 0 if number.notation.unit else round(self._share(number.values) * self._count)
        if dates.could_be(sample, times=True) and self._share((time := self._time()).values) >= MOSTLY:
            return time
        if dates.could_be(sample, times=False) and self._share((date := self._date()).values) >= MOSTLY:
            return date
        return replace(self._reading, partly=partly)

    def asked_for(self, kind: str) -> ColumnReading:
        """That kind, whatever the values look like."""
        if kind == "number":
            return self._number(self._asked)
        if kind == "boolean":
            return self._boolean() or self._two()
        time = self._time()
        date = self._date()
        return time if self._share(time.values) > self._share(date.values) else date

    def _share(self, values: NDArray[np.float64] | None) -> float:
        return 0.0 if values is None or not self._count else (~np.isnan(values)).sum() / self._count

    def _number(self, asked: ColumnSpec) -> ColumnReading:
        written = Written(self._known.texts)
        decimal = _decimal(asked)
        dot, comma = written.votes()
        row = written.open_case
        case = None if decimal is not None or dot != comma or row is None else self._known.texts[row].as_py()
        reading = replace(self._reading, kind="number", votes=dot - comma if decimal is None else 0)
        reading = replace(reading, written=written, open_case=case)
        return _numbers_in(reading, decimal or ("," if comma > dot else "."), asked)

    def _date(self) -> ColumnReading:
        known, form = self._known, self._asked.date_format
        reading = replace(self._reading, kind="date", form=form)
        if form is not None:
            return replace(reading, values=known.seconds("", form))
        first, case = dates.order(known.texts)
        values = known.seconds(first or DAY_FIRST)
        return replace(
            reading,
            values=values,
            first=first or DAY_FIRST,
            votes=int(first in (DAY_FIRST, MONTH_FIRST)),
            open_case=case,
        )

    def _time(self) -> ColumnReading:
        return replace(self._reading, kind="time", values=self._known.hours())

    def _boolean(self) -> ColumnReading | None:
        texts = self._known.texts
        head = pc.utf8_lower(pc.drop_null(texts[:_FEW])).to_pylist()
        beside = self._known.beside(None)
        if not set(head) <= _OF_WORDS | {"0", "1"} or not (np.isnan(beside) | _are_truths(beside)).all():
            return None
        found = set(pc.unique(pc.utf8_lower(pc.drop_null(texts))).to_pylist())
        if len(found) < 2 and (self._reading.cells.missing != self._known.missing).any():
            return None  # y beside x is no yes beside a gap
        pair = next((p for p in BOOLEANS if found <= {*p, "0", "1"} and found & set(p)), None)
        if pair is not None:
            return self._truths((pair[0], "1"), (pair[1], "0"))
        for long, short in SHORT_BOOLEANS.items():
            true, false = (long[0], short[0], "1"), (long[1], short[1], "0")
            if found <= {*true, *false} and found & set(true) and found & set(false):
                return self._truths(true, false)
        return None

    def _two(self) -> ColumnReading:
        """Two values of which none is a word for true or false: the later one is true."""
        found = sorted({str(label).lower() for label in self._known.labels() if label is not None})
        return self._truths(tuple(found[1:]), tuple(found[:1])) if len(found) <= 2 else self._truths((), ())

    def _truths(self, true: tuple[str, ...], false: tuple[str, ...]) -> ColumnReading:
        reading = replace(self._reading, kind="boolean", true=true, false=false)
        return replace(reading, values=truths(self._known, true, false))


def _sample(texts: Any) -> list[str]:
    """Some different values, from rows of the whole column."""
    known = pc.drop_null(texts)
    at = np.arange(0, len(known), 1 + len(known) // (20 * _SAMPLE))
    found: list[str] = pc.unique(known.take(pa.array(at))).to_pylist()
    return found[:: 1 + len(found) // _SAMPLE]


def _are_names(sample: list[str], words: frozenset[str]) -> bool:
    """Whether these can be nothing but categories or text; `words` stand for what is missing."""
    known = [text for text in sample if text.lower() not in words]
    return bool(known) and not _has_digits(known) and not {text.lower() for text in known} <= _OF_WORDS


def _has_digits(sample: list[str]) -> bool:
    """Whether some of these could be numbers, dates or times."""
    return sum(any(map(str.isdigit, text)) for text in sample) >= 0.2 * len(sample)


def truths(cells: Cells, true: Iterable[str], false: Iterable[str]) -> NDArray[np.float64]:
    """1 of the words for true, 0 of those for false, NaN elsewhere; (N,)."""
    values = cells.beside(None)
    known = np.where(_are_truths(values), values, np.nan)
    if cells.texts is not None:
        lower = pc.utf8_lower(cells.texts)
        for value, words in ((1.0, true), (0.0, false)):
            there = pc.is_in(lower, value_set=pa.array(list(words), TEXT))
            known[there.to_numpy(zero_copy_only=False).astype(bool)] = value
    return known


def _are_truths(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.isin(values, (0, 1))


def _settled(
    reading: ColumnReading, decimal: str | None, first: str | None, options: Options
) -> ColumnReading:
    """Decide what the column itself leaves open by the other columns, the file, and custom, in this order."""
    if reading.open_case is None:
        return reading
    asked = options.asked(reading.name)
    if reading.kind == "number":
        told = reading if decimal is None else replace(reading, open_case=None)
        chosen = decimal or options.hint or "."
        return told if chosen == "." else _numbers_in(told, chosen, asked)
    slashed = "/" in reading.open_case
    usual = DAY_FIRST if options.hint == "," or not slashed else MONTH_FIRST
    told = reading if first is None else replace(reading, open_case=None)
    return replace(told, first=first or usual, values=reading.known.seconds(first or usual))


def _numbers_in(reading: ColumnReading, decimal: str, asked: ColumnSpec) -> ColumnReading:
    written = reading.written or Written(reading.known.texts)
    other = other_mark(decimal)
    thousands = other if asked.thousands in (None, other) else ""
    how = Notation(decimal, thousands, written.unit(), written.has_marks())
    dot, comma = written.votes()
    if _decimal(asked) is None and dot and comma:
        how = replace(how, mixed=True)
    return replace(reading, notation=how, written=written, values=reading.known.beside(written.numbers(how)))


def _decimal(asked: ColumnSpec) -> str | None:
    """The decimal mark that the study names, or that follows from the mark of thousands."""
    if asked.decimal is not None:
        return asked.decimal
    return {".": ",", ",": "."}.get(asked.thousands or "")
