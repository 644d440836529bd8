"""NSGA-II's crossover and mutation by Optuna over the unconditional parameters; the others are random.

Generations follow from the history alone and not from notes on trials. With one objective NSGA-II
is a genetic algorithm that keeps the best; with constraints, trials that violate less win against others.
"""

from __future__ import annotations

from operator import is_not

from optuna.samplers import NSGAIISampler
from optuna.study import Study

from tuner.core.seeds import derive
from tuner.core.space import SearchSpace
from tuner.core.spec import SearchSpec
from tuner.optuna_log import quiet
from tuner.search import view
from tuner.search.history import History, Observation
from tuner.search.samplers import Draw, Random, Suggest, fallback

POPULATION = 20
"""Trials of a generation, unless there are more startup trials. Optuna's 50 suits longer studies."""


class NSGA2:
    """Crosses the best trials so far.

    Every further `population` trials with a value make a generation; its parents are the best
    `population` trials of all generations before it.
    """

    def __init__(self, space: SearchSpace, spec: SearchSpec) -> None:
        self._seed = spec.seed
        self._random = Random(space, spec)
        self._population = max(POPULATION, spec.startup_trials)
        self._subspace = view.Subspace.unconditional(space)
        self._shown: tuple[int, list[Observation], Study] | None = None

    def fit(self, history: History) -> Draw:
        """Choose the parents; the study that shows them is built once for each generation."""
        generation = history.values // self._population
        parents = history.best_of_first(generation * self._population, self._population)
        if len(parents) < 2 or not self._subspace.distributions:
            return self._random.draw
        if self._shown is None or self._shown[0] != generation or any(map(is_not, self._shown[1], parents)):
            self._shown = generation, parents, self._study(generation, parents, len(history.objectives))
        study = self._shown[2]
        notes = {NSGAIISampler._get_generation_key(): generation}

        def draw(number: int, attempt: int) -> Suggest:
            seed = derive(self._seed, number, "sampler", attempt)
            with quiet():
                sampler = NSGAIISampler(population_size=self._population, seed=seed)
                child = sampler.sample_relative(
                    study, self._subspace.trial(number, notes=notes), self._subspace.distributions
                )
            return fallback(self._subspace.values(child), self._random.draw(number, attempt))

        return draw

    def _study(self, generation: int, parents: list[Observation], objectives: int) -> Study:
        with quiet():
            shown = [
                self._subspace.trial(o.number, o.row, o.losses or o.value, violation=o.violation)
                for o in parents
            ]
            study = view.study(shown, objectives)
            key = f"{NSGAIISampler._get_parent_cache_key_prefix()}{generation}"
            study._storage.set_study_system_attr(study._study_id, key, [o.number for o in parents])
        return study
