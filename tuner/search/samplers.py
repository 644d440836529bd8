"""What a sampler is, random draws, and the samplers by name.

A sampler is fitted to the history once for every batch of trials and then draws one configuration
after the other, each from the seed of its own number. Duplicates are the searcher's business.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Protocol

from tuner.core.seeds import derive
from tuner.core.space import Parameter, SearchSpace
from tuner.core.spec import SearchSpec
from tuner.core.trial import Value
from tuner.search.distributions import from_share
from tuner.search.history import History

Suggest = Callable[[str, Parameter], Value]
"""Gives a parameter its value; asked for the active parameters only, in the space's order."""

Draw = Callable[[int, int], Suggest]
"""Starts the configuration of a trial number and an attempt; the one before it is complete by then."""


class Sampler(Protocol):
    """Chooses configurations. What it draws is a function of the history, the number and the attempt."""

    def fit(self, history: History) -> Draw:
        """Learn from the history.

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


SAMPLERS = {
    "tpe": "tuner.search.tpe:TPE",
    "gp": "tuner.search.gp:GP",
    "cmaes": "tuner.search.cma:CMAES",
    "nsga2": "tuner.search.nsga2:NSGA2",
    "qmc": "tuner.search.qmc:QMC",
    "random": "tuner.search.samplers:Random",
}
"""Imported only when named: SciPy, cmaes and torch take seconds."""


def first_drawn(space: SearchSpace, spec: SearchSpec) -> int:
    """The number of the first trial that a sampler draws, after the default configuration and the presets."""
    return sum(1 for _ in space.presets()) if spec.presets else 1


def build(space: SearchSpace, spec: SearchSpec) -> Sampler:
    """The sampler that `spec` names."""
    module, _, name = SAMPLERS[spec.sampler].partition(":")
    sampler: Sampler = getattr(import_module(module), name)(space, spec)
    return sampler
