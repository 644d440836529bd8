"""Optuna's distributions as parameters, and the space that trials of Optuna's were drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from tuner.core.space import Choice, Float, Int, Parameter, label
from tuner.errors import SpecError


def parameter_of(distribution: BaseDistribution, **keys: Any) -> Parameter:
    """A parameter with a distribution's values; further keys are the parameter's own, e.g. `default`.

    Raises:
        SpecError: it has values that no study file can hold.
    """
    if isinstance(distribution, CategoricalDistribution):
        return Choice(choices=list(distribution.choices), **keys)
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        raise SpecError(f"{type(distribution).__name__}: float, int or categorical distributions are needed")
    kind = Float if isinstance(distribution, FloatDistribution) else Int
    step = distribution.step if kind is Float or distribution.step != 1 else None
    return kind(low=distribution.low, high=distribution.high, log=distribution.log, step=step, **keys)


def of_trials(trials: Sequence[FrozenTrial], source: str) -> dict[str, Parameter]:
    """The space: of each parameter its last distribution, and the choice under which it is active.

    Raises:
        SpecError: a parameter cannot be taken over, or there is none.
    """
    latest: dict[str, BaseDistribution] = {}
    for trial in trials:
        latest |= trial.distributions
    if not latest:
        raise SpecError(f"{source}: no trial has a parameter, so there is no space to search")
    whole = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    found: dict[str, Parameter] = {}
    for name, distribution in latest.items():
        try:
            found[name] = parameter_of(distribution, when=_condition(name, latest, whole))
        except SpecError as error:
            raise SpecError([f"{source}: {name}: {fault}" for fault in error.faults]) from None
    return found


def _condition(
    name: str, latest: Mapping[str, BaseDistribution], trials: Sequence[FrozenTrial]
) -> dict[str, tuple[Any, ...]]:
    """The choice, and its values, with which a parameter comes and goes; none where it is always there.

    Also none where no choice tells: then a trial without it counts as if it had its default.
    """
    having = [trial for trial in trials if name in trial.params]
    if not having or len(having) == len(trials):
        return {}
    for other, distribution in latest.items():
        if other == name or not isinstance(distribution, CategoricalDistribution):
            continue
        if not all(other in trial.params for trial in having):
            continue
        having_it = {repr(trial.params[other]) for trial in having}
        without = {repr(t.params[other]) for t in trials if other in t.params and name not in t.params}
        if not having_it & without:
            return {other: tuple(label(c) for c in distribution.choices if repr(c) in having_it)}
    return {}
