"""What rows hold that a model's training rows did not: told to whoever predicts them.

`encode` fills such values in silently, as it must for validation and test rows; `tell` logs them as warnings.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.core.dataset import UNKNOWN
from tuner.data import texts
from tuner.data.arrays import by_name, part_of
from tuner.data.cells import Cells
from tuner.data.encoding import codes_of, stamps_of, values_of
from tuner.data.fitting import cells_of
from tuner.data.model_inputs import finite
from tuner.data.notes import listed
from tuner.data.words import MISSING

_LOG = logging.getLogger(__name__)
_SHOWN = 3
_KINDS = {"date": "dates", "time": "times", "boolean": "true or false", "ordinal": "one of the order"}
_MUTE: ContextVar[bool] = ContextVar("mute", default=False)


@contextmanager
def untold() -> Iterator[None]:
    """Let models predict without a word about what is new to them, as judging does."""
    token = _MUTE.set(True)
    try:
        yield
    finally:
        _MUTE.reset(token)


def tell(rows: Any, encoding: Mapping[str, Any]) -> None:
    """Log what is new in rows, a warning each."""
    if _MUTE.get():
        return
    parts = encoding.get("parts", ())
    given = by_name(rows, [part["name"] for part in parts])
    for part in parts:
        tell(part_of(given, part["name"]), part["how"])
    if "text" in encoding:
        x = texts.encode(rows, encoding["text"])
        if foreign := int((x <= UNKNOWN).all(axis=1).sum()):
            _LOG.warning("text: %d of %d rows hold no token that training knew", foreign, len(x))
    elif isinstance(rows, pd.DataFrame):
        for sentence in unseen(rows, encoding):
            _LOG.warning("%s", sentence)


def unseen(rows: pd.DataFrame, encoding: Mapping[str, Any]) -> list[str]:
    """What is new in raw rows, a sentence for each column and kind of it.

    Args:
        rows: the rows; columns that are missing are `encode`'s affair.
        encoding: how the training rows were encoded, see `encoding.fit`.
    """
    tables = [table for table in encoding.get("columns", ()) if table["name"] in rows.columns]
    return [sentence for table in tables for sentence in _of_column(rows[table["name"]], table)]


def _of_column(raw: pd.Series[Any], table: Mapping[str, Any]) -> Iterator[str]:
    cells, kind, name = cells_of(raw, table), table["kind"], table["name"]
    gone = Cells(raw, table.get("absent", ()), MISSING).missing
    odd = np.zeros(len(cells), bool)
    what = then = ""
    if kind == "text":  # any text has words, known or not
        pass
    elif kind == "category":
        codes, gone = codes_of(cells, table)
        odd = codes < 0
        what = "which training never had" + (", or rarely" if table["other"] else "")
        then = "they count as rare categories" if table["other"] else "they count as none of the known ones"
    else:
        read = stamps_of(cells, table) if kind == "date" else finite(values_of(cells, table))
        odd, what = np.isnan(read), f"which cannot be read as {_KINDS.get(kind, 'numbers')}"
        then = "the training median is taken"
    odd = odd & ~gone
    if odd.any():
        yield f"column '{name}': {_rows(odd)} {_examples(raw[odd])}, {what}; {then}"
    if gone.any() and not table["missing"]:
        taken = {"category": "none of the categories", "text": "no word"}.get(kind, "the training median")
        lack = f"{_rows(gone, 'no value')}, of which training had none"
        yield f"column '{name}': {lack}; {taken} is taken"


def _rows(where: NDArray[np.bool_], what: str = "") -> str:
    count = int(where.sum())
    return f"{count} row{'s hold' if count > 1 else ' holds'}{' ' if what else ''}{what}"


def _examples(values: pd.Series[Any]) -> str:
    return listed(dict.fromkeys(repr(str(value)) for value in values), _SHOWN)
