"""How one column is encoded: a JSON-ready table of what was seen in it, and what is told of it.

Sees training rows only. `encoding` applies the tables to any rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tuner.core.column_spec import ColumnSpec
from tuner.data import dates, free_text
from tuner.data.cells import TEXT, Cells, without
from tuner.data.date_forms import DAY_S
from tuner.data.model_inputs import finite
from tuner.data.notation import PLAIN, replaced
from tuner.data.notes import Notes, open_number, written
from tuner.data.options import Options
from tuner.data.reading import ColumnReading
from tuner.data.words import CATEGORY_MISSING, CODES, IDS, SENTINELS
from tuner.errors import DataError

PARTLY, PARTLY_DISTINCT = 0.1, 5
"""This share of numbers, among more different values than that, is told of a column of categories."""

MOST_CATEGORIES = 32
"""A column with more categories keeps the most frequent ones; the others share one encoded column."""

LEAST_OFTEN, MOST_CODES = 3, 4096
"""A column with more than `MOST_CATEGORIES` that come so often has codes of them, too; see `embedding`."""

NEARLY_ALL = 0.9
"""Texts of which this share differs name the rows and are no categories."""

LONG_TEXT = 4
"""Texts of so many words on average, more than half of them different, are free text."""

_LEAST_ROWS, _LEAST_CONSTANT = 20, 3
_SHOWN, _MOST_SENTINELS, _MANY, _BESIDE_DIGIT = 10, 3, 10, 3
_BEGUN = r"^[\W_]{0,2}\d"
_WHOLE = r"^(-?\d+)\.0+$"


def table_of(reading: ColumnReading, options: Options, notes: Notes) -> dict[str, Any] | None:
    """How a column is encoded; None where it is left out.

    Raises:
        DataError: the study says of it what it is not.
    """
    asked, name = options.asked(reading.name), reading.name
    if asked.kind == "drop":
        notes.add("dropped", name)
        return None
    if reading.cells.missing.all():
        notes.add("empty", name)
        return None
    table: dict[str, Any] | None
    if asked.kind == "ordinal":
        table = _ordinal(reading, asked, notes)
    elif reading.kind == "category":
        table = _category(reading, asked, notes)
    elif reading.kind == "date":
        table = _date(reading, asked, notes)
    else:
        table = _number(reading, asked, notes)
    absent = options.absent(name)
    own = asked.missing is not None
    return table if table is None or not (absent or own) else {**table, "absent": list(absent), "own": own}


def cells_of(raw: Any, table: Mapping[str, Any]) -> Cells:
    """The values of a column that was encoded so."""
    return Cells(raw, table.get("absent", ()))


def categories_of(cells: Cells, table: Mapping[str, Any]) -> Any:
    """The categories in each row, null of what is missing, as an Arrow array; (N,)."""
    texts = cells.array()
    return texts if table.get("own") else without_missing(texts)


def without_missing(texts: Any) -> Any:
    """Categories with null for the words that say that there is none."""
    return without(texts, pc.is_in(texts, value_set=pa.array(CATEGORY_MISSING, TEXT)))


def folded(texts: Any) -> Any:
    """By what texts are compared: without regard to case, 3.0 as 3."""
    return replaced(pc.utf8_lower(pc.utf8_trim_whitespace(texts)), _WHOLE, r"\1")


def _number(reading: ColumnReading, asked: ColumnSpec, notes: Notes) -> dict[str, Any] | None:
    """Of numbers, times of day and truth values."""
    name, kind, cells = reading.name, reading.kind, reading.cells
    values = finite(reading.values if reading.values is not None else cells.numbers())
    lost = np.isnan(values)
    is_whole = not lost.any()
    reading = reading if is_whole else replace(reading, values=values)
    if lost.all():
        if asked.kind is not None:
            raise DataError(f"{name}: {_not_so(reading, asked)}")
        notes.add("empty", name)
        return None
    _tell_strays(reading, "stray" if kind == "number" else "odd", notes)
    known = values if is_whole else values[~lost]
    if len(known) >= _LEAST_CONSTANT and known.min() == known.max() and is_whole:
        notes.add("constant", f"{name} ({known[0]:g})")
        return None
    if kind == "number" and asked.kind is None:
        if _is_id(name, known) and is_whole:
            notes.add("id", name)
            return None
        if CODES & set(re.split(r"[\W\d_]+", name.lower())) and bool((known % 1 == 0).all()):
            notes.add("named", name)
        if is_whole and _counts_up(known):
            notes.add("counts", name)
        if found := sentinels(known):
            notes.add("sentinel", f"{name} ({', '.join(f'{number:.15g}' for number in found)})")
    _tell_notation(reading, notes)
    turns = kind == "time" and 0 <= known.min() <= known.max() < 24
    turns = turns and not dates.are_durations(reading.cells.texts.filter(pa.array(~lost)))
    if kind in ("time", "boolean"):
        words = f" ({reading.true[0]} = 1)" if reading.true and reading.true[0] != "true" else ""
        notes.add("duration" if kind == "time" and not turns else kind, name + words)
    fill = _fill(known, asked)
    if not is_whole:
        usual = asked.fill in (None, "median")
        notes.add("filled" if usual else "filled_with", f"{name} ({lost.sum()} rows, {fill:g})")
    table: dict[str, Any] = {"name": name, "kind": kind, "fill": fill, "missing": not is_whole}
    if turns:
        table["periodic"] = True
    if reading.notation != PLAIN:
        table["notation"] = asdict(reading.notation)
    if kind == "boolean":
        table |= {"true": list(reading.true), "false": list(reading.false)}
    return table


def _date(reading: ColumnReading, asked: ColumnSpec, notes: Notes) -> dict[str, Any] | None:
    stamps = reading.values if reading.values is not None else np.full(len(reading.cells), np.nan)
    lost = np.isnan(stamps)
    if lost.all():
        if asked.kind is not None or asked.date_format is not None:
            raise DataError(f"{reading.name}: {_not_so(reading, asked)}")
        notes.add("empty", reading.name)
        return None
    known = stamps[~lost]
    if len(known) >= _LEAST_CONSTANT and known.min() == known.max() and not lost.any():
        notes.add("constant", reading.name)
        return None
    _tell_strays(reading, "odd", notes)
    if asked.kind is None and (odd := sentinels(known)):
        shown = pa.array(np.array(reading.cells.labels(), object)[np.isin(stamps, odd)]).unique().to_pylist()
        notes.add("sentinel", f"{reading.name} ({', '.join(map(str, shown))})")
    notes.add("date", f"{reading.name} ({lost.sum()} rows without)" if lost.any() else reading.name)
    if reading.open_case is not None:
        order = {"dmy": "day", "mdy": "month", "ymd": "year"}[reading.first]
        notes.add("open_date", f"{reading.name} ({reading.open_case}, read with the {order} first)")
    table: dict[str, Any] = {
        "name": reading.name,
        "kind": "date",
        "first": reading.first,
        "origin_s": float(known.min()),
        "fill_s": _fill(known, asked),
        "hours": bool((known % DAY_S != 0).any()),
        "periodic": True,
        "missing": bool(lost.any()),
    }
    if reading.form is not None:
        table["format"] = reading.form
    return {**table, "compact": True} if reading.compact else table


def _ordinal(reading: ColumnReading, asked: ColumnSpec, notes: Notes) -> dict[str, Any]:
    order = [str(value) for value in asked.order]
    table: dict[str, Any] = {"name": reading.name, "kind": "ordinal", "order": order}
    if asked.missing is not None:
        table["own"] = True
    texts = categories_of(reading.cells, table)
    values = places(texts, order)
    lost = np.isnan(values)
    gone = pc.is_null(texts).to_numpy(zero_copy_only=False)
    if lost.all():
        raise DataError(
            f"{reading.name}: order names none of the values in training, the first of which is "
            f"'{pc.drop_null(texts)[0].as_py()}'; correct [data.columns.{reading.name}] order"
        )
    if (stray := lost & ~gone).any():
        first = texts[int(np.argmax(stray))].as_py()
        notes.add("unordered", f"{reading.name} ({first!r} and the like, {stray.sum()} rows)")
    notes.add("ordinal", f"{reading.name} ({len(order)})")
    return {**table, "fill": _fill(values[~lost], asked), "missing": bool(lost.any())}


def places(texts: Any, order: Iterable[str]) -> NDArray[np.float64]:
    """The place of each text in an order, from 1; NaN of what it does not name; (N,)."""
    known = folded(pa.array([str(value) for value in order], TEXT))
    at = pc.index_in(folded(texts), value_set=known).to_numpy(zero_copy_only=False)
    return np.asarray(at, np.float64) + 1


def _category(reading: ColumnReading, asked: ColumnSpec, notes: Notes) -> dict[str, Any] | None:
    name = reading.name
    texts = categories_of(reading.cells, {"own": asked.missing is not None})
    missing = texts.null_count > 0
    counted = pc.value_counts(pc.drop_null(texts))
    known, distinct = len(texts) - texts.null_count, len(counted)
    if not known:
        notes.add("empty", name)
        return None
    if asked.kind is None and reading.codes is None and distinct > 2:
        begun = pc.match_substring_regex(counted.field("values"), _BEGUN)
        if (pc.sum(counted.field("counts").filter(begun)).as_py() or 0) >= NEARLY_ALL * known:
            notes.add("unread", f"{name} ({counted.field('values')[0].as_py()!r} and the like)")
    if asked.kind is None and reading.partly >= PARTLY * known and distinct > PARTLY_DISTINCT:
        notes.add("partly", f"{name} ({reading.partly} of {known} values)")
    if asked.kind == "text" or (asked.kind is None and (kind := _rowwise(texts, known, distinct))):
        if asked.kind != "text" and kind != "text":
            notes.add(kind, name)
            return None
        words, different = free_text.vocabulary(texts)
        if not words:
            notes.add("wordless", name)
            return None
        return {"name": name, "kind": "text", "words": words, "different": different, "missing": missing}
    counts, merged = _merged(counted)
    if len(counts) == 1 and known >= _LEAST_CONSTANT and not missing:
        notes.add("constant", f"{name} ({next(iter(counts))})")
        return None
    if merged:
        notes.add("merged", f"{name} ({', '.join(merged[:3])})")
    if reading.codes is not None:
        notes.add("codes", f"{name} ({reading.codes})")
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    kept = sorted(ranked[:MOST_CATEGORIES])
    many = len(ranked) > len(kept)
    few = f"{name} ({len(kept)} of {len(ranked)}, the rarer ones together)"
    notes.add("category", few if many else f"{name} ({len(kept)})")
    table: dict[str, Any] = {
        "name": name,
        "kind": "category",
        "categories": kept,
        "other": many,
        "missing": missing,
        "folded": True,
    }
    if asked.fill == "most frequent":
        table["fill"] = ranked[0]
    often = sum(counts[word] >= LEAST_OFTEN for word in ranked[:MOST_CODES])
    if often > MOST_CATEGORIES:
        table["embedding"] = {"categories": ranked[:often], "other": len(ranked) > often}
    return table


def _rowwise(texts: Any, known: int, distinct: int) -> str:
    """Whether the texts differ by row rather than name categories: all, nearly all, or as free text."""
    if known < 2:
        return ""
    if distinct > known / 2 and known >= _LEAST_ROWS:
        words = pc.mean(pc.count_substring_regex(texts, r"\S+")).as_py()
        if words >= LONG_TEXT:
            return "text"
    nearly = distinct > NEARLY_ALL * known and known >= _LEAST_ROWS
    return "distinct" if distinct == known or nearly else ""


def _merged(counted: Any) -> tuple[dict[str, int], list[str]]:
    """How often each category stands there, under its most frequent spelling; and which spellings are one."""
    spellings: dict[str, Counter[str]] = {}
    words, counts = counted.field("values"), counted.field("counts")
    for key, word, count in zip(
        folded(words).to_pylist(), words.to_pylist(), counts.to_pylist(), strict=True
    ):
        spellings.setdefault(key, Counter())[word] += count
    found, merged = {}, []
    for each in spellings.values():
        ranked = sorted(each, key=lambda word: (-each[word], word))
        found[ranked[0]] = each.total()
        merged += [" = ".join(map(repr, ranked))] if len(ranked) > 1 else []
    return found, merged


def _fill(known: NDArray[np.float64], asked: ColumnSpec) -> float:
    if isinstance(asked.fill, int | float):
        return float(asked.fill)
    if asked.fill == "mean":
        return float(known.mean())
    if asked.fill == "most frequent":
        values, counts = np.unique(known, return_counts=True)
        return float(values[np.argmax(counts)])
    return median(known)


def median(known: NDArray[np.float64]) -> float:
    """The same as numpy's, which looks for NaN by sorting further."""
    half = len(known) // 2
    parted = np.partition(known, half)
    upper = parted[half]
    return float(upper if len(known) % 2 else np.mean([parted[:half].max(), upper]))


def _not_so(reading: ColumnReading, asked: ColumnSpec) -> str:
    gone = reading.cells.missing
    first = reading.cells.labels()[int(np.argmin(gone))]
    if asked.date_format is not None and reading.kind == "date":
        form = asked.date_format
        return f'date_format = "{form}", but no value is such a date, the first is {first!r}; correct it'
    if asked.kind == "boolean":
        return (
            f'kind = "boolean", but there are more than two values, the first is {first!r}; give another kind'
        )
    return f'kind = "{asked.kind}", but no value is one, the first is {first!r}; give another kind'


def _tell_strays(reading: ColumnReading, kind: str, notes: Notes) -> None:
    stray = reading.stray
    if not stray.any():
        return
    words = reading.cells.labels()[stray]
    told = [word for word in words if word not in CATEGORY_MISSING and str(word).lower() != "nan"]
    if told:
        notes.add(kind, f"{reading.name} ({str(told[0])!r} and the like, {len(told)} rows)")


def _tell_notation(reading: ColumnReading, notes: Notes) -> None:
    if reading.open_case is not None:
        notes.add("open_number", f"{reading.name} ({reading.open_case}, read as {open_number(reading)})")
    if told := written(reading):
        notes.add("written", f"{reading.name} ({', '.join(told)})")


def _is_id(name: str, known: NDArray[np.float64]) -> bool:
    """Whether a column is named as one that numbers the rows, and does."""
    lower = name.strip().lower()
    if len(known) < _SHOWN or not (
        lower in IDS or lower.endswith(("_id", " id", "-id")) or name.endswith("ID")
    ):
        return False
    return bool((known % 1 == 0).all()) and len(np.unique(known)) == len(known)


def _counts_up(known: NDArray[np.float64]) -> bool:
    """Whether whole numbers rise from row to row with few gaps."""
    if len(known) < _LEAST_ROWS or (np.diff(known[:_SHOWN]) <= 0).any():
        return False
    steps = np.diff(known)
    rising = bool((steps > 0).all()) and bool((known % 1 == 0).all())
    return rising and bool(known[-1] - known[0] < 4 * len(known))


def sentinels(known: NDArray[np.float64]) -> list[float]:
    """Numbers that may stand for a missing value, each more than once; (N,) without NaN.

    Such as -999 that stand farther from all others than these lie apart; other numbers do so only where there
    are many, and 9 and -9 beside three at least. And -1 where no other number is negative and all are whole.
    """
    ends = known.min(initial=np.inf), known.max(initial=-np.inf)
    if all(np.count_nonzero(known == end) < 2 for end in ends):
        return []  # what is found has one of them; to sort takes ten times as long
    values, counts = np.unique(known, return_counts=True)
    found = []
    for values_in, counts_in in ((values, counts), (values[::-1], counts[::-1])):
        gaps = np.abs(np.diff(values_in[: _MOST_SENTINELS + 1]))
        at = int(np.argmax(gaps)) + 1 if len(gaps) else 0
        rest, edge = values_in[at:], values_in[:at]
        least = _BESIDE_DIGIT if (np.abs(edge) == 9).any() else 1
        usual = len(rest) >= (least if np.isin(edge, SENTINELS).all() else _MANY)
        if at and usual and counts_in[:at].min() > 1 and gaps[at - 1] > max(np.ptp(rest), 1.0):
            found += [float(value) for value in edge]
    if not found and len(values) > 2 and values[0] == -1 and counts[0] > 1 and values[1] >= 0:
        found = [-1.0] if bool((values % 1 == 0).all()) else []
    return found
