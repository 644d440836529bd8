"""What a searcher knows of the trials so far; the order in which they ended makes no difference.

Holds numbers, not Optuna trials: samplers make of them what they need.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left, insort
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuner.core.objectives import Objectives
from tuner.core.space import Parameter, SearchSpace, is_same
from tuner.core.trial import DIVERGENCE, Objective, Params, TrialRecord, TrialState, Value
from tuner.search import fronts
from tuner.search.distributions import numbering

Rank = tuple[bool, int, float, int]
"""Sorts trials from best to worst: inconclusive or violating, -epochs, signed value or violation, number."""

_CUT_SHORT: Rank = (True, -sys.maxsize, -math.inf, -1)
"""Before every trial that was cut short, behind every other one."""


class Observation(NamedTuple):
    """A trial that has shown something.

    Attributes:
        row: (D,), the number of each parameter in the space's order; `nan` where it is inactive.
        value: less is better; None where the trial was cut before its worth was known.
        rank: its place among all trials; with several objectives, by the first of them.
        losses: every objective, less is better; empty where there is one.
        violation: by how much it violates the constraints; 0 for not.
    """

    number: int
    row: NDArray[np.float64]
    value: float | None
    rank: Rank
    losses: tuple[float, ...] = ()
    violation: float = 0.0


class EncodedParams(NamedTuple):
    """A configuration as the space has it.

    Attributes:
        params: the active parameters and the fixed ones.
        numbers: (D,) the number of each parameter in the space's order; `nan` where it is inactive.
    """

    params: dict[str, Value]
    numbers: list[float]


class History:
    """Every trial told so far.

    A finished trial and one that stopped conclusively count with their value. One cut before its
    worth was known, and one that is paused, ranks behind all of those, by how far it got and how
    good it was there, as in Optuna's TPE; one that violates a bound ranks behind these, by how
    much; one without any value or that diverged ranks last. A failed one is not shown to samplers
    at all, nor is one that lies outside of the space. Of several objectives, the trials that have
    a value and violate nothing are ranked by who dominates whom, see `good`.

    Attributes:
        running: (D,) rows of the trials that run or wait, by number.
        outside: the numbers of trials outside of the space; it was another one when they were chosen.
        failed: the numbers of the failed trials.
        replaced: the numbers of settled trials that were told once more, as often as they were.
    """

    def __init__(self, space: SearchSpace, objective: Objective | Objectives) -> None:
        self._space = space
        self.objectives = Objectives.of(objective)
        self.running: dict[int, NDArray[np.float64]] = {}
        self.outside: set[int] = set()
        self.failed: set[int] = set()
        self.replaced: list[int] = []
        self._rows = np.empty((64, len(space)))
        self._parameters = [(name, parameter, numbering(parameter)) for name, parameter in space]
        self._told: dict[int, Params] = {}
        self._taken: set[bytes] = set()
        self._unfitting: set[int] = set()
        self._seen: dict[int, Observation] = {}
        self._numbers: list[int] = []
        self._valued: list[int] = []
        self._ranks: list[Rank] = []

    def __len__(self) -> int:
        """How many trials samplers may learn from."""
        return len(self._seen)

    def add(self, record: TrialRecord) -> None:
        """Take in a trial; what was known of it before is replaced."""
        number = record.number
        if self.is_settled(number):
            self.replaced.append(number)
            self._forget(number)
        self.running.pop(number, None)
        # One that is told again has the same configuration, and most often the same object.
        if self._told.get(number) is not record.params:
            found = self.encode(record.params)
            self._told[number] = record.params
            self._reserve(number)
            self._rows[number] = math.nan if found is None else found.numbers
            (self._unfitting.add if found is None else self._unfitting.discard)(number)
            if found is not None and found.params.keys() >= record.params.keys():
                self._taken.add(_rounded(self._rows[number]).tobytes())
        observation = self._seen_anew(record, self._rows[number].copy())
        if observation is not None:
            insort(self._numbers, number)
            insort(self._ranks, observation.rank)
            if observation.value is not None:
                insort(self._valued, number)

    def replay(self, records: Sequence[TrialRecord]) -> None:
        """`add` for very many trials, each once, before any other is added."""
        adopted, fits, is_whole = self._encode_all([record.params for record in records])
        numbers = [record.number for record in records]
        self._told = {record.number: record.params for record in records}
        self._reserve(max(numbers, default=0))
        self._rows[numbers] = adopted
        self._taken.update(row.tobytes() for row in _rounded(adopted[fits & is_whole]))
        self._unfitting = set(np.array(numbers, int)[~fits].tolist())
        seen = list(filter(None, map(self._seen_anew, records, adopted)))
        self._numbers = sorted(o.number for o in seen)
        self._ranks = [o.rank for o in seen]
        for place in (3, 2, 1, 0):  # numbers compare in a quarter of the time of tuples
            self._ranks.sort(key=itemgetter(place))
        self._valued = sorted(o.number for o in seen if o.value is not None)

    def encode(self, params: Params) -> EncodedParams | None:
        """A configuration as the space has it now, which may have changed since it was chosen.

        A parameter that the configuration lacks has its default there, one that is gone is left out.

        Returns:
            None where a value lies outside of the space.
        """
        fixed = self._space.fixed
        if any(name in params and not is_same(params[name], value) for name, value in fixed.items()):
            return None
        active: dict[str, Value] = dict(fixed)
        numbers: list[float] = []
        for name, parameter, number_of in self._parameters:
            if parameter.when and not parameter.active_under(active):
                numbers.append(math.nan)
                continue
            value = params[name] if name in params else parameter.default_under(active)
            number = number_of(value)
            if number is None:
                return None
            active[name] = value
            numbers.append(number)
        return EncodedParams(active, numbers)

    def _encode_all(
        self, several: Sequence[Params]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """`encode` for very many configurations, parameter by parameter.

        Returns:
            (N, D) the numbers; (N,) which ones lie within the space, the others' numbers are void; (N,)
            which ones have no further parameters.
        """
        count = len(several)
        rows, fits = np.full((count, len(self._parameters)), math.nan), np.ones(count, bool)
        known = np.zeros(count, int)
        columns: dict[str, list[Value | None]] = {}
        for name, value in self._space.fixed.items():
            columns[name] = [value] * count
            known += np.fromiter((name in params for params in several), bool, count)
            fits &= np.fromiter((is_same(params.get(name, value), value) for params in several), bool, count)
        for place, (name, parameter, number_of) in enumerate(self._parameters):
            column = columns[name] = [params.get(name) for params in several]
            is_given = np.fromiter((value is not None for value in column), bool, count)
            is_active = np.ones(count, bool)
            if parameter.when:
                # Typed: 1, 1.0 and True are not the same to a condition.
                holds = lru_cache(None, typed=True)(partial(_holds, parameter))
                is_active = np.fromiter(map(holds, *(columns[n] for n in parameter.when)), bool, count)
            known += is_active & is_given
            for at in np.flatnonzero(is_active != is_given).tolist():
                before = {n: v for n, its in columns.items() if (v := its[at]) is not None}
                column[at] = parameter.default_under(before) if is_active[at] else None
            rows[:, place] = [None if value is None else number_of(value) for value in column]
            fits &= ~(is_active & np.isnan(rows[:, place]))
        return rows, fits, known == np.fromiter(map(len, several), int, count)

    def encoded(self, number: int) -> EncodedParams | None:
        """A trial's configuration as the space has it; None where it is outside the space."""
        return self.encode(self._told[number])

    def is_taken(self, params: Params) -> bool:
        """Whether a trial has this configuration; of numbers, twelve digits are compared.

        One that lies outside of the space, or had further parameters, is no configuration of it.
        """
        found = self.encode(params)
        return found is not None and _rounded(np.array(found.numbers)).tobytes() in self._taken

    def get(self, number: int) -> Observation | None:
        """The observation of a trial; None where it runs, failed, is outside the space or unknown."""
        return self._seen.get(number)

    def is_settled(self, number: int) -> bool:
        """Whether the trial is over or paused."""
        return number in self._seen or number in self.failed or number in self.outside

    def best(self, count: int) -> set[int]:
        """The numbers of the highest ranking trials."""
        return {rank[-1] for rank in self._ranks[:count]}

    def good(self, observations: Sequence[Observation], count: int) -> set[int]:
        """The numbers of the best of a `window`; of several objectives those that dominate most.

        Where a layer of trials that do not dominate each other does not fit in as a whole, those of
        it are chosen that together span the largest hypervolume, as in Optuna's TPE.
        """
        if len(self.objectives) == 1:
            return self.best(count)
        ranked = sorted(observations, key=lambda o: o.rank)
        standing = [o for o in ranked if not o.rank[0]]
        if len(standing) <= count:
            return {o.number for o in ranked[:count]}
        chosen = fronts.best(np.array([o.losses for o in standing]), count)
        return {standing[index].number for index in chosen}

    def window(self, best: int, last: int) -> list[Observation]:
        """The `best` highest ranking and the `last` newest trials, ordered by number."""
        chosen = set(self._numbers[max(0, len(self._numbers) - last) :])
        chosen |= self.best(best) if len(self.objectives) == 1 else self._foremost(best)
        return [self._seen[number] for number in sorted(chosen)]

    def valued(self, best: int, last: int) -> list[Observation]:
        """Like `window`, among the trials that have a value."""
        chosen = self.best(min(best, self.values))
        chosen.update(self._valued[max(0, self.values - last) :])
        return [self._seen[number] for number in sorted(chosen)]

    def best_of_first(self, first: int, best: int) -> list[Observation]:
        """The `best` highest ranking among the `first` earliest trials that have a value.

        Of several objectives, layer by layer, and of the last one those with the most room around.
        """
        if not 0 < first <= self.values:
            return []
        end = self._valued[first - 1]
        known = (self._seen[rank[-1]] for rank in self._ranks if rank[-1] <= end)
        early = (observation for observation in known if observation.value is not None)
        if len(self.objectives) == 1:
            return list(islice(early, min(first, best)))
        ranked = list(early)
        standing = [observation for observation in ranked if not observation.violation]
        if len(standing) <= best:
            return ranked[:best]
        chosen = fronts.fittest(np.array([o.losses for o in standing]), best)
        return [standing[index] for index in chosen]

    def _foremost(self, count: int) -> set[int]:
        """The numbers of the best trials by several objectives: layer by layer, then by rank."""
        standing = [rank[-1] for rank in self._ranks[: bisect_left(self._ranks, _CUT_SHORT)]]
        if len(standing) <= count:
            return self.best(count)
        layer = fronts.layers(np.array([self._seen[n].losses for n in standing]), count)
        order = np.lexsort((np.arange(len(standing)), layer))
        return {standing[index] for index in order[:count].tolist()}

    def places(self) -> dict[int, float]:
        """Each trial's place, 0 for the best; trials that showed the same share one."""
        places: dict[int, float] = {}
        shown: tuple[object, ...] | None = None
        for *key, number in self._ranks:
            if tuple(key) != shown:
                shown, place = tuple(key), float(len(places))
            places[number] = place
        return places

    @property
    def values(self) -> int:
        """How many trials have a value."""
        return len(self._valued)

    def rows(self, numbers: Sequence[int]) -> NDArray[np.float64]:
        """The rows of some trials that were told: (N, D)."""
        return self._rows.take(np.array(numbers, dtype=int), axis=0)

    def _forget(self, number: int) -> None:
        self.outside.discard(number)
        self.failed.discard(number)
        before = self._seen.pop(number, None)
        if before is not None:
            del self._numbers[bisect_left(self._numbers, number)]
            del self._ranks[bisect_left(self._ranks, before.rank)]
            if before.value is not None:
                del self._valued[bisect_left(self._valued, number)]

    def _reserve(self, number: int) -> None:
        """Make room for the row of a trial."""
        if number >= len(self._rows):
            self._rows = np.resize(self._rows, (2 * number, len(self._space)))

    def _seen_anew(self, record: TrialRecord, row: NDArray[np.float64]) -> Observation | None:
        """Note how a trial stands, and what it shows if it does; the lists in order are left alone."""
        number, state = record.number, record.state
        if number in self._unfitting:
            self.outside.add(number)
        elif state is TrialState.FAILED:
            self.failed.add(number)
        elif not state.is_over and state is not TrialState.PAUSED:
            self.running[number] = row
        else:
            found = self._seen[number] = self._observation(record, row)
            return found
        return None

    def _observation(self, record: TrialRecord, row: NDArray[np.float64]) -> Observation:
        number, objectives = record.number, self.objectives
        known = record.value is not None and math.isfinite(record.value) and record.rule != DIVERGENCE
        losses = (objectives.losses(record) if known else None) or ()
        conclusive = record.state is TrialState.FINISHED or (record.conclusive and record.state.is_over)
        violation = objectives.violation(record.best) if losses and objectives.constraints else 0.0
        if not losses:
            rank: Rank = (True, 1, 0.0, number)
        elif violation:
            # Behind those cut short, before those without a value.
            rank = (True, 0, violation, number)
        elif conclusive:
            rank = (False, 0, losses[0], number)
        else:
            rank = (True, -record.epochs, losses[0], number)
        if not losses or not conclusive:
            return Observation(number, row, None, rank, (), violation)
        return Observation(number, row, losses[0], rank, losses if len(objectives) > 1 else (), violation)


def _holds(parameter: Parameter, *others: Value | None) -> bool:
    """Whether a parameter's conditions hold, given the values of those that they name; None for inactive."""
    return parameter.active_under(
        {n: v for n, v in zip(parameter.when, others, strict=True) if v is not None}
    )


def _rounded(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """(..., D) equal for numbers that are equal to twelve digits: 40 bits of their mantissa are left."""
    return (numbers.view(np.int64) + (1 << 11)) >> 12
