"""The sampler that a study names: a registered one, a class of one's own, or one of Optuna's."""

from __future__ import annotations

from typing import Any

from tuner import registry
from tuner.core.space import SearchSpace
from tuner.core.spec import SearchSpec, StudySpec
from tuner.errors import PluginError
from tuner.search.samplers import Sampler

GROUP = "tuner.samplers"
"""The entry points that samplers are registered under."""


def build(space: SearchSpace, spec: SearchSpec) -> Sampler:
    """The sampler that `spec` names.

    Raises:
        PluginError: the name leads nowhere, or to something that cannot sample.
        SpecError: the sampler cannot work with the space.
    """
    sampler: Sampler = registry.set_up(spec.sampler, _found(spec.sampler), space, spec)
    if not callable(getattr(sampler, "fit", None)):
        raise PluginError(f"{spec.sampler}: cannot sample; give a class with fit, or one of Optuna's")
    return sampler


def faults(spec: StudySpec) -> list[str]:
    """What of a study's objectives its sampler cannot take into account."""
    objective, name = spec.objective, spec.search.sampler
    if not (objective.also or objective.at_most or objective.at_least):
        return []
    found = _found(name)
    if objective.also and getattr(found, "objectives", 2) == 1:
        words = f"objective.also: the sampler '{name}' knows one objective"
        return [f'{words}; take search.sampler = "tpe" or "nsga2"']
    if (objective.at_most or objective.at_least) and not getattr(found, "constraints", True):
        words = f"objective: the sampler '{name}' knows no constraints"
        return [f'{words}; take search.sampler = "tpe", "nsga2" or "cmaes"']
    return []


def _found(name: str) -> Any:
    """The class, or the function, that makes a sampler; imported only now: some take seconds."""
    found = registry.load(name, GROUP)
    if isinstance(found, type) and any(c.__module__.startswith("optuna.samplers") for c in found.__mro__):
        from tuner.search.optuna_sampler import adapted

        return adapted(found)
    return found
