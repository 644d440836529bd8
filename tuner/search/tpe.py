"""Tree-structured Parzen estimator on Optuna's density estimators, fitted once for a batch of trials.

Given the same history and seed, the draw for a group of parameters is that of Optuna's
`TPESampler(multivariate=True, group=True, constant_liar=True)`; but the groups come from the space's
conditions and not from the trials seen so far. Numbering and repeated draws are not known here.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from optuna.samplers._tpe.sampler import default_gamma

from tuner.core.seeds import derive
from tuner.core.space import Parameter, SearchSpace
from tuner.core.spec import SearchSpec
from tuner.core.trial import Value
from tuner.search.distributions import distribution, from_number, is_single
from tuner.search.history import History
from tuner.search.parzen import Axes, Parzen
from tuner.search.samplers import Draw, Random, Suggest

BEST, LAST = 100, 300
"""The window that is learned from: enough for the good trials (25 at most), and bounded."""

CANDIDATES = 24
"""How many draws of the good density compete; Optuna's default."""


class TPE:
    """Models good and bad trials by a density each and asks where their ratio is highest.

    Formulas: Bergstra et al. 2011, section 4; Watanabe 2023 (arXiv:2304.11127). Parameters with
    the same conditions form a group with a joint density. Trials that run count as bad ones.
    """

    def __init__(self, space: SearchSpace, spec: SearchSpec) -> None:
        self._width = len(space)
        self._seed = spec.seed
        self._startup = spec.startup_trials
        self._random = Random(space, spec)
        self._groups = _groups(space)

    def fit(self, history: History) -> Draw:
        """Split the history into good and bad trials; densities are fitted when they are first needed."""
        if len(history) < self._startup:
            return self._random.draw
        observations = history.window(BEST, LAST)
        ranks = sorted(o.rank for o in observations)[: default_gamma(len(observations))]
        good = {rank[-1] for rank in ranks}
        bad = {o.number: o.row for o in observations if o.number not in good} | history.running
        below = _stacked([o.row for o in observations if o.number in good], self._width)
        above = _stacked([bad[number] for number in sorted(bad)], self._width)
        groups = [_Group(space, columns, below, above) for space, columns in self._groups]
        group_of = {name: group for group in groups for name in group.space}

        def draw(number: int, attempt: int) -> Suggest:
            rng = np.random.RandomState(derive(self._seed, number, "sampler", attempt))
            chosen: dict[str, float] = {}

            def suggest(name: str, parameter: Parameter) -> Value:
                # Only the groups that this configuration comes to are drawn.
                if name not in chosen:
                    chosen.update(group_of[name].best_of(rng, CANDIDATES))
                return from_number(parameter, chosen[name])

            return suggest

        return draw


class _Group:
    """The two densities of one group of parameters."""

    def __init__(
        self,
        space: Axes,
        columns: list[int],
        below: NDArray[np.float64],
        above: NDArray[np.float64],
    ) -> None:
        self.space = space
        self._columns = columns
        self._rows = below, above

    @cached_property
    def _densities(self) -> tuple[Parzen, Parzen]:
        below, above = (rows[:, self._columns] for rows in self._rows)
        return (
            Parzen(self.space, below[~np.isnan(below).any(axis=1)]),
            Parzen(self.space, above[~np.isnan(above).any(axis=1)]),
        )

    def best_of(self, rng: np.random.RandomState, count: int) -> dict[str, float]:
        """Of `count` samples of the good density, the one whose ratio to the bad one is highest."""
        below, above = self._densities
        samples = below.sample(rng, count)
        ratio = below.log_density(samples) - above.log_density(samples)
        return dict(zip(self.space, samples[int(np.argmax(ratio))].tolist(), strict=True))


def _groups(space: SearchSpace) -> list[tuple[Axes, list[int]]]:
    """The parameters that are always active together, sorted by name as in Optuna, and their columns."""
    groups: dict[str, list[tuple[str, int]]] = {}
    for column, (name, parameter) in enumerate(space):
        if not is_single(parameter):
            groups.setdefault(repr(sorted(parameter.when.items())), []).append((name, column))
    return [
        (
            Axes({name: distribution(space.parameters[name]) for name, _ in sorted(group)}),
            [c for _, c in sorted(group)],
        )
        for group in groups.values()
    ]


def _stacked(rows: list[NDArray[np.float64]], width: int) -> NDArray[np.float64]:
    return np.array(rows).reshape(len(rows), width)
