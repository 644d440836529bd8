"""Frame: a study as one table of columns, from which figures, findings and verdicts are made.

Every derived column is worked out once, when it is first asked for. `nan` and `""` stand for "none".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuner.core import columns, words
from tuner.core.columns import BEST, READING, Bools, Epochs, Floats, Ints, Texts, Trials, param_columns
from tuner.core.endings import DIVERGED
from tuner.core.importances import Importances
from tuner.core.objectives import DIRECTIONS, Objectives, knee, layers
from tuner.core.reading_columns import ReadingColumns
from tuner.core.space import SearchSpace
from tuner.core.spec import falls
from tuner.core.trial import DIVERGENCE, Objective, Reading, TrialRecord, TrialState

_SIDE = re.compile("^(train|training|val|valid|validation)_")
"""What a number's name has in front that is measured on one of two splits."""


@dataclass(frozen=True)
class Frame:
    """A study as columns.

    Attributes:
        name: the study's name, as the user wrote it.
        space: what was searched.
        objectives: what for.
        trials: a row per trial.
        epochs: a row per reading.
        params: per searched parameter a column (N,): numbers with `nan`, or choices as text with `""`,
            where it is not active.
        selected: numbers of the trials that figures bring out.
        importances: which parameters mattered, by what they explain: ``"value"``, ``"gap"``.
        beside: further studies to compare with.
        errors: (E,) standard errors of readings' numbers that are means over folds or seeds, by name;
            only where they were asked for.
        is_thinned: whether of very many points a sample is drawn.
        score: what the score is called, e.g. ``"rmse"``; "" where that is not known.
        task: what the network is to do, e.g. ``"regression"``; "" where that is not known.
        pauses: whether its pruner is known to pause trials.
    """

    name: str
    space: SearchSpace
    objectives: Objectives
    trials: Trials
    epochs: Epochs
    params: Mapping[str, NDArray[Any]]
    selected: frozenset[int] = frozenset()
    importances: Mapping[str, Importances] = field(default_factory=dict)
    beside: tuple[Frame, ...] = ()
    errors: Mapping[str, Floats] = field(default_factory=dict)
    is_thinned: bool = True
    score: str = ""
    task: str = ""
    pauses: bool = False

    @classmethod
    def of(
        cls,
        records: Sequence[TrialRecord],
        readings: ReadingColumns | Mapping[int, Sequence[Reading]],
        space: SearchSpace,
        objective: Objective | Objectives,
        name: str = "",
    ) -> Self:
        """A frame of core's values.

        Args:
            records: every trial, in any order.
            readings: all of them, or the curves by trial number; those of trials that are not recorded are
                left out.
            space: what was searched.
            objective: what for.
            name: the study's name.
        """
        objectives = Objectives.of(objective)
        records = sorted(records, key=lambda record: record.number)
        params = param_columns(space, [record.params for record in records])
        if not isinstance(readings, ReadingColumns):
            readings = columns.of_curves(readings, objectives)
        trials = columns.of_records(records, objectives)
        return cls.of_columns(trials, readings, params, space, objectives, name)

    @classmethod
    def of_columns(
        cls,
        trials: Mapping[str, ArrayLike],
        readings: ReadingColumns,
        params: Mapping[str, NDArray[Any]],
        space: SearchSpace,
        objective: Objective | Objectives,
        name: str = "",
    ) -> Self:
        """A frame of raw columns, without a single object per trial or reading.

        Args:
            trials: columns as in `Trials`, in the order of numbers. ``number`` and ``state`` are
                needed; of what is left out, value, best epoch, its numbers, epochs and seconds come
                from the readings, as they do for trials that are not over.
            readings: the readings, in any order.
            params: see `param_columns`.
            space: what was searched.
            objective: what for.
            name: the study's name.
        """
        objectives, number = Objectives.of(objective), np.asarray(trials["number"], np.int64)
        read = columns.epochs(readings, number, objectives)
        return cls(name, space, objectives, columns.trials(trials, read, objectives), read, params)

    def __len__(self) -> int:
        return len(self.trials)

    def where(self, mask: Bools) -> Frame:
        """The study as if it had only the trials under this mask (N,); trial numbers stay."""
        if mask.all():
            return self
        rows = np.cumsum(mask) - 1
        read = mask[self.epochs.row]
        kept = self.epochs.take(read)
        return replace(
            self,
            trials=self.trials.take(mask),
            epochs=replace(kept, row=rows[kept.row]),
            params={name: column[mask] for name, column in self.params.items()},
            errors={name: column[read] for name, column in self.errors.items()},
        )

    def only(self, numbers: Iterable[int]) -> Frame:
        """The study as if it had only the trials of these numbers."""
        return self.where(np.isin(self.trials.number, list(numbers)))

    def selecting(self, numbers: Iterable[int]) -> Frame:
        """The same study with these trials brought out."""
        return replace(self, selected=frozenset(numbers))

    @property
    def objective(self) -> Objective:
        """The first objective."""
        return self.objectives.primary

    @property
    def kind(self) -> tuple[Objective, str]:
        """What the value is: of two studies of one kind it can stand on one axis."""
        return self.objective, self.measure(self.objective.metric)

    def measure(self, name: str) -> str:
        """What a number is counted in: of two studies with the same it can stand on one axis."""
        return self.score if name.endswith("_score") else self.task if name.endswith(("_loss", "gap")) else ""

    @cached_property
    def is_selected(self) -> Bools:
        """(N,) which trials are brought out."""
        return np.isin(self.trials.number, list(self.selected))

    @cached_property
    def violation(self) -> Floats:
        """(N,) by how much each trial's best epoch violates the constraints; see `Objectives.violation`."""
        found = np.zeros(len(self))
        for bound in self.objectives.constraints:
            value = self.at_best(bound.name)
            excess = value - bound.limit if bound.is_upper else bound.limit - value
            excess = np.where(np.isnan(value), np.inf, np.maximum(excess, 0.0))
            found += excess / (abs(bound.limit) or 1.0)
        return found

    @cached_property
    def feasible(self) -> Bools:
        """(N,) which trials' best epochs meet every constraint."""
        return np.asarray(self.violation == 0)

    @cached_property
    def standing(self) -> Bools:
        """(N,) which trials may be the best; see `of_best_kind`."""
        return self.of_best_kind(np.ones(len(self), dtype=bool))

    def of_best_kind(self, among: Bools) -> Bools:
        """(N,) which of some trials (N,) may be the best: of those with a value those of the best kind.

        Feasible ones whose value stands, else feasible ones that were cut short, else violating ones
        whose value stands, else all; see `Objectives`.
        """
        valued = among & np.isfinite(self.trials.value) & ~self.trials.is_(TrialState.FAILED)
        for kind in (self.feasible & self.trials.conclusive, self.feasible, self.trials.conclusive):
            if (valued & kind).any():
                return valued & kind
        return valued

    @cached_property
    def loss(self) -> Floats:
        """(N,) the value so signed that less of it is better."""
        return self.trials.value if self.objective.minimize else -self.trials.value

    @cached_property
    def losses(self) -> Floats:
        """(N, M) every objective's number at the best epoch, less is better; infinite for none."""
        signs = [1 if each.minimize else -1 for each in self.objectives]
        columns = [self.at_best(each.metric) for each in self.objectives]
        for i, each in enumerate(self.objectives):
            if each.metric == "gap":
                columns[i] = np.maximum(columns[i], 0.0)
        found = np.column_stack([sign * column for sign, column in zip(signs, columns, strict=True)])
        return np.where(np.isnan(found), np.inf, found)

    @cached_property
    def ranking(self) -> Ints:
        """Rows of the trials that may be the best, the best first."""
        return self.ranked(self.standing)

    def ranked(self, among: Bools) -> Ints:
        """Rows of some trials (N,), the best first; see `Objectives.key`."""
        rows = np.flatnonzero(among)
        equal = (self.trials.val_loss[rows],) if self.objectives.has_gap else ()
        return rows[np.lexsort((*equal, *self.losses[rows].T[::-1], self.violation[rows]))]

    @cached_property
    def front(self) -> Ints:
        """Rows of the trials that no other one dominates, the best by the first objective first.

        With one objective it is the best alone. Only those of the best kind are compared; of those that
        violate a constraint the nearest to it is the whole front. Of those that are equal in everything with
        no gap, the one with the lowest validation loss is on it.
        """
        rows = self._own_ranking
        if len(self.objectives) == 1 or not self.feasible[rows].all():
            return rows[:1]
        if self.objectives.has_gap:
            rows = rows[np.sort(np.unique(self.losses[rows], axis=0, return_index=True)[1])]
        on_it: Bools = np.array(layers(self.losses[rows].astype(np.float64), 1)) == 0
        return np.asarray(rows[on_it])

    @cached_property
    def knee(self) -> int | None:
        """The number of the trial at the front's knee; see `objectives.knee`."""
        place = knee(self.losses[self.front].astype(np.float64)) if len(self.objectives) > 1 else None
        return None if place is None else int(self.trials.number[self.front[place]])

    def at_best(self, name: str) -> Floats:
        """(N,) a number of the readings, at each trial's best epoch."""
        trials = self.trials
        if name == self.objective.metric:
            return trials.value
        found: Floats = trials.named[name] if name in trials.named else getattr(trials, name)
        return found

    def reading(self, name: str) -> Floats:
        """(E,) a number of every reading."""
        if name == "gap":
            return self.epochs.val_loss - self.epochs.train_loss
        return self.epochs.value if name == self.objective.metric else self.epochs.named(name)

    def label(self, name: str) -> str:
        """A reading's number as figures and tables call it, a score by its own name: ``validation rmse``."""
        said = words.metric(name)
        return said.replace("score", self.score) if self.score and name.endswith("_score") else said

    def falls(self, name: str) -> bool | None:
        """Whether less of a number is better; None where that is not known."""
        objective = next((each for each in self.objectives if each.metric == name), None)
        if objective is not None:
            return objective.minimize
        if name.endswith("_score"):
            scores = [each.minimize for each in self.objectives if each.metric.endswith("_score")]
            return scores[0] if scores else falls(self.score, None)
        return DIRECTIONS[name] == "minimize" if name in DIRECTIONS else None

    @cached_property
    def measured(self) -> list[str]:
        """The numbers that some trial has at its best epoch, objectives first, then the trainer's own."""
        names = (*self.objectives.names, *self.trials.named, "val_loss", "train_loss", "gap", *BEST)
        return [name for name in dict.fromkeys(names) if np.isfinite(self.at_best(name)).any()]

    @cached_property
    def series(self) -> Mapping[str, tuple[str, ...]]:
        """What can be followed over epochs: by name, the number itself or its training and validation.

        What is searched for comes first.
        """
        own = self.objective.metric
        names = (own, "train_loss", "val_loss", "train_score", "val_score", *self.epochs.extras)
        found: dict[str, tuple[str, ...]] = {}
        for name in dict.fromkeys((*names, "learning_rate", "grad_norm")):
            if np.isfinite(self.reading(name)).any():
                found.setdefault(_SIDE.sub("", name), ())
                found[_SIDE.sub("", name)] += (name,)
        return {name: tuple(sorted(columns)) for name, columns in found.items()}

    @cached_property
    def sides(self) -> Mapping[str, tuple[str, str]]:
        """The series of two sides, by name: what is measured on training rows and what on validation rows.

        Where several are validation's, what is searched for goes first, then one whose name says so.
        """
        found = {}
        for series, names in self.series.items():
            train = [name for name in names if name != series and name.startswith("train")]
            val = [name for name in names if name not in train]
            if train and val:
                found[series] = train[0], min(val, key=lambda n: (n != self.objective.metric, n == series))
        return found

    @cached_property
    def endings(self) -> Texts:
        """(N,) where each trial stands, in one word: its state, or `DIVERGED` where that ended it."""
        diverged = self.trials.is_(TrialState.STOPPED) & (self.trials.rule == DIVERGENCE)
        return np.where(diverged, DIVERGED, self.trials.state.astype(object))

    @property
    def best(self) -> int | None:
        """The row of the search's best trial."""
        return int(self._own_ranking[0]) if len(self._own_ranking) else None

    @cached_property
    def rivals(self) -> Bools:
        """(N,) which trials of this search may be the best: no imported one, nor is one in another's way."""
        return self.of_best_kind(~self.trials.imported)

    @cached_property
    def _own_ranking(self) -> Ints:
        return self.ranked(self.rivals) if self.trials.imported.any() else self.ranking

    @property
    def best_unfinished(self) -> int | None:
        """The row of the best of the trials that are not over; None where none of them has a value."""
        states = (state for state in TrialState if not state.is_over)
        rows = np.flatnonzero(self.trials.is_(*states) & np.isfinite(self.loss))
        return int(rows[np.lexsort((self.loss[rows], self.violation[rows]))[0]]) if len(rows) else None

    def record(self, number: int) -> TrialRecord | None:
        """A trial with its numbers, without its parameters; None where there is none."""
        trials, rows = self.trials, np.flatnonzero(self.trials.number == number)
        if not len(rows):
            return None
        row = int(rows[0])
        value, epoch = float(trials.value[row]), int(trials.best_epoch[row])
        named = {name: float(column[row]) for name, column in trials.named.items() if name not in READING}
        if (metric := self.objective.metric) not in (*READING, "gap"):
            named[metric] = value
        train, val, train_score, val_score = (float(getattr(trials, each)[row]) for each in BEST)
        best = Reading(epoch, train, val, train_score, val_score, extras=named)
        return TrialRecord(
            number,
            {},
            TrialState(str(trials.state[row])),
            None if math.isnan(value) else value,
            best if epoch else None,
            int(trials.epochs[row]),
            bool(trials.conclusive[row]),
            str(trials.rule[row]) or None,
            str(trials.reason[row]) or None,
        )

    @cached_property
    def bounds(self) -> Ints:
        """(N + 1,) where each trial's readings start and end in `epochs`."""
        return np.searchsorted(self.epochs.row, np.arange(len(self) + 1)).astype(np.int64)

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
        shares = self.importances.get(explains, Importances())
        return sorted(self.params, key=lambda name: -shares.get(name, -1.0))
