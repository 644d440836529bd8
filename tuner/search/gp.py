"""Gaussian process by Optuna over the unconditional parameters; the others are drawn at random.

torch is loaded by Optuna at the first fit, which sets torch's thread count to one and back again: a
process that asks must not train in another thread meanwhile.
Trials that were cut before their worth was known are not learned from.
"""

from __future__ import annotations

from optuna.samplers import GPSampler

from tuner.core.seeds import derive
from tuner.core.space import SearchSpace
from tuner.core.spec import SearchSpec
from tuner.optuna_log import quiet
from tuner.search import view
from tuner.search.history import History
from tuner.search.samplers import Draw, Random, Suggest, fallback

BEST, LAST = 50, 100
"""The window that is learned from; the cost of a fit grows with its cube."""


class GP:
    """Expected improvement under a Gaussian process, trials that run being imagined (qLogEI)."""

    objectives, constraints = 1, False

    def __init__(self, space: SearchSpace, spec: SearchSpec) -> None:
        self._seed = spec.seed
        self._startup = spec.startup_trials
        self._random = Random(space, spec)
        self._subspace = view.Subspace.unconditional(space)

    def fit(self, history: History) -> Draw:
        """Choose the trials to learn from."""
        subspace = self._subspace
        learned = history.valued(BEST, LAST)
        if len(learned) < self._startup or not subspace.distributions:
            return self._random.draw
        complete = [subspace.trial(o.number, o.row, o.value) for o in learned]

        def draw(number: int, attempt: int) -> Suggest:
            seed = derive(self._seed, number, "sampler", attempt)
            running = [subspace.trial(n, row) for n, row in sorted(history.running.items())]
            with quiet():
                study = view.study([*complete, *running])
                # A fresh one for every trial: one that is kept starts from its last fit.
                sampler = GPSampler(seed=seed, n_startup_trials=self._startup)
                chosen = sampler.sample_relative(study, subspace.trial(number), subspace.distributions)
            return fallback(subspace.values(chosen), self._random.draw(number, attempt))

        return draw
