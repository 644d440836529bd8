"""Samplers of Optuna's own kind, which a study names by their class.

Imported only where a study names one. A fresh sampler is made for every trial, from the seed of its
number, and is shown the trials of a bounded window: notes that it keeps for later are lost.
"""

from __future__ import annotations

import inspect

from optuna.samplers import BaseSampler

from tuner.core.seeds import derive
from tuner.core.space import Parameter, SearchSpace
from tuner.core.spec import SearchSpec
from tuner.core.trial import Value
from tuner.optuna_log import quiet
from tuner.search import view
from tuner.search.distributions import is_single
from tuner.search.history import History
from tuner.search.samplers import Draw, Random, Suggest

BEST, LAST = 100, 300
"""The window that is learned from, as of tpe."""


class OptunaSampler:
    """A sampler from a class of Optuna's, which is made without arguments but ``seed``."""

    def __init__(self, sampler: type[BaseSampler], space: SearchSpace, spec: SearchSpec) -> None:
        self._make, self._seed = sampler, spec.seed
        self._takes_seed = "seed" in inspect.signature(sampler).parameters
        self._startup = spec.startup_trials
        self._random = Random(space, spec)
        self._subspace = view.Subspace(space, [name for name, p in space if not is_single(p)])

    def fit(self, history: History) -> Draw:
        """Choose the trials to learn from."""
        subspace, several = self._subspace, len(history.objectives)
        learned = history.valued(BEST, LAST)
        if len(learned) < self._startup:
            return self._random.draw
        complete = [
            subspace.trial(o.number, o.row, o.losses or o.value, violation=o.violation) for o in learned
        ]

        def draw(number: int, attempt: int) -> Suggest:
            seed = derive(self._seed, number, "sampler", attempt)
            running = [subspace.trial(n, row) for n, row in sorted(history.running.items())]
            trial = subspace.trial(number)
            with quiet():
                study = view.study([*complete, *running], several)
                sampler = self._make(**({"seed": seed} if self._takes_seed else {}))
                chosen = sampler.sample_relative(
                    study, trial, sampler.infer_relative_search_space(study, trial)
                )

            def suggest(name: str, parameter: Parameter) -> Value:  # noqa: ARG001
                if name not in chosen:
                    found = subspace.distributions[name]
                    with quiet():
                        chosen[name] = sampler.sample_independent(study, trial, name, found)
                return subspace.values({name: chosen[name]})[name]

            return suggest

        return draw
