"""A scrambled Sobol sequence over the whole space, the trial's number being the index into it.

Optuna's QMCSampler keeps the index in the study and leaves conditional parameters to chance; here
every parameter has a coordinate, active or not, and nothing needs to be kept. Results are ignored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats.qmc import Sobol

from tuner.core.seeds import derive
from tuner.core.space import Parameter, SearchSpace
from tuner.core.spec import SearchSpec
from tuner.core.trial import Value
from tuner.search.distributions import from_share
from tuner.search.history import History
from tuner.search.samplers import Draw, Random, Suggest, first_drawn


class QMC:
    """Covers the space more evenly than chance does."""

    def __init__(self, space: SearchSpace, spec: SearchSpec) -> None:
        self._columns = {name: column for column, (name, _) in enumerate(space)}
        self._engine = Sobol(len(space), scramble=True, seed=derive(spec.seed, -1, "sampler"))
        self._first = first_drawn(space, spec)
        self._random = Random(space, spec)

    def fit(self, history: History) -> Draw:  # noqa: ARG002
        """Nothing is learned."""
        return self._draw

    def _draw(self, number: int, attempt: int) -> Suggest:
        if attempt:
            # The point of this number is taken; a random one does not upset the sequence.
            return self._random.draw(number, attempt)
        point = self._point(max(0, number - self._first))

        def suggest(name: str, parameter: Parameter) -> Value:
            return from_share(parameter, float(point[self._columns[name]]))

        return suggest

    def _point(self, index: int) -> NDArray[np.float64]:
        if index < self._engine.num_generated:
            self._engine.reset()
        if index > self._engine.num_generated:
            self._engine.fast_forward(index - self._engine.num_generated)
        return np.asarray(self._engine.random(1)[0])
