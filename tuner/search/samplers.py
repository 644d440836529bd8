"""What a sampler is, and random draws.

A sampler is fitted to the history once for every batch of trials and then draws one configuration
after the other, each from the seed of its own number. Duplicates are the searcher's business.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
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
    """Chooses configurations. What it draws is a function of the history, the number and the attempt.

    A class that is made from a `SearchSpace` and a `SearchSpec`. It may have an attribute ``listed``, the
    configurations to begin with, and say with ``objectives = 1`` and ``constraints = False`` what it
    cannot take into account. A sampler class of Optuna's is one, too: see `optuna_sampler`.
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
