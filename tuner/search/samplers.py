"""What a sampler is, random draws, and the sampler that a study names.

A sampler is fitted to the history once for every batch of trials and then draws one configuration
after the other, each from the seed of its own number. Duplicates are the searcher's business.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tuner import plugins
from tuner.core.seeds import derive
from tuner.core.space import Parameter, SearchSpace
from tuner.core.spec import SearchSpec, StudySpec
from tuner.core.trial import Value
from tuner.errors import PluginError, TunerError, described
from tuner.search.distributions import from_share
from tuner.search.history import History

GROUP = "tuner.samplers"
"""The entry points that samplers are registered under."""

Suggest = Callable[[str, Parameter], Value]
"""Gives a parameter its value; asked for the active parameters only, in the space's order."""

Draw = Callable[[int, int], Suggest]
"""Starts the configuration of a trial number and an attempt; the one before it is complete by then."""


class Sampler(Protocol):
    """Chooses configurations. What it draws is a function of the history, the number and the attempt.

    A class that is made from a `SearchSpace` and a `SearchSpec`. It may have an attribute ``listed``, the
    configurations to begin with, and say with ``objectives = 1`` and ``constraints = False`` what it
    cannot take into account. A sampler class of Optuna's is one, too: see `foreign`.
    """

    def fit(self, history: History) -> Draw | None:
        """Learn from the history; None where there is nothing but what is listed.

        The draw may look at `history.running` again, which grows by each trial of the batch.
        """


class Random:
    """Draws every parameter evenly on its scale."""

    def __init__(self, space: SearchSpace, spec: SearchSpec) -> None:  # noqa: ARG002
        self._seed = spec.seed

    def fit(self, history: History) -> Draw:  # noqa: ARG002
        """Nothing is learned."""
        return self.draw

    def draw(self, number: int, attempt: int) -> Suggest:
        """Start a configuration."""
        rng = random.Random(derive(self._seed, number, "sampler", attempt))  # noqa: S311
        return lambda _, parameter: from_share(parameter, rng.random())


def fallback(values: Mapping[str, Value], otherwise: Suggest) -> Suggest:
    """Suggest the values there are, and something else for the other parameters."""
    return lambda name, parameter: values[name] if name in values else otherwise(name, parameter)


def first_drawn(space: SearchSpace, spec: SearchSpec) -> int:
    """The number of the first trial that a sampler draws, after the default configuration and the presets."""
    return sum(1 for _ in space.presets()) if spec.presets else 1


def build(space: SearchSpace, spec: SearchSpec) -> Sampler:
    """The sampler that `spec` names.

    Raises:
        PluginError: the name leads nowhere, or to something that cannot sample.
        SpecError: the sampler cannot work with the space.
    """
    found = _found(spec.sampler)
    try:
        sampler: Sampler = found(space, spec)
    except (TunerError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise PluginError(f"{spec.sampler}: cannot be set up: {described(error)}") from error
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
    found = plugins.load(name, GROUP)
    if isinstance(found, type) and any(c.__module__.startswith("optuna.samplers") for c in found.__mro__):
        from tuner.search.foreign import adapted

        return adapted(found)
    return found
