"""Which parameters mattered: analysis of variance of the trials' ranks, by forward selection.

Each parameter may bend the ranks by a curve of its own, or shift them by a step for each choice;
two of them may also act together. What explains most is taken in first, then what explains most of
the rest, as long as an F-test says that the best of all candidates would be so good by chance in one
study of twenty (Bonferroni). So of many parameters that do nothing none is named because it is lucky,
and a parameter that only went along with another one, as all do while a sampler closes in on the
best region, is left with what the other does not explain.

Not Optuna's PED-ANOVA, which was here before and is the dashboard's second opinion: it compares densities
of the best tenth with all, and among 12 trials the best tenth is two. It knows no chance, names something
always, and squares what it sees, so that of two parameters that explain 63 and 35 % it told 98 and 1 %. Not a
forest (fANOVA): it tells 63 and 35, but takes seconds and 60 MB to load, and has no words for chance either.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tuner.core.importances import Importances
from tuner.core.space import Choice, Parameter, SearchSpace
from tuner.core.trial import Objective, TrialRecord
from tuner.optuna_log import quiet
from tuner.search.distributions import is_single
from tuner.search.history import History
from tuner.search.view import Subspace, study

Floats = NDArray[np.float64]

FEWEST = 8
"""Fewer trials say nothing, neither of a study nor of a parameter that seldom is active."""

CHANCE = 0.02
"""How often a study in which nothing matters may name something."""

RIVAL = 30.0
"""Two parameters are not told apart where chance is less than so many times as likely for the better one.

A sampler that learns has its bad trials early, and few of them, so other parameters may happen to go
along with the one that made them bad. Of the factors 10, 30 and 100 this one named the right parameter
first in all but 1 of 1,035 studies of `benchmarks.importances` (30 fresh seeds) and fell silent seldom.
"""

MOST_TERMS = 12
"""Later terms explain next to nothing."""

FEWEST_FOR_TENTH = 40
"""The best tenth of fewer trials is too few to compare."""

RESAMPLES = 40
"""Of the trials, for the standard errors."""


class ObservedTrials:
    """The trials that a sampler drew and that have shown something, and what the parameters explain of them.

    Args:
        space: what was searched; parameters with one value are left out.
        records: trials in any state; all that have shown something count but the default
            configuration and other presets, which no sampler drew. The method looks at
            their order alone, so those that were cut short rank behind the others, as the
            samplers see them.
        objective: says which values are better.
    """

    def __init__(self, space: SearchSpace, records: Sequence[TrialRecord], objective: Objective) -> None:
        self._space = space
        history = History(space, objective)
        history.replay(records)
        presets = dict(enumerate(space.presets()))

        def is_drawn(number: int) -> bool:
            found = history.encoded(number) if number and history.get(number) is not None else None
            return found is not None and found.params != presets.get(number)

        self._records = sorted((r for r in records if is_drawn(r.number)), key=lambda r: r.number)
        self._rows = history.rows([record.number for record in self._records])  # (N, D)
        self._places = history.places()

    def explained(self, values: Callable[[TrialRecord], float | None] | None = None) -> Importances:
        """How much each parameter explains of the differences between trials' ranks.

        Args:
            values: the number that is explained, e.g. the gap of the best epoch; None or `nan` where a
                trial has none. The trial's rank when left out.

        Returns:
            The parameters that stand out, among those that were active in at least `FEWEST` trials.
        """
        # On matrices as small as these, several threads mostly wait for each other.
        with threadpool_limits(limits=1, user_api="blas"):
            return self._explained(values)

    def of_value_and_gap(self, gap: Callable[[TrialRecord], float | None]) -> dict[str, Importances]:
        """What they explain of the trials' ranks, and under ``"gap"`` of the gaps of their best epochs."""

        def standing(record: TrialRecord) -> float | None:
            # Only what trained long enough had time to over-fit.
            return gap(record) if record.conclusive else None

        return {"value": self.explained(), "gap": self.explained(standing)}

    def by_best_tenth(self) -> Mapping[str, float]:
        """How much each parameter sets the best tenth of the trials apart, by PED-ANOVA.

        Returns:
            Shares that sum to 1; empty for fewer than `FEWEST_FOR_TENTH` trials.
        """
        from optuna.importance import PedAnovaImportanceEvaluator  # only the dashboard asks

        if len(self._records) < FEWEST_FOR_TENTH:
            return {}
        varied = Subspace(self._space, [name for name, parameter in self._space if not is_single(parameter)])
        trials = [
            varied.trial(record.number, row, self._places[record.number])
            for record, row in zip(self._records, self._rows, strict=True)
        ]
        with quiet():  # a parameter may be active seldom
            found = PedAnovaImportanceEvaluator().evaluate(study(trials))
        whole = sum(found.values())
        return {name: share / whole for name, share in found.items()} if whole > 0 else {}

    def _explained(self, values: Callable[[TrialRecord], float | None] | None) -> Importances:
        found = [self._places[r.number] if values is None else values(r) for r in self._records]
        y = np.array([math.nan if value is None else value for value in found], np.float64)
        known = np.isfinite(y)
        effects = list(self._effects(self._rows[known]))
        trials, needed = int(known.sum()), _needed(len(effects) or 1)
        if trials < FEWEST or not effects or len(np.unique(y[known])) < 2:
            return Importances(trials, needed)
        ranks = _ranks(y[known])
        terms = _selected(effects, ranks)
        if not terms:
            return Importances(trials, needed)
        shares = _shares(terms, ranks, np.ones(trials))
        counts = np.random.default_rng(0).multinomial(trials, np.full(trials, 1 / trials), RESAMPLES)
        again = [_shares(terms, ranks, each.astype(np.float64)) for each in counts]
        errors = {name: float(np.std([each[name] for each in again])) for name in shares}
        idle = tuple(effect.names[0] for effect in effects if effect.names[0] not in shares)
        return Importances(trials, needed, shares, errors, idle)

    def _effects(self, rows: Floats) -> Iterator[_Term]:
        for column, (name, parameter) in enumerate(self._space):
            if not is_single(parameter):
                active = np.isfinite(rows[:, column])
                if active.sum() >= FEWEST:
                    cells, knots = rows[active, column], _knots(int(active.sum()))
                    made = [_spread(_columns(parameter, cells, k), active) for k in (knots, 3, 2 * knots - 1)]
                    if made[0].shape[1]:
                        yield _Term((name,), *made)


@dataclass(frozen=True)
class _Term:
    """What one parameter, or two together, may do.

    Attributes:
        names: of them.
        columns: (N, k) functions of the parameter, each of mean zero, 0 where it is inactive.
        narrow: (N, l) likewise and fewer, from which the terms of two parameters are made.
        finer: (N, m) likewise and more, for what a parameter that was taken in leaves of its own.
    """

    names: tuple[str, ...]
    columns: Floats
    narrow: Floats
    finer: Floats

    @cached_property
    def size(self) -> float:
        """The largest eigenvalue of the columns' products, which tells what is rounding."""
        return float(np.linalg.eigvalsh(self.columns.T @ self.columns)[-1]) if self.columns.size else 0.0


def _knots(trials: int) -> int:
    return 4 if trials < 40 else 6 if trials < 120 else 9


def _columns(parameter: Parameter, cells: Floats, knots: int) -> Floats:
    """Functions (n, k) of a parameter's active values (n,): steps, or lines that bend at quantiles."""
    if isinstance(parameter, Choice):
        steps = [cells == value for value in np.unique(cells)[1:]]
        return np.array(steps, np.float64).reshape(len(steps), len(cells)).T
    x = np.log(cells) if parameter.log else cells / max(1.0, float(np.abs(cells).max()))
    at = np.unique(np.quantile(x, np.linspace(0, 1, knots)))
    hats = [np.interp(x, at, row) for row in np.eye(len(at))[1:]]
    return np.array(hats).reshape(len(hats), len(x)).T


def _spread(columns: Floats, active: NDArray[np.bool_]) -> Floats:
    whole = np.zeros((len(active), columns.shape[1]))
    whole[active] = columns - columns.mean(axis=0)
    return whole


def _ranks(values: Floats) -> Floats:
    """Ranks (N,) less their mean; equal values share one."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return np.asarray(ranks - ranks.mean())


def _selected(effects: Sequence[_Term], ranks: Floats) -> list[_Term]:
    """The terms that explain more than chance does, in the order in which they were taken in.

    Empty where the first one has a rival which explains nearly as much, but nothing beyond it.
    """
    chosen: list[_Term] = []
    rivals: list[_Term] = []
    rest, basis = ranks, np.empty((len(ranks), 0))
    left = [(term, term.columns) for term in effects]
    while left and len(chosen) < MOST_TERMS:
        free = len(ranks) - 1 - basis.shape[1]
        tests = [_chance(term, new, rest, free) for term, new in left]
        first = min(range(len(left)), key=tests.__getitem__)
        if tests[first][0] * len(left) > CHANCE:
            break
        if not chosen:
            rivals = [
                term
                for (term, _), (chance, _) in zip(left, tests, strict=True)
                if term is not left[first][0] and chance <= RIVAL * tests[first][0]
            ]
        term, new = left.pop(first)
        # The finer term of a parameter takes the place of its first one.
        chosen = [*(other for other in chosen if other.names != term.names), term]
        own = new @ _root(term, new)
        basis = np.concatenate([basis, own], axis=1)
        rest = rest - own @ (own.T @ rest)
        left = [(other, columns - own @ (own.T @ columns)) for other, columns in left]
        if term.finer.shape[1] > term.columns.shape[1]:
            finer = replace(term, columns=term.finer, finer=term.finer[:, :0])
            left.append((finer, finer.columns - basis @ (basis.T @ finer.columns)))
        if len(term.names) == 1:
            before = {other.names for other, _ in left} | {other.names for other in chosen}
            pairs = (_interaction(term, other) for other in effects if other is not term)
            fresh = [pair for pair in pairs if pair.names not in before]
            left += [(pair, pair.columns - basis @ (basis.T @ pair.columns)) for pair in fresh]
    named = {name for term in chosen for name in term.names}
    return chosen if all(rival.names[0] in named for rival in rivals) else []


def _interaction(one: _Term, other: _Term) -> _Term:
    one, other = sorted((one, other), key=lambda term: term.names)
    products = (one.narrow[:, :, None] * other.narrow[:, None, :]).reshape(len(one.narrow), -1)
    return _Term(
        (*one.names, *other.names), products - products.mean(axis=0), products[:, :0], products[:, :0]
    )


def _root(term: _Term, new: Floats) -> Floats:
    """What makes columns (N, k) orthonormal, (k, r), those left out that say nothing new."""
    values, vectors = np.linalg.eigh(new.T @ new)
    keep = values > 1e-9 * max(term.size, 1e-300)
    return np.asarray(vectors[:, keep] / np.sqrt(values[keep]))


def _chance(term: _Term, new: Floats, rest: Floats, free: int) -> tuple[float, float]:
    """How likely a term explains so much of the rest by chance (F-test), and less what it explains."""
    gained = (rest @ new) @ _root(term, new)
    more, less = len(gained), free - len(gained)
    whole = float(rest @ rest)
    if not more or less < more or whole <= 0:
        return 1.0, 0.0
    share = min(float(gained @ gained) / whole, 1.0)
    return _by_chance(more, less, share), -share


def _by_chance(more: int, less: int, share: float) -> float:
    """How likely `more` columns of chance explain this share with `less` degrees of freedom left (F-test)."""
    from scipy import special  # 17 MB, which a search does without

    return float(special.betainc(less / 2, more / 2, 1 - share))


def _shares(terms: Sequence[_Term], ranks: Floats, weights: Floats) -> dict[str, float]:
    """What each parameter explains in the model of all terms, half of what it does together with another.

    A term's part is the mean of what it explains alone and of what it adds to all others (for two terms
    that is Lindeman, Merenda and Gold 1980), stretched so that the parts sum to what the model explains,
    less what as many columns of chance would explain.

    Args:
        terms: of the model.
        ranks: (N,).
        weights: (N,) how often each trial counts.
    """
    columns, trials = np.concatenate([term.columns for term in terms], axis=1), float(weights.sum())
    columns, y = columns - weights @ columns / trials, ranks - weights @ ranks / trials
    whole, along = max(float(weights * y @ y), 1e-300), (weights * y) @ columns
    squares = columns.T @ (columns * weights[:, None])
    inverse = _inverse(squares)
    fitted = inverse @ along
    ends = np.cumsum([term.columns.shape[1] for term in terms])
    parts = []
    for end, term in zip(ends, terms, strict=True):
        own = slice(end - term.columns.shape[1], end)
        alone = along[own] @ _inverse(squares[own, own]) @ along[own]
        added = fitted[own] @ _inverse(inverse[own, own]) @ fitted[own]
        parts.append(float(alone + added) / 2)
    explained, free = min(float(along @ fitted) / whole, 1.0), trials - 1 - columns.shape[1]
    fair = max(0.0, 1 - (1 - explained) * (trials - 1) / free) if free > 0 else 0.0
    shares: dict[str, float] = {}
    for term, part in zip(terms, parts, strict=True):
        for name in term.names:
            share = fair * part / max(sum(parts), 1e-300) / len(term.names)
            shares[name] = shares.get(name, 0.0) + share
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _inverse(squares: Floats) -> Floats:
    return np.asarray(np.linalg.pinv(squares, rcond=1e-9, hermitian=True))


def _needed(parameters: int) -> int:
    """How many trials show a number that explains half of the differences, by `_chance`."""
    for trials in itertools.count(FEWEST):
        less = trials - 4
        if _by_chance(3, less, 0.5) * parameters <= CHANCE:
            return trials
    raise AssertionError
