"""Columns of text that are numbers throughout, written plainly: most columns of most files.

They are told apart in a fraction of the time that reading them in any notation takes, and `parsed` turns
them into numbers once and for all, where nothing but their values is asked for later.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tuner.data import notation
from tuner.data.model_inputs import LARGEST
from tuner.data.options import Options
from tuner.data.threads import each

_SAMPLE = 100
_CODE = r"^0\d+$"
_CODES = 0.005
_GROUPED = r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+$"
_GROUPS = re.compile(_GROUPED)


def parsed(
    columns: dict[str, pd.Series[Any]], rows: NDArray[np.intp], train: NDArray[np.intp], options: Options
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Some rows, with columns of plain numbers as numbers, where they are read as the text would be.

    Columns that the study says something of stay as they are, and so do codes such as 007, numbers such as
    1.234 that could mean two things, and whatever is no number, or none in float32, in any row.

    Args:
        columns: all rows, most of them text; empty in the end, so that each can be freed.
        rows: the wanted ones.
        train: those of them that decide how a column is read, ascending.
        options: what the study says of how columns are read.

    Returns:
        The rows, and how each parsed column votes for the dot as the decimal mark, see `dots`.
    """
    are_told = any((options.missing, options.date_format, options.decimal, options.thousands))
    names = list(columns)

    def of(name: str) -> tuple[Any, int | None]:
        column = columns.pop(name)
        is_left = are_told or name in options.columns or not isinstance(column.dtype, pd.StringDtype)
        found = None if is_left else _parsed(pa.array(column, from_pandas=True), train)
        return (taken(column, rows), None) if found is None else (found[0].take(rows), found[1])

    found = dict(zip(names, each(of, names, len(rows)), strict=True))
    frame = pd.DataFrame({name: values for name, (values, _) in found.items()}, rows, copy=False)
    return frame, {name: vote for name, (_, vote) in found.items() if vote is not None}


def _parsed(texts: Any, train: NDArray[np.intp]) -> tuple[NDArray[np.float64], int] | None:
    values = notation.whole(texts)
    if (
        values is None
        or np.fmax.reduce(values, initial=0.0) > LARGEST
        or np.fmin.reduce(values, initial=0.0) < -LARGEST
    ):
        return None  # those that are too large are told as they are written
    vote = _vote(texts, train)
    return None if vote is None else (values, vote)


def taken(column: pd.Series[Any], rows: NDArray[np.intp]) -> Any:
    """Some values; numpy takes numbers more quickly than pandas does."""
    return (column.to_numpy() if isinstance(column.dtype, np.dtype) else column.array).take(rows)


def _vote(texts: Any, train: NDArray[np.intp]) -> int | None:
    """What `dots` says of these rows; None where they are codes, or could mean two things."""
    head = texts[: train[:_SAMPLE].max(initial=0) + 1]
    if _are_decimal(head.take(pa.array(train[:_SAMPLE]))):
        return 1
    if not bool(pc.any(pc.match_substring(texts, ".")).as_py()) and not len(_with_zeros(texts)):
        return 0
    taken = texts.take(pa.array(train))
    votes, case = dots(taken)
    return None if case is not None or code(taken) is not None else votes


def _are_decimal(head: Any) -> bool:
    """Whether any of these plain numbers has a dot that can be no mark of thousands."""
    return any("." in text and not _GROUPS.match(text) for text in pc.drop_null(head).to_pylist())


def dots(texts: Any) -> tuple[int, str | None]:
    """How many of these plain numbers can have no mark of thousands, and one that can, where all can."""
    if _are_decimal(texts[:_SAMPLE]):
        return 1, None
    grouped = pc.match_substring_regex(texts, _GROUPED)
    count, found = (int(pc.sum(m).as_py() or 0) for m in (grouped, pc.match_substring(texts, ".")))
    if not count or found > count:
        return found - count, None
    return 0, str(texts.filter(pc.fill_null(grouped, False))[0].as_py())


def code(texts: Any) -> str | None:
    """A whole number with zeros in front, where all are whole and that is no slip; else None."""
    if not all(map(str.isdecimal, pc.drop_null(texts[:_SAMPLE]).to_pylist())):
        return None
    coded = _with_zeros(texts)
    if not len(coded) or not bool(pc.all(pc.match_substring_regex(texts, r"^\d+$")).as_py()):
        return None
    sizes = pc.min_max(pc.utf8_length(texts)).as_py()
    same = sizes["min"] == sizes["max"]
    often = len(coded) >= _CODES * (len(texts) - texts.null_count)
    return str(coded[0].as_py()) if same or often else None


def _with_zeros(texts: Any) -> Any:
    """Those that are whole numbers with zeros in front."""
    coded = texts.filter(pc.starts_with(texts, "0"))
    return coded.filter(pc.match_substring_regex(coded, _CODE))
