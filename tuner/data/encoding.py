"""How the raw columns of a table become float32 columns.

`fit` sees training rows only and returns a JSON-ready table; `encode` applies it to any rows, those
of a saved model too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tuner.data import free_text
from tuner.data.cells import TEXT, Cells
from tuner.data.date_forms import DAY_FIRST, compact
from tuner.data.fitting import categories_of, cells_of, folded, places, table_of, without_missing
from tuner.data.model_inputs import category_columns, date_columns, marked, number_columns
from tuner.data.notation import PLAIN, Notation
from tuner.data.notes import Notes, listed
from tuner.data.options import Options
from tuner.data.reading import ColumnReading, read_columns, truths
from tuner.data.threads import each
from tuner.errors import DataError

MOST_WIDE = 10_000
"""How many encoded columns categories, dates and texts may make."""

_BLOCK = 2048
"""So many rows fit into a cache, as columns are written across rows."""

_SIDES = ("sine", "cosine")


@dataclass(frozen=True)
class Described:
    """A column of the training rows: what it is read as, how it is encoded, if it is, and what is told."""

    reading: ColumnReading
    table: dict[str, Any] | None
    notes: Notes


def fit(
    rows: pd.DataFrame,
    where: str,
    options: Options | None = None,
    seen: list[Described] | None = None,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Decide how each column is read and encoded, on the training rows.

    Numbers stay as they are, and words for true and false become 1 and 0; what is missing, or cannot be
    read, becomes the median, and a further column marks it. A date becomes days since the earliest one,
    and month, day of the year, weekday and, where there are times of day, the hour as sine and cosine; a time
    of day becomes hours, and these sine and cosine too. Free text becomes words, see `free_text`. A
    category gets a column of its own, and so does being missing; of more than 32 categories the rarer ones
    share one. A column that is all missing, the same in all rows, or a number of the row is left out.
    `seen` takes up what is seen of each column.

    Returns:
        The encoding, ``{"columns": [{"name": ..., "kind": "number" | "date" | "category" | "text", ...}]}``,
        and what was done, a sentence each.

    Raises:
        DataError: nothing is left, too many columns come out, or a column is not what the study says.
    """
    notes, options = Notes(), options or Options()
    try:
        found = each(lambda reading: _described(reading, options), read_columns(rows, options), len(rows))
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    columns = []
    for column in found:
        notes.extend(column.notes)
        columns += [] if column.table is None else [column.table]
    if seen is not None:
        seen += found
    _share_words([table for table in columns if table["kind"] == "text"], notes)
    told = notes.sentences()
    if not columns:
        raise DataError(f"{where}: no column is left to learn from; {' '.join(told) or 'bring some'}")
    wide = sum(len(_names(table)) for table in columns if table["kind"] in ("category", "date", "text"))
    if wide > MOST_WIDE:
        raise DataError(
            f"{where}: {wide} encoded columns would come of categories, dates and texts, more than "
            f'{MOST_WIDE}; leave columns out with drop = ["<column>", ...]'
        )
    return {"columns": columns}, told


def _described(reading: ColumnReading, options: Options) -> Described:
    notes = Notes()
    return Described(reading, table_of(reading, options, notes), notes)


def encode(
    rows: pd.DataFrame | NDArray[Any], encoding: Mapping[str, Any], features: Sequence[str] = ()
) -> NDArray[np.float32]:
    """Encode raw rows as the training rows were.

    Categories that training did not have count as rare ones where it had such, and as none of the
    known ones otherwise. What is missing, or cannot be read, is filled with the training median.

    Args:
        rows: a data frame with at least the columns of `encoding`, in any order; or an array, (N, D)
            with them in their order, or (N, C, H, W) where the encoding is empty.
        encoding: `Dataset.encoding`; empty where the data already were numbers.
        features: `Dataset.features`; which columns of a data frame are meant where the encoding is empty.

    Returns:
        (N, D), or (N, C, H, W) as it came.

    Raises:
        DataError: columns are missing, or there is text where numbers belong.
    """
    if not encoding:
        return _numbers_only(rows, features)
    tables = encoding["columns"]
    wanted = [table["name"] for table in tables]
    if not isinstance(rows, pd.DataFrame):
        if np.ndim(rows) != 2 or np.shape(rows)[1] != len(wanted):
            raise DataError(
                f"rows: have shape {np.shape(rows)}; give a data frame with the columns {listed(wanted)}"
            )
        rows = pd.DataFrame(rows, columns=wanted)
    check_present(rows, wanted)
    encoded = each(lambda table: _encode_column(rows[table["name"]], table), _in_order(tables), len(rows))
    parts = [part for column in encoded for part in column]
    x = np.empty((len(rows), len(parts)), np.float32)

    def write(start: int) -> None:
        block = slice(start, start + _BLOCK)
        for i, values in enumerate(parts):
            x[block, i] = values[block]

    each(write, range(0, len(rows), _BLOCK), len(rows))
    return x


def names(encoding: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the encoded columns, D of them."""
    return tuple(name for table in _in_order(encoding["columns"]) for name in _names(table))


def _in_order(tables: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """In the order of the encoded columns: codes of categories come last."""
    return sorted(tables, key=lambda table: table.get("embedded", False))


def read_as(encoding: Mapping[str, Any]) -> dict[str, str]:
    """What each column is read as: its kind, and a digest of its inputs' names and of how values are read."""
    keys = ("fill", "fill_s", "origin_s", "notation")
    return {
        table["name"]: f"{table['kind']} {_digest([_names(table), *map(table.get, keys)])}"
        for table in encoding.get("columns", ())
    }


def _digest(values: list[Any]) -> str:
    rounded = [f"{value:.6g}" if isinstance(value, float) else value for value in values]
    return hashlib.sha256(json.dumps(rounded).encode()).hexdigest()[:12]


def _encode_column(raw: pd.Series[Any], table: Mapping[str, Any]) -> list[NDArray[Any]]:
    cells, kind = cells_of(raw, table), table["kind"]
    if kind == "date":
        return date_columns(stamps_of(cells, table), table)
    if kind == "category":
        return category_columns(*codes_of(cells, table), table)
    if kind == "text":
        texts = categories_of(cells, table)
        lost = pc.is_null(texts).to_numpy(zero_copy_only=False)
        return marked(free_text.encoded(texts, table["words"]), lost, table)
    return number_columns(values_of(cells, table), table)


def values_of(cells: Cells, table: Mapping[str, Any]) -> NDArray[np.float64]:
    """The numbers that a column holds; NaN where it holds none; (N,)."""
    kind = table["kind"]
    if kind == "time":
        return cells.hours()
    if kind == "boolean":
        return truths(cells, table["true"], table["false"])
    if kind == "ordinal":
        return places(categories_of(cells, table), table["order"])
    return cells.numbers(Notation(**table["notation"]) if "notation" in table else PLAIN)


def stamps_of(cells: Cells, table: Mapping[str, Any]) -> NDArray[np.float64]:
    """The dates that a column holds, in seconds since 1970; NaN where it holds none; (N,)."""
    if table.get("compact"):
        return cells.seconds(DAY_FIRST) if cells.are_dates else compact(cells.numbers())
    if "first" not in table:
        # Models of before `first` was kept name one of three formats, which read the same.
        return cells.seconds(DAY_FIRST)
    return cells.seconds(table["first"], table.get("format"))


def codes_of(cells: Cells, table: Mapping[str, Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The place of each category among the known ones, -1 of others; and where nothing stands; (N,) each."""
    known = pa.array(table["categories"], TEXT)
    coded = pc.dictionary_encode(cells.array())
    each = coded.dictionary
    if table.get("folded"):
        each = each if table.get("own") else without_missing(each)
        at = pc.index_in(folded(each), value_set=folded(known))
    else:
        # Models of before categories were folded know them as they were written.
        at = pc.index_in(each, value_set=known)
    row = pc.fill_null(coded.indices, len(each)).to_numpy(zero_copy_only=False)
    codes = np.append(pc.fill_null(at, -1).to_numpy(zero_copy_only=False), -1)[row]
    lost = np.append(pc.is_null(each).to_numpy(zero_copy_only=False), True)[row]
    return codes, lost


def _share_words(texts: Sequence[dict[str, Any]], notes: Notes) -> None:
    """Let columns of text share the words that may be known, and tell of them."""
    for table, words in zip(texts, free_text.shared([t["words"] for t in texts]), strict=True):
        table["words"] = words
        notes.add("text", f"{table['name']} ({len(words)} of {table.pop('different')} words)")


def _names(table: Mapping[str, Any]) -> list[str]:
    name = table["name"]
    if table.get("embedded"):
        return [name]
    if table["kind"] == "date":
        made = [f"{name} ({part})" for part in _named_parts(table)]
    elif table["kind"] == "text":
        made = free_text.names(name, table["words"])
    elif table["kind"] == "category":
        made = [f"{name} = {category}" for category in table["categories"]]
        made += [f"{name} (other)"] * table["other"]
    else:
        made = [f"{name} (hours)" if table["kind"] == "time" else name]
        made += [f"{name} (hour, {side})" for side in _SIDES] if table.get("periodic") else []
    return made + [f"{name} (missing)"] * table["missing"]


def _named_parts(table: Mapping[str, Any]) -> list[str]:
    hour = ["hour"] * table["hours"]
    if not table.get("periodic"):
        return ["days", "month", "weekday", *hour]
    turns = ("month", "day of year", "weekday", *hour)
    return ["days", *(f"{turn}, {side}" for turn in turns for side in _SIDES)]


def _numbers_only(rows: pd.DataFrame | NDArray[Any], features: Sequence[str]) -> NDArray[np.float32]:
    if isinstance(rows, pd.DataFrame):
        check_present(rows, features)
        rows = (rows[list(features)] if features else rows).to_numpy()
    try:
        x = np.asarray(rows).astype(np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"rows: hold text or objects where numbers belong: {error}; give numbers") from error
    if features and (x.ndim not in (2, 3) or x.shape[-1] != len(features)):
        raise DataError(
            f"rows: have shape {x.shape}; give (N, {len(features)}) with the columns {listed(features)}"
        )
    if not np.isfinite(x).all():
        raise DataError("rows: hold NaN or infinite values; fill them in or leave these rows out")
    return x


def check_present(rows: pd.DataFrame, wanted: Sequence[str]) -> None:
    """Check that rows have these columns.

    Raises:
        DataError: they lack some.
    """
    absent = [name for name in wanted if name not in rows.columns]
    if absent:
        raise DataError(
            f"rows: columns are missing: {listed(absent)}; found: {listed([str(c) for c in rows.columns])}"
        )
