"""Optuna's Parzen estimator with vectorized sampling and densities.

The kernels, their widths and weights are those that Optuna fits, and from equal random numbers come
equal samples (to rounding); only the special functions are SciPy's, computed for whole arrays at a
time, and what does not depend on the sample is computed once. Trials are not known here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.probability_distributions import _BatchedCategoricalDistributions
from optuna.samplers._tpe.sampler import default_weights
from scipy.special import log_ndtr, ndtri_exp

Array = NDArray[np.float64]

_PARAMETERS = _ParzenEstimatorParameters(
    prior_weight=1.0,
    consider_magic_clip=True,
    consider_endpoints=False,
    weights=default_weights,
    multivariate=True,
)


class Parzen:
    """A mixture of products: one kernel per observed row and a flat prior.

    Shapes: K kernels, S samples, G parameters, of which C are neither choices nor stepped.
    """

    def __init__(self, space: Mapping[str, BaseDistribution], cells: Array) -> None:
        """Fit the kernels.

        Args:
            space: G parameters.
            cells: (N, G) numbers of the observed rows, in the order of their trials.
        """
        columns = dict(zip(space, cells.T, strict=True))
        mixture = _ParzenEstimator(columns, dict(space), _PARAMETERS)._mixture_distribution
        self._weights: Array = mixture.weights  # (K,)
        kinds = list(enumerate(mixture.distributions))
        self._choices = {
            i: d.weights for i, d in kinds if isinstance(d, _BatchedCategoricalDistributions)
        }  # (K, choices)
        self._log_choices = {i: np.log(w) for i, w in self._choices.items()}
        numeric = [(i, d) for i, d in kinds if not isinstance(d, _BatchedCategoricalDistributions)]
        self._columns = [i for i, _ in numeric]
        self._dimensions = len(kinds)
        shape = (len(numeric), len(self._weights))
        self._mu = np.array([d.mu for _, d in numeric]).reshape(shape)  # (G', K)
        self._sigma = np.array([d.sigma for _, d in numeric]).reshape(shape)
        self._low = np.array([d.low for _, d in numeric])
        self._high = np.array([d.high for _, d in numeric])
        self._step = np.array([d.step for _, d in numeric], dtype=float)
        self._is_log = np.array([d.is_log for _, d in numeric], dtype=bool)
        lowest = np.array([d.adapted_low for _, d in numeric])[:, None]
        highest = np.array([d.adapted_high for _, d in numeric])[:, None]
        self._a = (lowest - self._mu) / self._sigma
        self._b = (highest - self._mu) / self._sigma
        self._log_mass = _log_mass(self._a, self._b)  # (G', K)
        self._stepped = np.flatnonzero(self._step).tolist()
        self._continuous = np.flatnonzero(self._step == 0.0).tolist()
        c = self._continuous
        constants = np.log(self._sigma[c]) + self._log_mass[c] + 0.5 * np.log(2 * np.pi)
        # What does not depend on the sample, of all kernels: (K,)
        self._log_kernels = np.log(self._weights) - constants.sum(axis=0)
        self._bins: dict[int, dict[float, Array]] = {j: {} for j in self._stepped}

    def sample(self, rng: np.random.RandomState, size: int) -> Array:
        """Draw (S, G) samples, using up `rng` as Optuna does."""
        kernels = rng.choice(len(self._weights), p=self._weights, size=size)  # (S,)
        samples = np.empty((size, self._dimensions))
        for i, weights in self._choices.items():
            shares = np.cumsum(weights[kernels], axis=-1)
            shares[:, -1] = 1.0
            samples[:, i] = (shares < rng.rand(size)[:, None]).sum(axis=-1)
        if self._columns:
            quantiles = rng.uniform(size=(len(self._columns), size))  # (G', S)
            at = np.ix_(np.arange(len(self._columns)), kernels)
            drawn = _quantile(quantiles, self._a[at], self._b[at], self._log_mass[at])
            drawn = drawn * self._sigma[at] + self._mu[at]
            drawn[self._is_log] = np.exp(drawn[self._is_log])
            for j in self._stepped:
                low, step = self._low[j], self._step[j]
                drawn[j] = np.clip(low + np.round((drawn[j] - low) / step) * step, low, self._high[j])
            samples[:, self._columns] = drawn.T
        return samples

    def log_density(self, samples: Array) -> Array:
        """The log density (mass, where stepped) of (S, G) samples: (S,)."""
        log = np.tile(self._log_kernels, (len(samples), 1))  # (S, K)
        for i, log_choice in self._log_choices.items():
            log += log_choice[:, samples[:, i].astype(int)].T
        x = samples[:, self._columns].T  # (G', S)
        for j in self._stepped:
            log += self._log_bins(j, x[j].tolist())
        for j in self._continuous:
            scaled = np.log(x[j]) if self._is_log[j] else x[j]
            z = (scaled[:, None] - self._mu[j]) / self._sigma[j]  # (S, K)
            log -= 0.5 * z * z
        highest = log.max(axis=1)
        return np.asarray(highest + np.log(np.exp(log - highest[:, None]).sum(axis=1)))

    def _log_bins(self, j: int, values: list[float]) -> Array:
        """The log mass of S stepped values under every kernel: (S, K). Values come again, so it is kept."""
        known = self._bins[j]
        new = [value for value in dict.fromkeys(values) if value not in known]
        if new:
            half = self._step[j] / 2
            edges = np.array([[value - half, value + half] for value in new]).T
            left, right = (
                (np.log(edges) if self._is_log[j] else edges)[..., None] - self._mu[j]
            ) / self._sigma[j]
            known.update(zip(new, _log_mass(left, right) - self._log_mass[j], strict=True))
        return np.array([known[value] for value in values])


def _log_mass(a: Array, b: Array) -> Array:
    """The log of the standard normal's mass between a and b, from the tail that is closer."""
    right = a > 0
    a, b = np.where(right, -b, a), np.where(right, -a, b)
    log_b = log_ndtr(b)
    with np.errstate(divide="ignore"):
        return np.asarray(log_b + np.log(-np.expm1(log_ndtr(a) - log_b)))


def _quantile(q: Array, a: Array, b: Array, log_mass: Array) -> Array:
    """The q-quantile of the standard normal truncated to [a, b], from the tail that is closer."""
    flipped = a >= 0
    with np.errstate(divide="ignore"):
        share = np.where(flipped, np.log1p(-q), np.log(q))
    x = ndtri_exp(np.logaddexp(log_ndtr(np.where(flipped, -b, a)), share + log_mass))
    return np.asarray(np.clip(np.where(flipped, -x, x), a, b))
