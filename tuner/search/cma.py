"""CMA-ES over the unconditional numeric parameters; the others are drawn at random.

Uses the `cmaes` package, as Optuna's CmaEsSampler does. That one pickles its state into whichever
trial comes next; here the state is a fold over blocks of trial numbers, so that it follows from the
history alone.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import count, islice

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

KEPT = 50
"""So many states are kept: learning one of the last generations anew does not start from the first."""


@dataclass(slots=True)
class _Generation:
    """A block of trials that was learned from.

    Attributes:
        first: its lowest number.
        solutions: the trials' numbers and rows, the best first.
        before: the optimizer until then; None where it is no longer kept.
        restarts: how often it had been restarted.
    """

    first: int
    solutions: list[tuple[int, bytes]]
    before: CMA | None
    restarts: int


class CMAES:
    """Covariance matrix adaptation.

    A generation is a block of consecutive trial numbers, those outside of the space left out, and
    is learned from when all of its trials are over or paused; while they run, further trials are
    drawn from the last state. Only the order of the trials within a block matters, so trials that
    were cut early or are paused count too, behind the others, and failed ones last. Where a paused
    trial goes on and comes to another place in its block, what was learned from there on is
    learned anew.
    """

    objectives = 1

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
        self._next = first_drawn(space, spec)
        self._generations: list[_Generation] = []
        self._looked_at = 0

    def fit(self, history: History) -> Draw:
        """Learn from every generation that is settled, anew from the first one that has changed."""
        for number in {*history.replaced[self._looked_at :]}:
            self._forget_from(history, number)
        self._looked_at = len(history.replaced)
        while block := self._block(history, self._next):
            self._learn(history, block)
        return self._draw

    def _forget_from(self, history: History, number: int) -> None:
        """Forget what was learned from the trial's generation on, if that came out differently now."""
        index = bisect_right(self._generations, number, key=lambda g: g.first) - 1
        if index < 0:
            return
        known = self._generations[index]
        block = self._block(history, known.first)
        if block and self._solutions(history, block) == known.solutions:
            return
        while index and self._generations[index].before is None:
            index -= 1
        start = self._generations[index]
        del self._generations[index:]
        self._next, self._restarts = start.first, start.restarts
        self._optimizer = self._start() if start.before is None else start.before

    def _start(self) -> CMA:
        """A fresh optimizer: from the middle of the space, after a restart from anywhere."""
        seed = derive(self._seed, -1, "sampler", self._restarts)
        middle = np.full(self._dimensions, 0.5)
        anywhere = np.random.RandomState(seed).uniform(0.2, 0.8, self._dimensions)
        bounds = np.tile([0.0, 1.0], (self._dimensions, 1))
        return CMA(anywhere if self._restarts else middle, SIGMA, bounds=bounds, seed=seed)

    def _block(self, history: History, first: int) -> list[int]:
        """The numbers of a generation; empty while it is not settled."""
        fitting = (number for number in count(first) if number not in history.outside)
        block = list(islice(fitting, self._optimizer.population_size))
        return block if all(map(history.is_settled, block)) else []

    def _solutions(self, history: History, block: list[int]) -> list[tuple[int, bytes]]:
        """What a generation teaches: its trials' order and rows."""
        worst = (True, 2, 0.0, 0)
        seen = {number: history.get(number) for number in block}
        ranked = sorted(block, key=lambda n: o.rank if (o := seen[n]) else worst)
        return [(n, o.row.tobytes() if (o := seen[n]) else b"") for n in ranked]

    def _learn(self, history: History, block: list[int]) -> None:
        solutions = self._solutions(history, block)
        self._generations.append(_Generation(self._next, solutions, _copy(self._optimizer), self._restarts))
        if len(self._generations) > KEPT:
            self._generations[-KEPT - 1].before = None
        points = [self._point(history, number) for number, _ in solutions]
        self._optimizer.tell([(point, float(rank)) for rank, point in enumerate(points)])
        self._next = block[-1] + 1
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


def _copy(optimizer: CMA) -> CMA:
    """An optimizer that goes on identically; what `copy` makes has other last digits in its covariance."""
    made = CMA.__new__(CMA)
    made.__dict__ |= {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in vars(optimizer).items()}
    return made
