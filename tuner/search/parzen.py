"""Optuna's Parzen estimator, fitted, sampled and evaluated for all parameters at a time.

The kernels, their widths and weights are those that Optuna fits, and from equal random numbers come
equal samples (to rounding). Inside, numbers are shares of a parameter's range, in logarithms where
it has those.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.sampler import default_weights

Array = NDArray[np.float64]


class Axes(dict[str, BaseDistribution]):
    """The parameters of a mixture and their bounds in arrays: C choices, G numeric ones.

    Attributes:
        choices: (C,) the columns of the choices.
        sizes: (C,) how many levels each has.
        numeric: (G,) the columns of the numeric parameters.
        is_log: (G,) which of them are in logarithms.
        steps: (G, 3) low, high and step of each; a step of 0 for none.
        low: (G,) lower bounds; half a step farther out, and in logarithms, where they have those.
        width: (G,) from there to the upper bounds.
    """

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        super().__init__(space)
        kinds = list(enumerate(space.values()))
        choices = [(i, len(d.choices)) for i, d in kinds if isinstance(d, CategoricalDistribution)]
        self.choices, self.sizes = np.array(choices, dtype=int).reshape(-1, 2).T.copy()
        numeric = [(i, d) for i, d in kinds if isinstance(d, FloatDistribution | IntDistribution)]
        self.numeric = np.array([i for i, _ in numeric], dtype=int)
        self.is_log = np.array([d.log for _, d in numeric], dtype=bool)
        self.steps = np.array([(d.low, d.high, d.step or 0.0) for _, d in numeric]).reshape(-1, 3)
        half = self.steps[:, 2] / 2
        bounds = self.steps[:, :2].T + np.stack([-half, half])
        bounds[:, self.is_log] = np.log(bounds[:, self.is_log])
        self.low, self.width = bounds[0], bounds[1] - bounds[0]

    def scaled(self, cells: Array) -> Array:
        """The numeric columns of (N, C + G) cells, in logarithms where they have those: (G, N)."""
        numbers: Array = cells.T[self.numeric]
        numbers[self.is_log] = np.log(numbers[self.is_log])
        return numbers


class Parzen:
    """A mixture of products: one kernel per observed row and a flat prior, the last one.

    Shapes: N rows, K = N + 1 kernels, S samples; for the others see `Axes`.
    """

    def __init__(self, space: Mapping[str, BaseDistribution], cells: Array) -> None:
        """Fit the kernels.

        Args:
            space: the parameters; as `Axes` where they are fitted again and again.
            cells: (N, C + G) numbers of the observed rows, in the order of their trials.
        """
        from tuner.search import kernels  # loads numba, which the first trials do not wait for

        self._kernels = kernels
        self._axes = axes = space if isinstance(space, Axes) else Axes(space)
        self._count = count = len(cells) + 1
        # No level is the prior's own.
        self._observed = np.full((len(axes.choices), count), -1)
        self._observed[:, :-1] = cells.T[axes.choices]
        self._mu, self._sigma, self._below, self._mass = np.empty((4, len(axes.numeric), count))
        numbers = axes.scaled(cells)
        kernels.fit(
            numbers, numbers.argsort(axis=1), axes.low, axes.width,
            self._mu, self._sigma, self._below, self._mass,
        )  # fmt: skip

    def sample(self, rng: np.random.RandomState, size: int) -> Array:
        """Draw (S, C + G) samples, using up `rng` as Optuna does."""
        from scipy.special import ndtri  # takes 0.15 s to load, which the first trials do not wait for

        axes, samples = self._axes, np.empty((size, len(self._axes)))
        # What `rng.choice` does with weights.
        chosen = _shares(self._count).searchsorted(rng.random_sample(size), side="right")  # (S,)
        chances = rng.random_sample((len(axes.choices), size))
        quantiles = rng.random_sample((len(axes.numeric), size))
        normal = ndtri(quantiles * self._mass[:, chosen] + self._below[:, chosen])
        self._kernels.place(
            chosen, chances, normal, self._observed, axes.sizes, self._mu, self._sigma,
            axes.low, axes.width, axes.is_log, axes.steps, axes.choices, axes.numeric, samples,
        )  # fmt: skip
        return samples

    def log_density(self, samples: Array) -> Array:
        """The log density (mass, where stepped) of (S, C + G) samples: (S,)."""
        axes = self._axes
        found: Array = self._kernels.log_density(
            samples, _weights(self._count), self._observed, axes.sizes, self._mu, self._sigma, self._mass,
            axes.low, axes.width, axes.is_log, axes.steps, axes.choices, axes.numeric,
        )  # fmt: skip
        return found


@lru_cache(maxsize=1024)
def _weights(count: int) -> Array:
    """The weights of as many kernels: (K,)."""
    weights = np.append(default_weights(count - 1), 1.0)
    return np.asarray(weights / weights.sum())


@lru_cache(maxsize=1024)
def _shares(count: int) -> Array:
    """Their sums: (K,)."""
    shares = _weights(count).cumsum()
    return np.asarray(shares / shares[-1])
