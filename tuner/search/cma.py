"""CMA-ES over the unconditional numeric parameters; the others are drawn at random.

Uses the `cmaes` package, as Optuna's CmaEsSampler does. That one pickles its state into whichever
trial comes next; here the state is a fold over blocks of trial numbers, so that it follows from the
history alone. Which trials run at once is not known here.
"""

from __future__ import annotations

import numpy as np
from cmaes import CMA  # type: ignore[import-untyped]
from numpy.typing import NDArray

from tuner.core.seeds import derive
from tuner.core.space import Choice, SearchSpace
from tuner.core.spec import SearchSpec
from tuner.search.distributions import from_share, is_single, to_share
from tuner.search.history import History
from tuner.search.samplers import Draw, Random, Suggest, fallback, first_drawn

SIGMA = 1 / 6
"""The first step size in the unit cube, as in Optuna."""


class CMAES:
    """Covariance matrix adaptation.

    A generation is a block of consecutive trial numbers and is learned from when all of its trials
    are over; while they run, further trials are drawn from the last state. Only the order of the
    trials within a block matters, so trials that were cut early count too, behind the others, and
    failed ones last.
    """

    def __init__(self, space: SearchSpace, spec: SearchSpec) -> None:
        self._seed = spec.seed
        self._random = Random(space, spec)
        self._searched = {
            name: (column, parameter)
            for column, (name, parameter) in enumerate(space)
            if not (isinstance(parameter, Choice) or parameter.when or is_single(parameter))
        }
        # The package needs two dimensions; one that nothing depends on does no harm.
        self._dimensions = max(2, len(self._searched))
        self._restarts = 0
        self._optimizer = self._start()
        self._first = first_drawn(space, spec)

    def fit(self, history: History) -> Draw:
        """Learn from every generation that is over."""
        while all(history.is_over(number) for number in self._block()):
            self._learn(history)
        return self._draw

    def _start(self) -> CMA:
        """A fresh optimizer: from the middle of the space, after a restart from anywhere."""
        seed = derive(self._seed, -1, "sampler", self._restarts)
        middle = np.full(self._dimensions, 0.5)
        anywhere = np.random.RandomState(seed).uniform(0.2, 0.8, self._dimensions)
        bounds = np.tile([0.0, 1.0], (self._dimensions, 1))
        return CMA(anywhere if self._restarts else middle, SIGMA, bounds=bounds, seed=seed)

    def _block(self) -> range:
        return range(self._first, self._first + self._optimizer.population_size)

    def _learn(self, history: History) -> None:
        block = self._block()
        worst = (True, 2, 0.0, 0)
        ranked = sorted(block, key=lambda n: o.rank if (o := history.get(n)) else worst)
        points = [self._point(history, number) for number in ranked]
        self._optimizer.tell([(point, float(rank)) for rank, point in enumerate(points)])
        self._first = block.stop
        if self._optimizer.should_stop():
            self._restarts += 1
            self._optimizer = self._start()

    def _point(self, history: History, number: int) -> NDArray[np.float64]:
        """Where a trial lies in the unit cube; at the mean, where it teaches nothing, if it is not known."""
        point = np.full(self._dimensions, 0.5)
        observation = history.get(number)
        if observation is None:
            return np.array(self._optimizer.mean)
        for i, (column, parameter) in enumerate(self._searched.values()):
            cell = float(observation.row[column])
            point[i] = self._optimizer.mean[i] if np.isnan(cell) else to_share(parameter, cell)
        return point

    def _draw(self, number: int, attempt: int) -> Suggest:
        otherwise = self._random.draw(number, attempt)
        self._optimizer._rng.seed(derive(self._seed, number, "sampler", attempt))
        shares = zip(self._searched.items(), self._optimizer.ask().tolist(), strict=False)
        values = {name: from_share(parameter, share) for (name, (_, parameter)), share in shares}
        return fallback(values, otherwise)
