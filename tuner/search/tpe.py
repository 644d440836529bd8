"""Tree-structured Parzen estimator on Optuna's density estimators, fitted once for a batch of trials.

Given the same history and seed, the draw for a group of parameters is that of Optuna's
`TPESampler(multivariate=True, group=True, constant_liar=True)`; but the groups come from the space's
conditions and not from the trials seen so far.
"""

from __future__ import annotations

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
    the same conditions form a group with a joint density. Trials that run count as bad ones. Of
    several objectives, good are the trials that no other one dominates: Ozaki et al. 2022, section 4.
    """

    def __init__(self, space: SearchSpace, spec: SearchSpec) -> None:
        self._seed = spec.seed
        self._startup = spec.startup_trials
        self._random = Random(space, spec)
        self._rng = np.random.RandomState(spec.seed)
        self._groups = _groups(space)

    def prepare(self) -> None:
        """Load the compiled kernels."""
        for group in self._groups.values():
            group.try_out()

    def fit(self, history: History) -> Draw:
        """Split the history into good and bad trials; densities are fitted when they are first needed."""
        if len(history) < self._startup:
            return self._random.draw
        observations = history.window(BEST, LAST)
        good = history.good(observations, default_gamma(len(observations)))
        bad = {o.number for o in observations} - good | history.running.keys()
        below, above = history.rows(sorted(good)), history.rows(sorted(bad))
        fitted: dict[_Group, tuple[Parzen, Parzen]] = {}

        def draw(number: int, attempt: int) -> Suggest:
            # Ninety times cheaper than a new one.
            self._rng.seed(derive(self._seed, number, "sampler", attempt))
            chosen: dict[str, float] = {}

            def suggest(name: str, parameter: Parameter) -> Value:
                # Only the groups that this configuration comes to are drawn.
                if name not in chosen:
                    group = self._groups[name]
                    if group not in fitted:
                        fitted[group] = group.fit(below, above)
                    chosen.update(group.best_of(CANDIDATES, self._rng, *fitted[group]))
                return from_number(parameter, chosen[name])

            return suggest

        return draw


class _Group:
    """Parameters that are always active together, sorted by name as in Optuna."""

    def __init__(self, space: SearchSpace, columns: dict[str, int]) -> None:
        self._axes = Axes({name: distribution(space.parameters[name]) for name in sorted(columns)})
        self._columns = np.array([columns[name] for name in self._axes])
        self._known: tuple[bytes, Parzen] | None = None

    def fit(self, below: NDArray[np.float64], above: NDArray[np.float64]) -> tuple[Parzen, Parzen]:
        """The densities of the rows that have the parameters; the good one is kept while its rows stay."""
        good, bad = (_with(rows, self._columns) for rows in (below, above))
        key = good.tobytes()
        if self._known is None or self._known[0] != key:
            self._known = key, Parzen(self._axes, good)
        return self._known[1], Parzen(self._axes, bad)

    def try_out(self) -> None:
        """Draw from densities of no rows; touches nothing that a draw depends on."""
        flat = Parzen(self._axes, np.zeros((0, len(self._axes))))
        self.best_of(1, np.random.RandomState(0), flat, flat)

    def best_of(
        self, count: int, rng: np.random.RandomState, below: Parzen, above: Parzen
    ) -> dict[str, float]:
        """Of `count` samples of the good density, the one whose ratio to the bad one is highest."""
        samples = below.sample(rng, count)
        best = int(np.argmax(below.log_density(samples) - above.log_density(samples)))
        return dict(zip(self._axes, samples[best].tolist(), strict=True))


def _with(rows: NDArray[np.float64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Some columns of the rows that have them."""
    there = np.flatnonzero(~np.isnan(rows[:, columns[0]]))
    return rows[there[:, None], columns]


def _groups(space: SearchSpace) -> dict[str, _Group]:
    """Every parameter's group: those that stand under the same conditions."""
    groups: dict[str, dict[str, int]] = {}
    for column, (name, parameter) in enumerate(space):
        if not is_single(parameter):
            groups.setdefault(repr(sorted(parameter.when.items())), {})[name] = column
    return {
        name: group for columns in groups.values() for group in [_Group(space, columns)] for name in columns
    }
