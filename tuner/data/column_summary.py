"""What each column of a table is read as and what becomes of it, for `tune check`.

Looks at training rows alone, as all that is fitted does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from tuner.core.dataset import Dataset, Task
from tuner.data import texts
from tuner.data.arrays import Sequences
from tuner.data.encoding import Described, encode, fit, names
from tuner.data.fitting import folded
from tuner.data.model_inputs import finite
from tuner.data.resampling import SearchRows

REMARKS: Mapping[str, str] = {
    "constant": "one value only",
    "distinct": "differs in every row",
    "wordless": "no words that come again",
    "id": "numbers the rows",
    "counts": "counts up with the rows",
    "dropped": "as the study says",
    "stray": "not numbers",
    "odd": "not read",
    "unread": "no numbers or dates",
    "partly": "numbers among words",
    "unordered": "not in the order",
    "open_number": "could be another number",
    "open_date": "could be another date",
    "sentinel": "may stand for missing",
    "codes": "zeros in front",
    "named": "may be codes",
    "merged": "taken for one",
}
"""What is remarkable of a column, by the kind of note; other notes only say how it is encoded."""

FORETELLS = "alone predicts the target; is it known beforehand?"

_LEAST_ROWS = 40
_SURE = 0.98


def examples(data: Dataset) -> list[str]:
    """Some training texts and what becomes of them, a line each; none of other inputs."""
    rows = data.resampling
    if not isinstance(rows, SearchRows) or not isinstance(rows.x, pd.Series):
        return []
    return texts.examples(rows.x.iloc[rows.train], data.encoding["text"])


@dataclass(frozen=True)
class ColumnSummary:
    """One column of a table.

    Attributes:
        name: the column's.
        kind: number, date, time, boolean, ordinal or category; text of free text.
        missing: how many training rows have no value.
        distinct: how many different values there are.
        example: the first value as it is written; empty where there is none.
        inputs: how many inputs of the network come of it; 0: it is left out.
        remarks: what looks odd, or why it is left out.
        embedded: whether each category may have an embedding, in place of these inputs.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    example: str
    inputs: int
    remarks: tuple[str, ...] = ()
    embedded: bool = False


def summarize(data: Dataset, seen: list[Described] | None = None) -> list[ColumnSummary]:
    """Every column of the table that a dataset was made of, in its order; none where it was no table.

    Of sequences the columns of their steps. The rows as they were stand in its `resampling`.

    Args:
        data: the dataset.
        seen: how its columns were read, see `encoding.fit`; they are read again where that is not known.
    """
    rows = data.resampling
    if not isinstance(rows, SearchRows) or not isinstance(rows.x, pd.DataFrame | Sequences):
        return []
    how, x = data.encoding, data.train.x
    if not seen:  # of folds the dataset is that of the first one
        if isinstance(rows.x, Sequences):
            raw = rows.x.frame.iloc[rows.x[rows.train].rows()]
        else:
            raw = rows.x.iloc[rows.train]
        how, _ = fit(raw, rows.where, rows.options, seen := [])
        x = encode(raw, how)
    tables = {table["name"]: table for table in how["columns"]}
    ends = np.cumsum([len(names({"columns": [table]})) for table in tables.values()]).tolist()
    parts = {name: x[:, a:b] for name, (a, b) in zip(tables, pairwise([0, *ends]), strict=True)}
    y, mixed = rows.y[rows.train], np.random.default_rng(0).permutation(len(rows.train))
    named = [(each, each.reading.name) for each in seen]
    leaks = {
        name
        for name, x in parts.items()
        if isinstance(rows.x, pd.DataFrame) and _foretells(x, tables[name], y, rows.task, mixed)
    }
    return [_summary(each, tables.get(name), parts.get(name), name in leaks) for each, name in named]


def _summary(
    seen: Described, table: Mapping[str, Any] | None, x: NDArray[np.float32] | None, foretells: bool
) -> ColumnSummary:
    """Of one column, which is encoded so, (N, inputs); None where it is left out."""
    reading, notes = seen.reading, seen.notes
    labels = reading.cells.array()
    known = pc.drop_null(labels)
    remarks = [_remark(kind, told) for kind, told in notes.found.items() if kind in REMARKS]
    remarks += [FORETELLS] * foretells
    return ColumnSummary(
        name=reading.name,
        kind="text" if "wordless" in notes.found else reading.kind if table is None else table["kind"],
        missing=int(np.isnan(finite(reading.values)).sum())
        if reading.values is not None
        else labels.null_count,
        distinct=len(pc.unique(folded(pc.unique(known)))),
        example=known[0].as_py() if len(known) else "",
        inputs=0 if x is None else x.shape[1],
        remarks=tuple(remarks),
        embedded=table is not None and "embedding" in table,
    )


def _remark(kind: str, told: list[str]) -> str:
    """A note on one column without its name, which stands beside it."""
    _, _, detail = told[0].partition(" (")
    return f"{REMARKS[kind]}: {detail.removesuffix(')')}" if detail else REMARKS[kind]


def _foretells(
    x: NDArray[np.float32], table: Mapping[str, Any], y: NDArray[Any], task: Task, mixed: NDArray[np.intp]
) -> bool:
    """Whether rows whose values of a column are nearest share the target."""
    if len(y) < _LEAST_ROWS or y.ndim > 1:
        return False
    values = x.argmax(axis=1) if table["kind"] == "category" else x[:, 0]
    nearest = y[_nearest(values, mixed)]
    if task is Task.REGRESSION:
        # Half the mean squared difference of two draws is their variance.
        left = float(np.mean((y - nearest) ** 2)) / 2
        spread = float(np.var(y))
    else:
        left, spread = float(np.mean(y != nearest)), 1 - float(np.bincount(y).max()) / len(y)
    return left < (1 - _SURE) * spread


def _nearest(values: NDArray[Any], mixed: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of each row the other one whose value is nearest; (N,).

    Of those with the same value it is the next in a mixed order of the rows: tables are often sorted by the
    target.
    """
    order = mixed[np.argsort(values[mixed], kind="stable")]
    steps = np.diff(values[order].astype(np.float64))
    before, after = np.r_[np.inf, steps], np.r_[steps, np.inf]
    at = np.arange(len(values)) + np.where(after <= before, 1, -1)
    found = np.empty(len(values), np.intp)
    found[order] = order[at]
    return found
