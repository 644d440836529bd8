"""Columns: the trials and readings of a study as numpy arrays, a row for each.

What they are searched for is known by name alone; no database, no drawing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuner.core.columns import numbers
from tuner.core.goals import Goals
from tuner.core.trial import Objective, TrialState

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Texts = NDArray[Any]

BEST = ("train_loss", "val_loss", "train_score", "val_score")
READING = (*BEST, "learning_rate", "grad_norm", "seconds")


@dataclass(frozen=True)
class Trials:
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
        weights: (N,) how many weights its network has.
        named: (N,) the best epoch's other numbers that the goals name, by name.
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
    weights: Floats
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

    def take(self, rows: NDArray[Any]) -> Trials:
        """The rows of these indices, or under this mask."""
        return _taken(self, rows)


@dataclass(frozen=True)
class Epochs:
    """A row per reading, sorted by trial and epoch; E rows.

    Attributes:
        row: (E,) the trial's row in `Trials`, not its number.
        epoch: (E,) 1 for the first.
        train_loss: (E,) see `Reading`, as all that follow.
        value: (E,) the first objective's metric.
        extras: (E,) further numbers that the goals name and only some trainers know, by name.
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

    def take(self, rows: NDArray[Any]) -> Epochs:
        """The readings of these indices, or under this mask."""
        return _taken(self, rows)


_Table = TypeVar("_Table", Trials, Epochs)


def others(goals: Goals) -> list[str]:
    """The numbers that goals name beside the first objective and the gap, which is worked out."""
    return [name for name in goals.names if name not in (goals.primary.metric, "gap")]


def extras(goals: Goals) -> list[str]:
    """Those of them that are in no reading of every trainer."""
    return [name for name in others(goals) if name not in READING]


def _taken(table: _Table, rows: NDArray[Any]) -> _Table:
    whole: dict[str, Any] = {each.name: getattr(table, each.name) for each in fields(table)}
    taken: dict[str, Any] = {
        name: {n: c[rows] for n, c in column.items()} if isinstance(column, Mapping) else column[rows]
        for name, column in whole.items()
    }
    return type(table)(**taken)


def readings(columns: Mapping[str, ArrayLike], number: Ints, goals: Goals) -> Epochs:
    """Readings from raw columns, see `Frame.of_columns`; trials not in `number` (N,) are left out."""
    whose = np.asarray(columns.get("number", ()), np.int64)
    epoch = np.asarray(columns.get("epoch", ()), np.int64)
    row = np.searchsorted(number, whose)
    order: Ints | slice = slice(None)
    known = row < len(number)
    known[known] = number[row[known]] == whose[known]
    key = row * (int(epoch.max(initial=0)) + 1) + epoch
    if not known.all() or (np.diff(key) < 0).any():
        by_key = np.argsort(key, kind="stable")
        order = by_key[known[by_key]]
    none = np.full(len(row[order]), np.nan)
    own, metric = {name: f"extras.{name}" for name in extras(goals)}, goals.primary.metric
    keys = (*READING, "value", *own.values())
    read = {each: numbers(columns[each])[order] if each in columns else none for each in keys}
    if "value" not in columns and metric in read:
        read["value"] = read[metric]
    if "value" not in columns and metric == "gap":
        read["value"] = np.maximum(read["val_loss"] - read["train_loss"], 0.0)
    rest = {name: read.pop(key) for name, key in own.items()}
    return Epochs(row=row[order].astype(np.int64), epoch=epoch[order], **read, extras=rest)


def trials(columns: Mapping[str, ArrayLike], epochs: Epochs, goals: Goals) -> Trials:
    """Trials from raw columns and from their readings; see `Frame.of_columns`."""
    number = np.asarray(columns["number"], np.int64)
    state = np.asarray([str(each) for each in np.asarray(columns["state"])], dtype="U8")
    size = len(number)
    bounds = np.searchsorted(epochs.row, np.arange(size + 1))
    over = np.isin(state, [each.value for each in TrialState if each.is_over])
    stored = over | (np.diff(bounds) == 0)
    at = _best_reading(epochs, bounds, goals.primary)  # (N,) rows of `epochs`, -1 for none
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
        value=np.maximum(value, 0.0) if goals.primary.metric == "gap" else value,
        conclusive=given("conclusive", False, bool),
        rule=given("rule", "", object),
        reason=given("reason", "", object),
        epochs=column("epochs", np.diff(bounds), np.int64),
        seconds=column("seconds", np.diff(spent[bounds]), float),
        interruptions=given("interruptions", 0, np.int64),
        started_at=given("started_at", math.nan, float),
        ended_at=given("ended_at", math.nan, float),
        best_epoch=column("best_epoch", read(epochs.epoch.astype(float), 0.0), np.int64),
        weights=given("weights", math.nan, float),
        **{each: column(each, read(getattr(epochs, each)), float) for each in BEST},
        named={each: column(f"best.{each}", read(epochs.named(each)), float) for each in others(goals)},
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
