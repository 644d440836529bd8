"""A study's trials and readings as numpy arrays, a row for each; `core.frame` holds them together.

`nan` and `""` stand for "none", and `nan` also for numbers that are not finite or beyond `LARGEST`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuner.core.objectives import Objectives
from tuner.core.reading_columns import ReadingColumns
from tuner.core.space import Choice, SearchSpace, text_of
from tuner.core.trial import Objective, Origin, Params, Reading, TrialRecord, TrialState

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Texts = NDArray[Any]

BEST = ("train_loss", "val_loss", "train_score", "val_score")
READING = (*BEST, "learning_rate", "grad_norm", "seconds")


LARGEST = 1e100
"""Numbers beyond are taken for "none", by verdicts, too: no axis holds them, and sums and squares of the
others are finite."""


@dataclass(frozen=True)
class _Rows:
    def take(self, rows: NDArray[Any]) -> Self:
        """The rows of these indices, or under this mask."""
        kind: Any = type(self)
        whole = {each.name: getattr(self, each.name) for each in fields(self)}
        taken: Self = kind(
            **{
                name: {n: c[rows] for n, c in column.items()} if isinstance(column, Mapping) else column[rows]
                for name, column in whole.items()
            }
        )
        return taken


@dataclass(frozen=True)
class Trials(_Rows):
    """A row per trial, in the order of numbers; N rows.

    Attributes:
        number: (N,) trial numbers; 0 is the default configuration.
        state: (N,) values of `TrialState`.
        value: (N,) the best epoch's metric so far.
        conclusive: (N,) whether the value stands; see `Stop.conclusive`.
        rule: (N,) what stopped it.
        reason: (N,) why, in words.
        epochs: (N,) epochs trained.
        seconds: (N,) time spent training.
        interruptions: (N,) how often it was started again.
        started_at: (N,) UTC, seconds since 1970.
        ended_at: (N,) likewise.
        best_epoch: (N,) the best epoch; 0 for none.
        train_loss: (N,) at the best epoch, as the three that follow.
        imported: (N,) which trials were trained elsewhere; see `Origin`.
        named: (N,) the best epoch's other numbers by name: those that the objectives name, and further
            ones of the trainer's own.
    """

    number: Ints
    state: Texts
    value: Floats
    conclusive: Bools
    rule: Texts
    reason: Texts
    epochs: Ints
    seconds: Floats
    interruptions: Ints
    started_at: Floats
    ended_at: Floats
    best_epoch: Ints
    train_loss: Floats
    val_loss: Floats
    train_score: Floats
    val_score: Floats
    imported: Bools
    named: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.number)

    @property
    def gap(self) -> Floats:
        """(N,) val_loss - train_loss at the best epoch."""
        return self.val_loss - self.train_loss

    def is_(self, *states: TrialState) -> Bools:
        """(N,) which trials are in one of these states."""
        return np.isin(self.state, [state.value for state in states])


@dataclass(frozen=True)
class Epochs(_Rows):
    """A row per reading, sorted by trial and epoch; E rows.

    Attributes:
        row: (E,) the trial's row in `Trials`, not its number.
        epoch: (E,) 1 for the first.
        train_loss: (E,) see `Reading`, as all that follow.
        value: (E,) the first objective's metric.
        extras: (E,) further numbers that only some trainers know, by name.
    """

    row: Ints
    epoch: Ints
    train_loss: Floats
    val_loss: Floats
    train_score: Floats
    val_score: Floats
    learning_rate: Floats
    grad_norm: Floats
    seconds: Floats
    value: Floats
    extras: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.row)

    def named(self, name: str) -> Floats:
        """(E,) one of the numbers."""
        column: Floats = self.extras[name] if name in self.extras else getattr(self, name)
        return column


def others(objectives: Objectives) -> list[str]:
    """The numbers that objectives name beside the first objective and the gap, which is worked out."""
    return [name for name in objectives.names if name not in (objectives.primary.metric, "gap")]


def extras(objectives: Objectives, readings: ReadingColumns | None = None) -> list[str]:
    """Those of them that are in no reading of every trainer, and what these readings have beside."""
    names = dict.fromkeys((*others(objectives), *(readings.numbers if readings is not None else ())))
    return [name for name in names if name not in (*READING, objectives.primary.metric, "gap")]


def epochs(readings: ReadingColumns, number: Ints, objectives: Objectives) -> Epochs:
    """Readings in the order of trials and epochs; those of trials not in `number` (N,) are left out."""
    epoch = readings.epoch
    order: Ints | slice = slice(None)
    # A trial's readings mostly stand together: it is looked up once for all of them.
    starts = np.flatnonzero(np.diff(readings.number, prepend=-1))
    theirs, lengths = readings.number[starts], np.diff(starts, append=len(epoch))
    found = np.searchsorted(number, theirs)
    known = np.append(number, -1)[found] == theirs
    row = np.repeat(found, lengths)
    key = row * (int(epoch.max(initial=0)) + 1) + epoch
    if not known.all() or (np.diff(key) < 0).any():
        by_key = np.argsort(key, kind="stable")
        order = by_key[np.repeat(known, lengths)[by_key]]
    further = extras(objectives, readings)
    read = {
        name: numbers(readings.get(name))[order] for name in (*READING, objectives.primary.metric, *further)
    }
    value = read[objectives.primary.metric]
    return Epochs(
        row=row[order].astype(np.int64, copy=False),
        epoch=epoch[order],
        value=np.maximum(value, 0.0) if objectives.primary.metric == "gap" else value,
        extras={name: read[name] for name in further},
        **{name: read[name] for name in READING},
    )


def of_curves(curves: Mapping[int, Sequence[Reading]], objectives: Objectives) -> ReadingColumns:
    """Curves by trial number, as columns."""
    each = [(number, reading) for number, curve in curves.items() for reading in curve]
    own = (name for _, reading in each for name in reading.own)
    names = dict.fromkeys((*READING, objectives.primary.metric, *extras(objectives), *own))
    return ReadingColumns(
        np.array([number for number, _ in each], np.int64),
        np.array([reading.epoch for _, reading in each], np.int64),
        {name: np.array([r.get(name) for _, r in each], np.float64) for name in names if name != "gap"},
    )


def of_records(records: Sequence[TrialRecord], objectives: Objectives) -> dict[str, ArrayLike]:
    """Trials in the order of numbers, as `trials` takes them."""
    found = of_rows(records)
    found["best_epoch"] = [each.best.epoch if each.best else 0 for each in records]
    at_best = {**{name: name for name in BEST}, **{f"best.{name}": name for name in others(objectives)}}
    for key, name in at_best.items():
        found[key] = [each.best.get(name) if each.best else math.nan for each in records]
    return found


def of_rows(rows: Sequence[Any]) -> dict[str, ArrayLike]:
    """What records of trials and their rows in the store alike say, as `trials` takes it."""
    plain = ("number", "state", "conclusive", "epochs", "seconds", "interruptions")
    found: dict[str, ArrayLike] = {name: [getattr(each, name) for each in rows] for name in plain}
    found["value"] = [math.nan if each.value is None else each.value for each in rows]
    found["imported"] = [each.origin == Origin.IMPORTED for each in rows]
    found |= {name: [getattr(each, name) or "" for each in rows] for name in ("rule", "reason")}
    found |= {name: moments([getattr(each, name) for each in rows]) for name in ("started_at", "ended_at")}
    return found


def trials(columns: Mapping[str, ArrayLike], epochs: Epochs, objectives: Objectives) -> Trials:
    """Trials from raw columns and from their readings; see `Frame.of_columns`."""
    number = np.asarray(columns["number"], np.int64)
    state = np.asarray([str(each) for each in np.asarray(columns["state"])], dtype="U8")
    size = len(number)
    bounds = np.searchsorted(epochs.row, np.arange(size + 1))
    over = np.isin(state, [each.value for each in TrialState if each.is_over])
    stored = over | (np.diff(bounds) == 0)
    at = _best_reading(epochs, bounds, objectives.primary)  # (N,) rows of `epochs`, -1 for none
    has = at >= 0

    def read(column: Floats, empty: float = math.nan) -> Floats:
        found = np.full(size, empty)
        found[has] = column[at[has]]
        return found

    def column(name: str, so_far: NDArray[Any], kind: Any) -> NDArray[Any]:
        """What is stored of trials that are over or have no readings, else what the readings say."""
        if name not in columns:
            return so_far.astype(kind)
        known = numbers(columns[name]) if kind is float else np.asarray(columns[name], dtype=kind)
        return np.where(stored, known, so_far.astype(kind))

    def given(name: str, empty: Any, kind: Any) -> NDArray[Any]:
        return np.asarray(columns[name], dtype=kind) if name in columns else np.full(size, empty, dtype=kind)

    value = column("value", read(epochs.value), float)
    spent = np.concatenate([[0.0], np.cumsum(np.nan_to_num(epochs.seconds))])
    return Trials(
        number=number,
        state=state,
        value=np.maximum(value, 0.0) if objectives.primary.metric == "gap" else value,
        conclusive=given("conclusive", False, bool),
        rule=given("rule", "", object),
        reason=given("reason", "", object),
        epochs=column("epochs", np.diff(bounds), np.int64),
        seconds=column("seconds", np.diff(spent[bounds]), float),
        interruptions=given("interruptions", 0, np.int64),
        started_at=given("started_at", math.nan, float),
        ended_at=given("ended_at", math.nan, float),
        best_epoch=column("best_epoch", read(epochs.epoch.astype(float), 0.0), np.int64),
        imported=given("imported", False, bool),
        **{each: column(each, read(getattr(epochs, each)), float) for each in BEST},
        named={
            each: column(f"best.{each}", read(epochs.named(each)), float)
            for each in dict.fromkeys((*others(objectives), *epochs.extras))
        },
    )


def _best_reading(epochs: Epochs, bounds: Ints, objective: Objective) -> Ints:
    """The row of each trial's first reading with the best finite metric, -1 for none; see `Objective`."""
    found = np.full(len(bounds) - 1, -1, dtype=np.int64)
    filled = np.flatnonzero(np.diff(bounds))
    if not len(filled):
        return found
    loss = epochs.value if objective.minimize else -epochs.value
    loss = np.where(np.isfinite(loss), loss, np.inf)
    lowest = np.minimum.reduceat(loss, bounds[filled])
    is_lowest = (loss == np.repeat(lowest, np.diff(bounds)[filled])) & np.isfinite(loss)
    if objective.metric == "gap":
        loss = np.where(is_lowest, epochs.val_loss, np.inf)
        lowest = np.minimum.reduceat(loss, bounds[filled])
        is_lowest &= loss == np.repeat(lowest, np.diff(bounds)[filled])
    rows = np.flatnonzero(is_lowest)
    trials, first = np.unique(epochs.row[rows], return_index=True)
    found[trials] = rows[first]
    return found


def numbers(values: ArrayLike | Sequence[float | None]) -> NDArray[np.float64]:
    """A column of numbers, `nan` for None and for what is not finite or beyond `LARGEST`."""
    # One of the store's columns may be every eighth number of a table.
    found = np.ascontiguousarray(values, dtype=np.float64)
    if len(found) and max(found.max(), -found.min()) < LARGEST:
        return found
    return np.where(np.abs(found) < LARGEST, found, np.nan)


def param_columns(space: SearchSpace, params: Sequence[Params]) -> dict[str, NDArray[Any]]:
    """Each searched parameter as a column (N,).

    Returns:
        Numbers as floats, `nan` where not active; choices as text, `""` where not active.
    """
    columns: dict[str, NDArray[Any]] = {}
    for name, parameter in space:
        if isinstance(parameter, Choice):
            texts = ["" if each.get(name) is None else text_of(each[name]) for each in params]
            columns[name] = np.array(texts, dtype=object)
        else:
            columns[name] = np.array([each.get(name, math.nan) for each in params], dtype=np.float64)
    return columns


def moments(texts: Sequence[str | None]) -> NDArray[np.float64]:
    """UTC times as ISO 8601 has them, in seconds since 1970; `nan` for none."""
    return np.array([_moment(text) if text else math.nan for text in texts], dtype=np.float64)


def _moment(text: str) -> float:
    read = datetime.fromisoformat(text)
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
