"""The grid of a space, shuffled.

The searcher passes over what was asked before.
"""

from __future__ import annotations

import random
from collections import Counter

from tuner.core.seeds import derive
from tuner.core.space import SearchSpace
from tuner.core.spec import SearchSpec
from tuner.core.trial import Value
from tuner.errors import SpecError
from tuner.search.history import History

LARGEST = 100_000
"""The most configurations a grid may have."""


class Grid:
    """Lists every configuration of the grid, in an order that depends on the seed only, and draws none."""

    def __init__(self, space: SearchSpace, spec: SearchSpec) -> None:
        size = grid_size(space, spec.grid_points)
        if size > LARGEST:
            raise SpecError(
                f"search.sampler: a grid of this space has {size:,} configurations with grid_points = "
                f"{spec.grid_points}, and {LARGEST:,} are the limit; lower search.grid_points, fix or drop "
                'parameters, or take sampler = "qmc"'
            )
        self.listed = list(space.grid(spec.grid_points))
        random.Random(derive(spec.seed, -1, "sampler")).shuffle(self.listed)  # noqa: S311

    def fit(self, history: History) -> None:
        """Nothing is learned."""


def grid_size(space: SearchSpace, points: int) -> int:
    """How many configurations the grid has, counted without making them."""
    conditions = {other for _, parameter in space for other in parameter.when}
    counts: Counter[tuple[tuple[str, Value], ...]] = Counter({tuple(space.fixed.items()): 1})
    for name, parameter in space:
        values = parameter.grid(points)
        grown: Counter[tuple[tuple[str, Value], ...]] = Counter()
        for chosen, count in counts.items():
            if not parameter.active_under(dict(chosen)):
                grown[chosen] += count
            elif name not in conditions:
                grown[chosen] += count * len(values)
            else:
                for value in values:
                    grown[*chosen, (name, value)] += count
        counts = grown
    return counts.total()
