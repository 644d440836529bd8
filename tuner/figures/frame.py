"""Frame: a study as columns, what every figure's data half takes.

Knows no database and no drawing. Columns are numpy arrays; `nan` and `""` stand for "none", and `nan`
also for numbers that are not finite or beyond 1e100.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuner.core.columns import moments, numbers, param_columns
from tuner.core.space import SearchSpace
from tuner.core.trial import Objective, Reading, TrialRecord, TrialState

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Texts = NDArray[Any]

_BEST = ("train_loss", "val_loss", "train_score", "val_score")
_READING = (*_BEST, "learning_rate", "grad_norm", "seconds")


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

    def __len__(self) -> int:
        return len(self.number)

    @property
    def gap(self) -> Floats:
        """(N,) val_loss - train_loss at the best epoch."""
        return self.val_loss - self.train_loss

    def is_(self, *states: TrialState) -> Bools:
        """(N,) which trials are in one of these states."""
        return np.isin(self.state, [state.value for state in states])

    def take(self, rows: NDArray[Any]) -> Self:
        """The rows of these indices, or under this mask."""
        return type(self)(*(getattr(self, each.name)[rows] for each in fields(self)))


@dataclass(frozen=True)
class Epochs:
    """A row per reading, sorted by trial and epoch; E rows.

    Attributes:
        row: (E,) the trial's row in `Trials`, not its number.
        epoch: (E,) 1 for the first.
        train_loss: (E,) see `Reading`, as all that follow.
        value: (E,) the objective's metric.
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

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: NDArray[Any]) -> Self:
        """The readings of these indices, or under this mask."""
        return type(self)(*(getattr(self, each.name)[rows] for each in fields(self)))


@dataclass(frozen=True)
class Frame:
    """A study as columns.

    Attributes:
        name: the study's name, as the user wrote it.
        space: what was searched.
        objective: what for.
        trials: a row per trial.
        epochs: a row per reading.
        params: per searched parameter a column (N,): numbers with `nan`, or choices as text with `""`,
            where it is not active.
        selected: numbers of the trials that figures bring out.
        importances: shares per parameter, the highest first, by what they explain: ``"value"``, ``"gap"``.
        beside: further studies to compare with.
    """

    name: str
    space: SearchSpace
    objective: Objective
    trials: Trials
    epochs: Epochs
    params: Mapping[str, NDArray[Any]]
    selected: frozenset[int] = frozenset()
    importances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    beside: tuple[Frame, ...] = ()

    @classmethod
    def of(
        cls,
        records: Sequence[TrialRecord],
        curves: Mapping[int, Sequence[Reading]],
        space: SearchSpace,
        objective: Objective,
        name: str = "",
    ) -> Self:
        """A frame of core's values.

        Args:
            records: every trial, in any order.
            curves: readings by trial number; those of trials that are not recorded are left out.
            space: what was searched.
            objective: what for.
            name: the study's name.
        """
        records = sorted(records, key=lambda record: record.number)
        trials: dict[str, ArrayLike] = {
            each: [getattr(record, each) for record in records]
            for each in ("number", "state", "conclusive", "epochs", "seconds", "interruptions")
        }
        trials["value"] = [math.nan if record.value is None else record.value for record in records]
        trials["best_epoch"] = [record.best.epoch if record.best else 0 for record in records]
        for each in ("rule", "reason"):
            trials[each] = [getattr(record, each) or "" for record in records]
        for each in ("started_at", "ended_at"):
            trials[each] = moments([getattr(record, each) for record in records])
        for each in _BEST:
            trials[each] = [getattr(record.best, each) if record.best else math.nan for record in records]
        known = [(record.number, reading) for record in records for reading in curves.get(record.number, ())]
        epochs: dict[str, ArrayLike] = {
            each: [getattr(reading, each) for _, reading in known] for each in ("epoch", *_READING)
        }
        epochs["number"] = [number for number, _ in known]
        epochs["value"] = [reading.get(objective.metric) for _, reading in known]
        params = param_columns(space, [record.params for record in records])
        return cls.of_columns(trials, epochs, params, space, objective, name)

    @classmethod
    def of_columns(
        cls,
        trials: Mapping[str, ArrayLike],
        epochs: Mapping[str, ArrayLike],
        params: Mapping[str, NDArray[Any]],
        space: SearchSpace,
        objective: Objective,
        name: str = "",
    ) -> Self:
        """A frame of raw columns, without a single object per trial or reading.

        Args:
            trials: columns as in `Trials`, in the order of numbers. ``number`` and ``state`` are
                needed; of what is left out, value, best epoch, its numbers, epochs and seconds come
                from the readings, as they do for trials that are not over.
            epochs: columns as in `Epochs`, with ``number`` in place of ``row``, in any order. What is
                left out is `nan`; ``value`` is the column that the objective names.
            params: see `param_columns`.
            space: what was searched.
            objective: what for.
            name: the study's name.
        """
        number = np.asarray(trials["number"], np.int64)
        readings = _readings(epochs, number, objective.metric)
        return cls(name, space, objective, _trials(trials, readings, objective), readings, params)

    def __len__(self) -> int:
        return len(self.trials)

    def where(self, mask: Bools) -> Frame:
        """The study as if it had only the trials under this mask (N,); trial numbers stay."""
        if mask.all():
            return self
        rows = np.cumsum(mask) - 1
        kept = self.epochs.take(mask[self.epochs.row])
        return replace(
            self,
            trials=self.trials.take(mask),
            epochs=replace(kept, row=rows[kept.row]),
            params={name: column[mask] for name, column in self.params.items()},
        )

    def only(self, numbers: Iterable[int]) -> Frame:
        """The study as if it had only the trials of these numbers."""
        return self.where(np.isin(self.trials.number, list(numbers)))

    def selecting(self, numbers: Iterable[int]) -> Frame:
        """The same study with these trials brought out."""
        return replace(self, selected=frozenset(numbers))

    @cached_property
    def is_selected(self) -> Bools:
        """(N,) which trials are brought out."""
        return np.isin(self.trials.number, list(self.selected))

    @cached_property
    def standing(self) -> Bools:
        """(N,) which trials may be the best: those whose value stands, else all that have one."""
        valued = np.isfinite(self.trials.value) & ~self.trials.is_(TrialState.FAILED)
        standing = valued & self.trials.conclusive
        return standing if standing.any() else valued

    @cached_property
    def loss(self) -> Floats:
        """(N,) the value so signed that less of it is better."""
        return self.trials.value if self.objective.minimize else -self.trials.value

    @cached_property
    def ranking(self) -> Ints:
        """Rows of the trials that may be the best, the best first."""
        rows = np.flatnonzero(self.standing)
        return rows[np.argsort(self.loss[rows], kind="stable")]

    @property
    def best(self) -> int | None:
        """The row of the best trial."""
        return int(self.ranking[0]) if len(self.ranking) else None

    @cached_property
    def bounds(self) -> Ints:
        """(N + 1,) where each trial's readings start and end in `epochs`."""
        return np.searchsorted(self.epochs.row, np.arange(len(self) + 1)).astype(np.int64)

    @cached_property
    def by_epoch(self) -> Ints:
        """(E,) rows of `epochs` in the order of epochs."""
        epoch = self.epochs.epoch
        # Short integers are sorted by radix, many times faster.
        short = epoch.astype(np.uint16) if epoch.max(initial=0) < 2**16 else epoch
        return np.argsort(short, kind="stable").astype(np.int64)

    @cached_property
    def clock(self) -> Floats:
        """(E,) when each reading was taken, in seconds since the first trial started.

        An estimate: a trial's readings are spread over the time between its start and its end as
        their seconds say. Where no start is known, trials are laid end to end.
        """
        epochs, trials = self.epochs, self.trials
        spent = np.cumsum(np.nan_to_num(epochs.seconds, posinf=0.0, neginf=0.0))
        before = np.concatenate([[0.0], spent])[self.bounds]  # (N + 1,)
        within = spent - before[:-1][epochs.row]
        if not np.isfinite(trials.started_at).any():
            laid: Floats = within + before[:-1][epochs.row]
            return laid
        own = np.diff(before)
        span = trials.ended_at - trials.started_at
        stretch = np.where(np.isfinite(span) & (own > 0), span / np.where(own > 0, own, 1.0), 1.0)
        start = trials.started_at - np.nanmin(trials.started_at)
        start = np.where(np.isfinite(start), start, 0.0)
        found: Floats = start[epochs.row] + within * stretch[epochs.row]
        return found

    def ordered_params(self, explains: str = "value") -> list[str]:
        """Every searched parameter: the most important first, else in the space's order."""
        shares = self.importances.get(explains, {})
        return sorted(self.params, key=lambda name: -shares.get(name, -1.0))


def _readings(columns: Mapping[str, ArrayLike], number: Ints, metric: str) -> Epochs:
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
    read = {each: numbers(columns[each])[order] if each in columns else none for each in (*_READING, "value")}
    if "value" not in columns and metric in read:
        read["value"] = read[metric]
    if "value" not in columns and metric == "gap":
        read["value"] = read["val_loss"] - read["train_loss"]
    return Epochs(row=row[order].astype(np.int64), epoch=epoch[order], **read)


def _trials(columns: Mapping[str, ArrayLike], epochs: Epochs, objective: Objective) -> Trials:
    number = np.asarray(columns["number"], np.int64)
    state = np.asarray([str(each) for each in np.asarray(columns["state"])], dtype="U8")
    size = len(number)
    bounds = np.searchsorted(epochs.row, np.arange(size + 1))
    over = np.isin(state, [each.value for each in TrialState if each.is_over])
    stored = over | (np.diff(bounds) == 0)
    at = _best_reading(epochs, bounds, objective)  # (N,) rows of `epochs`, -1 for none
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

    spent = np.concatenate([[0.0], np.cumsum(np.nan_to_num(epochs.seconds))])
    return Trials(
        number=number,
        state=state,
        value=column("value", read(epochs.value), float),
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
        **{each: column(each, read(getattr(epochs, each)), float) for each in _BEST},
    )


def _best_reading(epochs: Epochs, bounds: Ints, objective: Objective) -> Ints:
    """The row of each trial's first reading with the best finite metric, -1 for none."""
    found = np.full(len(bounds) - 1, -1, dtype=np.int64)
    filled = np.flatnonzero(np.diff(bounds))
    if not len(filled):
        return found
    loss = epochs.value if objective.minimize else -epochs.value
    loss = np.where(np.isfinite(loss), loss, np.inf)
    lowest = np.minimum.reduceat(loss, bounds[filled])
    is_lowest = (loss == np.repeat(lowest, np.diff(bounds)[filled])) & np.isfinite(loss)
    rows = np.flatnonzero(is_lowest)
    trials, first = np.unique(epochs.row[rows], return_index=True)
    found[trials] = rows[first]
    return found
