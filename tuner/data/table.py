"""CSV and Parquet files, read into data frames.

Leaves every CSV value as the text it was, so that no row changes how another one is read.
"""

from __future__ import annotations

import csv
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from pandas.errors import EmptyDataError, ParserError, ParserWarning

from tuner.core.data_spec import DataSpec
from tuner.data import dialect
from tuner.data.dialect import Dialect
from tuner.data.words import TOTALS
from tuner.errors import DataError

ENDINGS = ("csv", "tsv", "txt", "dat", "data")
"""How names of text files end."""

_BLOCK = 1 << 20
"""Bytes that are parsed at once; no row may be longer."""


def read_csv(path: Path, spec: DataSpec) -> tuple[pd.DataFrame, Dialect]:
    """Read a CSV file; values stay text, or NaN where a field is empty.

    Returns:
        The rows, and how the file is written.

    Raises:
        DataError: not text, not CSV, or no rows.
    """
    where = spec.source
    try:
        found = dialect.detect(path, spec)
        is_plain = found.separator != " " and not found.padded
        frame = _with_arrow(path, found) if is_plain else _with_pandas(path, found)
    except UnicodeError as error:
        raise DataError(
            f"{where}: is not {found.encoding} text: {error}; give its encoding in [data]"
        ) from error
    except (pa.ArrowInvalid, ParserError, EmptyDataError, ParserWarning, csv.Error) as error:
        told = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise DataError(
            f"{where}: is not a CSV file with equally long rows: {told}; correct the file"
        ) from error
    except OSError as error:
        raise DataError(f"{where}: cannot be read: {error.strerror or error}") from error
    frame, notes = _values_only(frame)
    return frame, replace(found, notes=(*found.notes, *notes))


def read_parquet(path: Path, where: str) -> pd.DataFrame:
    """Read a Parquet file.

    Raises:
        DataError: it is none.
    """
    try:
        return pd.read_parquet(path).reset_index(drop=True)
    except (OSError, ValueError) as error:
        told = " ".join(str(error).split())
        raise DataError(
            f"{where}: is not a Parquet file: {told}; give a .parquet, .csv or .npz file"
        ) from error


def _with_arrow(path: Path, found: Dialect) -> pd.DataFrame:
    """Quickly: on all cores, and strings are not made Python objects."""
    is_utf8 = found.encoding in ("utf-8", "utf-8-sig")
    if found.quotes % 2:  # one is not closed; Arrow would take all that follows for one field
        return _with_pandas(path, found)
    try:
        rows = pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(
                column_names=_labels(found.names),
                skip_rows=found.skip,
                block_size=_BLOCK,
                encoding="utf8" if is_utf8 else found.encoding,
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=found.separator,
                quote_char='"' if found.quotes else False,
                newlines_in_values=found.quotes > 0,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(_labels(found.names), pa.large_string()),
                null_values=[""],
                strings_can_be_null=True,
                check_utf8=not found.is_valid,
            ),
            memory_pool=_pool(),
        )
    except (
        pa.ArrowInvalid
    ):  # rows of unequal length: pandas fills short ones, and says which line is too long
        return _with_pandas(path, found)
    if found.has_blanks:
        rows = pa.table({name: _without_blanks(rows[name]) for name in rows.column_names})
    frame: pd.DataFrame = rows.to_pandas(split_blocks=True)
    frame.columns = pd.Index(found.names)
    return frame


def _pool() -> pa.MemoryPool:
    """The one that takes pages of the usual size: to clear huge ones took a third of the reading."""
    try:
        return pa.jemalloc_memory_pool()
    except NotImplementedError:
        return pa.default_memory_pool()


def _with_pandas(path: Path, found: Dialect) -> pd.DataFrame:
    """Slowly, but blanks around fields are allowed and unequal rows are understood."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ParserWarning)
        frame = pd.read_csv(
            path,
            sep=r"\s+" if found.separator == " " else found.separator,
            encoding=found.encoding,
            header=None,
            names=_labels(found.names),
            skiprows=found.skip,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            skipinitialspace=True,
            index_col=False,
        )
    frame.columns = pd.Index(found.names)
    return frame


def _labels(names: tuple[str, ...]) -> list[str]:
    """Stand-ins for names, of which two may be the same; that is refused later, in plain words."""
    return [str(i) for i in range(len(names))]


def _without_blanks(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Without blanks before the values, as pandas reads them."""
    starts = pc.starts_with(column, " ")
    if not pc.any(starts).as_py():
        return column
    trimmed = pc.utf8_ltrim(column, " ")
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)


def _values_only(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Without rows that are none, and what is told of them.

    These are comments (a first field that begins with ``#``, and no other), the header once more, and a last
    row of totals.
    """
    first, others = frame.iloc[:, 0], frame.iloc[:, 1:]
    notes = []
    gone = first.str.startswith("#", na=False).to_numpy(bool)
    gone = gone & others.isna().all(axis=1).to_numpy(bool) & (not others.empty) if gone.any() else gone.copy()
    again = np.flatnonzero((first == frame.columns[0]).fillna(False).to_numpy(bool)).tolist()
    again = [at for at in again if [str(value).strip() for value in frame.iloc[at]] == [*frame.columns]]
    if again:
        notes.append(f"Rows that repeat the header are left out: {len(again)}.")
    last = [str(value).strip(" :").lower() for value in frame.iloc[-1]] if len(frame) else []
    total = next((i for i, word in enumerate(last[:-1]) if word in TOTALS), None)
    if total is not None and frame.iloc[:-1, total].str.lower().isin(TOTALS).sum() == 0:
        notes.append(f"The last row is left out, as it holds totals: {frame.iloc[-1, total]!r}.")
        again.append(len(frame) - 1)
    gone[again] = True
    return (frame[~gone].reset_index(drop=True) if gone.any() else frame), notes
