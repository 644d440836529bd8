"""Which parameters mattered, by Optuna's default importance evaluator (PED-ANOVA).

Looks at values only; what to make of the shares is not known here.
"""

from __future__ import annotations

import copy
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from tuner.core.space import SearchSpace
from tuner.core.trial import Objective, TrialRecord
from tuner.search import view
from tuner.search.distributions import is_single
from tuner.search.history import History

FEWEST = 8
"""Fewer trials say nothing, neither of a study nor of a parameter that seldom is active."""


def importances(
    space: SearchSpace,
    records: Sequence[TrialRecord],
    objective: Objective,
    values: Callable[[TrialRecord], float | None] | None = None,
) -> dict[str, float]:
    """How much each parameter explains of what sets the best tenth of the trials apart.

    Method: PED-ANOVA, Watanabe et al. 2023 (arXiv:2304.10255), which takes conditional parameters
    in its stride.

    Args:
        space: what was searched; parameters with one value are left out.
        records: trials in any state; all that have shown something count. The method looks at
            their order alone, so those that were cut short rank behind the others, as the
            samplers see them.
        objective: says which values are better.
        values: the number that is explained, e.g. the gap of the best epoch; None or `nan` where a
            trial has none. The trial's rank when left out.

    Returns:
        Shares that sum to one, the highest first, of the parameters that were active in at least
        `FEWEST` trials. Empty when there are fewer than `FEWEST` trials
        with a finite value, or all values are equal.
    """
    return _Seen(space, records, objective).shares(objective, values)


def of_value_and_gap(
    space: SearchSpace,
    records: Sequence[TrialRecord],
    objective: Objective,
    gap: Callable[[TrialRecord], float | None],
) -> dict[str, dict[str, float]]:
    """What the parameters explain of the trials' ranks and of their gaps; see `importances`.

    Args:
        space: what was searched.
        records: trials in any state.
        objective: says which values are better.
        gap: of a trial's best epoch; smaller is better.

    Returns:
        Shares as ``"value"`` and as ``"gap"``.
    """
    seen = _Seen(space, records, objective)

    def standing(record: TrialRecord) -> float | None:
        # Only what trained long enough had time to over-fit.
        return gap(record) if record.conclusive else None

    return {"value": seen.shares(objective), "gap": seen.shares(Objective("gap"), standing)}


class _Seen:
    """The trials that have shown something, as Optuna sees them."""

    def __init__(self, space: SearchSpace, records: Sequence[TrialRecord], objective: Objective) -> None:
        self._subspace = view.Subspace(space, [n for n, p in space if not is_single(p)])
        history = History(space, objective)
        for record in records:
            history.add(record)
        self._places = history.places()
        seen = ((record, history.get(record.number)) for record in records)
        self._trials = [
            (record, self._subspace.trial(record.number, observation.row, 0.0))
            for record, observation in seen
            if observation is not None
        ]

    def shares(
        self, objective: Objective, values: Callable[[TrialRecord], float | None] | None = None
    ) -> dict[str, float]:
        trials = []
        for record, trial in self._trials:
            value = self._places[record.number] if values is None else _signed(values(record), objective)
            if value is not None:
                shown = copy.copy(trial)
                shown.values = [value]
                trials.append(shown)
        if len(trials) < FEWEST or len({trial.value for trial in trials}) == 1:
            return {}
        active = Counter(name for trial in trials for name in trial.params)
        with view.quiet():
            shares = _method()(
                view.study(trials),
                params=[name for name in self._subspace.distributions if active[name] >= FEWEST],
            )
        return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _method() -> Callable[..., dict[str, float]]:
    """Optuna's `get_param_importances`.

    Its module also loads the forests of evaluators that nobody asked for, which takes as long as
    many trials; they are loaded when one of these evaluators is used.
    """
    forests = "sklearn.ensemble"
    if forests not in sys.modules:
        later: Any = ModuleType(forests)
        later.RandomForestRegressor = _forest
        sys.modules[forests] = later
        try:
            from optuna.importance import get_param_importances
        finally:
            del sys.modules[forests]
    else:
        from optuna.importance import get_param_importances
    return get_param_importances


def _forest(*args: Any, **options: Any) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(*args, **options)


def _signed(value: float | None, objective: Objective) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return value if objective.minimize else -value
