"""Sequences of rows of a table: those of one id, or windows that move over a series in order of time.

`of_ids` and `windows` make them of the table that a study learns from, `of_rows` of rows to predict, as the
encoding says that a model keeps. Rows are copied once, when they are sorted; sequences only say where in
them each begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.core.data_spec import DataSpec
from tuner.data import encoding
from tuner.data.arrays import Sequences, check_columns
from tuner.data.cells import Cells
from tuner.data.fitting import cells_of
from tuner.data.notes import span
from tuner.data.options import Options
from tuner.data.reading import ColumnReading, ordering
from tuner.errors import DataError

THERE = "there"
"""The name of the last feature of series that are not equally long."""


@dataclass(frozen=True)
class Found:
    """What a table has of sequences.

    Attributes:
        x: the sequences; the columns of `frame` are all of the table's.
        y: the row of `x.frame` whose target is that of each sequence, (N,).
        steps: (N, 2) of windows, the first step of each and that of its target, numbered in order of time;
            None of others, which share no rows.
        notes: what was done, a sentence each.
    """

    x: Sequences
    y: NDArray[np.intp]
    steps: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()


def found(frame: pd.DataFrame, spec: DataSpec, options: Options) -> Found:
    """The sequences that `[data]` asks for, of a table whose rows are the steps.

    Raises:
        DataError: columns are missing, or hold what orders nothing.
    """
    where = spec.source
    check_columns(frame, {"sequence": spec.sequence, "order": spec.order, "time": spec.time}, where)
    told, reading = spec.order or spec.time, None
    if told is not None:
        reading = ordering(frame[told], told, options)
        if reading is None:
            raise DataError(
                f"{where}: {'order' if spec.order else 'time'}: column '{told}' holds values that are "
                "neither numbers nor dates like 2024-12-31; correct them"
            )
    ids = None if spec.sequence is None else frame[spec.sequence]
    times = None if reading is None else reading.values
    order, starts, lengths = _runs(ids, times, where, len(frame))
    sequences = Sequences(frame.iloc[order].reset_index(drop=True), starts, lengths, _kept(spec, reading))
    if spec.window is None:
        return _of_ids(sequences, spec)
    return _windows(sequences, None if times is None else times[order], spec)


def of_rows(rows: Any, how: Mapping[str, Any]) -> Sequences:
    """The sequences of rows to predict: one for each id, or all windows, the last ones too.

    Args:
        rows: a data frame; sequences stay as they are.
        how: the encoding's ``"steps"``.

    Raises:
        DataError: columns are missing, or no window is complete.
    """
    if isinstance(rows, Sequences):
        return rows
    order, name = how["order"], how["sequence"]
    needed = [each for each in (name, order and order["name"]) if each is not None]
    if not isinstance(rows, pd.DataFrame) or not set(needed) <= set(rows.columns):
        raise DataError(
            f"rows: are no table with the columns {', '.join(needed) or 'that the data had'}; "
            "give a data frame with a row for each step"
        )
    times = None
    if order is not None:
        cells = cells_of(rows[order["name"]], order)
        times = (encoding.stamps_of if order["kind"] == "date" else encoding.values_of)(cells, order)
        if not np.isfinite(times).all():
            raise DataError(f"rows: column '{order['name']}' holds values that order nothing; correct them")
    at, starts, lengths = _runs(None if name is None else rows[name], times, "rows", len(rows))
    made = Sequences(rows.iloc[at].reset_index(drop=True), starts, lengths, how)
    if how["window"] is None:
        return made
    places = _places(made, how["window"])
    if not len(places):
        raise DataError(
            f"rows: {len(rows)} rows are fewer than the {how['window']} steps of a window; give more"
        )
    return Sequences(made.frame, places, np.full(len(places), how["window"]), how)


def labels(rows: Any, how: Mapping[str, Any]) -> pd.DataFrame:
    """What each sequence of rows to predict is known by: its id, and the time of its last step."""
    made = of_rows(rows, how["steps"])
    names = [how["steps"]["sequence"], how["steps"]["window"] and (how["steps"]["order"] or {}).get("name")]
    last = made.starts + made.lengths - 1
    return made.frame[[name for name in names if name]].iloc[last].reset_index(drop=True)


def fit(x: Sequences, spec: DataSpec, where: str, options: Options) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Decide how the steps' columns are encoded, see `encoding.fit`; on the steps of training sequences."""
    how, notes = encoding.fit(x.frame.iloc[x.rows()], where, options)
    longest = int(x.lengths.max())
    length = min(longest, spec.length or longest)
    cut = int((x.lengths > length).sum())
    told = (f"{cut} training sequences are longer than {length} steps; their last ones are looked at.",) * (
        cut > 0
    )
    masked = bool(x.lengths.min() < length)
    return {**how, "steps": {**x.how, "length": length, "masked": masked}}, (*notes, *told)


def encode(rows: Any, how: Mapping[str, Any]) -> NDArray[np.float32]:
    """The last steps of each sequence, (N, T, F), zeros behind the end; see `Dataset.masked`."""
    x, steps = of_rows(rows, how["steps"]), how["steps"]
    used, length = x.rows(), steps["length"]
    table = encoding.encode(x.frame.iloc[used], how)
    starts = x.starts + np.maximum(x.lengths - length, 0)
    at = starts[:, None] + np.arange(length)
    there = at < (x.starts + x.lengths)[:, None]
    found: NDArray[np.float32] = table[np.searchsorted(used, np.where(there, at, starts[:, None]))]
    if there.all() and not steps["masked"]:
        return found
    found *= there[:, :, None]
    return np.concatenate([found, there[:, :, None]], axis=2, dtype=np.float32) if steps["masked"] else found


def _kept(spec: DataSpec, reading: ColumnReading | None) -> dict[str, Any]:
    """What `of_rows` has to know."""
    order: dict[str, Any] | None = None
    if reading is not None:
        order = {"name": reading.name, "kind": reading.kind, "notation": asdict(reading.notation)}
        if reading.kind == "date":
            order |= {"first": reading.first, "format": reading.form, "compact": reading.compact}
    return {"sequence": spec.sequence, "order": order, "window": spec.window}


def _runs(
    ids: pd.Series[Any] | None, times: NDArray[np.float64] | None, where: str, count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """The rows ordered by id, and by time within these; where each id begins, and how many rows it has."""
    codes = np.zeros(count, np.intp)
    if ids is not None:
        cells = Cells(ids)
        if cells.missing.any():
            raise DataError(f"{where}: sequence: column '{ids.name}' has missing values; fill them in")
        codes = np.asarray(pd.factorize(cells.labels())[0], np.intp)
    order = np.argsort(codes, kind="stable") if times is None else np.lexsort((times, codes))
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    return order, starts, np.diff(starts, append=count)


def _places(x: Sequences, window: int, beyond: int = 0) -> NDArray[np.intp]:
    """Where windows begin that have so many steps beyond their last one in their own run."""
    counts = np.maximum(x.lengths - window - beyond + 1, 0)
    first = np.repeat(x.starts - np.cumsum(counts) + counts, counts)
    return np.asarray(first + np.arange(counts.sum()), np.intp)


def _of_ids(x: Sequences, spec: DataSpec) -> Found:
    y = x.starts + x.lengths - 1
    goals = x.frame[list(spec.targets)]
    ids = np.repeat(np.arange(len(x)), x.lengths)
    there = np.flatnonzero(~goals.isna().any(axis=1).to_numpy(bool))
    y[ids[there]] = there  # rows are in their order, so the last one stays
    differs = int((goals.groupby(ids).nunique() > 1).any(axis=1).sum())
    notes = [f"{len(x)} sequences of {span(x.lengths)} steps, one for each '{spec.sequence}'."]
    if differs:
        notes.append(f"The target differs within {differs} sequences: that of the last step is taken.")
    return Found(x, y, None, tuple(notes))


def _windows(x: Sequences, times: NDArray[np.float64] | None, spec: DataSpec) -> Found:
    assert spec.window is not None and times is not None  # noqa: S101, PT018 - the spec's own check
    inside = np.ones(len(times), bool)
    inside[x.starts] = False
    spans = np.diff(times, prepend=times[0])[inside]
    if (spans == 0).any():
        more = "" if spec.sequence else ', or name what tells several series apart: sequence = "<column>"'
        raise DataError(
            f"{spec.source}: window: several rows have the same '{spec.time}'; leave one of them{more}"
        )
    places = _places(x, spec.window, spec.horizon)
    if not len(places):
        raise DataError(
            f"{spec.source}: window: no series has {spec.window + spec.horizon} rows, as many as a window of "
            f"{spec.window} and its target need; lower window"
        )
    y = places + spec.window - 1 + spec.horizon
    numbers = np.unique(times, return_inverse=True)[1].astype(np.int64)
    notes = [
        f"{len(places)} windows of {spec.window} steps; what is predicted is "
        f"{', '.join(map(repr, spec.targets))} {spec.horizon} step{'s' * (spec.horizon > 1)} later."
    ]
    if len(spans) and spans.max() > 1.5 * np.median(spans):
        notes.append("The rows are not evenly spaced in time; a step is a row, whatever time has passed.")
    windows = Sequences(x.frame, places, np.full(len(places), spec.window), x.how)
    return Found(windows, y, np.stack([numbers[places], numbers[y]], axis=1), tuple(notes))
