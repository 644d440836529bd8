"""Optuna's Parzen estimator, fitted, sampled and evaluated for all parameters at a time.

The kernels, their widths and weights are those that Optuna fits, and from equal random numbers come
equal samples (to rounding). Inside, numbers are shares of a parameter's range, in logarithms where
it has those. Trials are not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.sampler import default_weights
from scipy.special import log_ndtr, ndtr, ndtri

Array = NDArray[np.float64]


class Axes(dict[str, BaseDistribution]):
    """The parameters of a mixture, their bounds in arrays: C choices, G numeric ones, L levels in all.

    Attributes:
        choices: the columns of the choices.
        sizes: (C, 1) how many levels each choice has.
        owner: (L,) the place among the choices of the one that a level belongs to.
        level: (L, 1) the level's index there.
        numeric: the columns of the numeric parameters.
        low: (G, 1) lower bounds; those of stepped parameters lie half a step out, logarithms where `is_log`.
        width: (G, 1) from there to the upper bounds.
        is_log: the places among the numeric ones of those in logarithms.
        stepped: the places of those with steps.
        continuous: the places of the others.
        steps: low, high and step of the stepped ones.
    """

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        super().__init__(space)
        kinds = list(enumerate(space.values()))
        found = [(i, len(d.choices)) for i, d in kinds if isinstance(d, CategoricalDistribution)]
        self.choices = [i for i, _ in found]
        self.sizes = np.array([size for _, size in found], dtype=int)[:, None]
        self.owner = np.repeat(np.arange(len(found)), self.sizes[:, 0])
        self.level = np.array([level for _, size in found for level in range(size)], dtype=float)[:, None]
        numeric = [(i, d) for i, d in kinds if isinstance(d, FloatDistribution | IntDistribution)]
        self.numeric = [i for i, _ in numeric]
        half = np.array([(d.step or 0.0) / 2 for _, d in numeric])
        bounds = np.array([(d.low, d.high) for _, d in numeric]).reshape(-1, 2).T + np.stack([-half, half])
        self.is_log = [g for g, (_, d) in enumerate(numeric) if d.log]
        bounds[:, self.is_log] = np.log(bounds[:, self.is_log])
        self.low, self.width = bounds[0][:, None], (bounds[1] - bounds[0])[:, None]
        self.steps = {g: (d.low, d.high, d.step) for g, (_, d) in enumerate(numeric) if d.step is not None}
        self.stepped = list(self.steps)
        self.continuous = [g for g in range(len(numeric)) if g not in self.steps]

    def scaled(self, cells: Array) -> Array:
        """The numeric columns of (N, ...) cells in logarithms where they have those: (G, N)."""
        numbers = cells.T[self.numeric]
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
        self._axes = axes = space if isinstance(space, Axes) else Axes(space)
        self._count = count = len(cells) + 1
        # No level is the prior's own.
        self._observed = np.full((len(axes.choices), count), -1.0)
        self._observed[:, :-1] = cells.T[axes.choices]
        self._mu, self._sigma = np.full((len(axes.numeric), count), 0.5), np.ones((len(axes.numeric), count))
        if len(cells) and axes.numeric:
            numbers = axes.scaled(cells)
            self._mu[:, :-1] = (numbers - axes.low) / axes.width
            self._sigma[:, :-1] = _widths(numbers, axes)
        self._below = ndtr(-self._mu / self._sigma)
        self._mass = 1.0 - self._below - ndtr((self._mu - 1.0) / self._sigma)
        self._bins: dict[int, dict[float, Array]] = {g: {} for g in axes.stepped}

    def sample(self, rng: np.random.RandomState, size: int) -> Array:
        """Draw (S, C + G) samples, using up `rng` as Optuna does."""
        axes, samples = self._axes, np.empty((size, len(self._axes)))
        # What `rng.choice` does with weights.
        kernels = _shares(self._count).searchsorted(rng.random_sample(size), side="right")  # (S,)
        if axes.choices:
            levels = np.arange(axes.sizes.max())
            weights = (self._observed[:, kernels, None] == levels) + 1.0 / self._count  # (C, S, levels)
            totals = (kernels < self._count - 1) + axes.sizes / self._count  # (C, S)
            below = weights.cumsum(axis=-1) / totals[..., None] < rng.rand(len(axes.choices), size, 1)
            samples[:, axes.choices] = np.minimum(below.sum(axis=-1), axes.sizes - 1).T
        if axes.numeric:
            mu, sigma = self._mu[:, kernels], self._sigma[:, kernels]  # (G, S)
            quantiles = rng.uniform(size=mu.shape) * self._mass[:, kernels] + self._below[:, kernels]
            drawn = axes.low + axes.width * np.clip(mu + sigma * ndtri(quantiles), 0.0, 1.0)
            drawn[axes.is_log] = np.exp(drawn[axes.is_log])
            for g, (low, high, step) in axes.steps.items():
                drawn[g] = np.clip(low + np.round((drawn[g] - low) / step) * step, low, high)
            samples[:, axes.numeric] = drawn.T
        return samples

    def log_density(self, samples: Array) -> Array:
        """The log density (mass, where stepped) of (S, C + G) samples: (S,)."""
        axes, c = self._axes, self._axes.continuous
        x = ((axes.scaled(samples) - axes.low) / axes.width)[c]  # (G', S)
        is_level = samples.T[axes.choices][axes.owner] == axes.level  # (L, S)
        terms = np.concatenate([is_level, x, x * x]).T  # (S, L + 2 G')
        # A few at a time: BLAS must not start threads of its own beside those that train.
        few = [terms[i : i + 4] @ self._slopes for i in range(0, len(samples), 4)]
        log = self._offsets + np.concatenate(few)  # (S, K)
        for g in axes.stepped:
            log += self._log_bins(g, samples[:, axes.numeric[g]].tolist())
        highest = log.max(axis=1)
        return np.asarray(highest + np.log(np.exp(log - highest[:, None]).sum(axis=1)))

    @cached_property
    def _offsets(self) -> Array:
        """What of the kernels' log densities does not depend on the sample: (K,)."""
        axes, c = self._axes, self._axes.continuous
        offsets = np.log(_weights(self._count))
        offsets[:-1] -= np.log(self._count + axes.sizes).sum()
        offsets[-1] -= np.log(axes.sizes).sum()
        constants = np.log(axes.width[c] * np.sqrt(2 * np.pi) * self._sigma[c] * self._mass[c])
        return np.asarray(offsets - (constants + 0.5 * (self._mu[c] / self._sigma[c]) ** 2).sum(axis=0))

    @cached_property
    def _slopes(self) -> Array:
        """What of them is proportional to a level's presence, to x and to its square: (L + 2 G', K)."""
        axes, c = self._axes, self._axes.continuous
        precision = self._sigma[c] ** -2
        is_level = (self._observed[axes.owner] == axes.level) * np.log(self._count + 1)
        return np.concatenate([is_level, self._mu[c] * precision, -0.5 * precision])

    def _log_bins(self, g: int, values: list[float]) -> Array:
        """The log mass of S stepped values under every kernel: (S, K). Values come again, so it is kept."""
        known = self._bins[g]
        new = [value for value in dict.fromkeys(values) if value not in known]
        if new:
            half = self._axes.steps[g][2] / 2
            edges = np.array([[value - half, value + half] for value in new]).T
            if g in self._axes.is_log:
                edges = np.log(edges)
            shares = (edges - self._axes.low[g]) / self._axes.width[g]
            left, right = (shares[..., None] - self._mu[g]) / self._sigma[g]
            known.update(zip(new, _log_mass(left, right) - np.log(self._mass[g]), strict=True))
        return np.array([known[value] for value in values])


def _widths(numbers: Array, axes: Axes) -> Array:
    """The kernels' widths, in shares of the range: the larger gap to a neighbour, within limits: (G, N)."""
    count = numbers.shape[1]
    if count == 1:
        gaps = np.hstack([numbers - axes.low, axes.low + axes.width - numbers])
    else:
        rows, order = np.arange(len(numbers))[:, None], numbers.argsort(axis=1)
        gaps = np.zeros((len(numbers), count + 1))
        gaps[:, 1:-1] = np.diff(numbers[rows, order], axis=1)
    ordered = np.clip(np.maximum(gaps[:, :-1], gaps[:, 1:]) / axes.width, 1.0 / min(100, count + 2), 1.0)
    if count == 1:
        return ordered
    widths = np.empty_like(ordered)
    widths[rows, order] = ordered
    return widths


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


def _log_mass(a: Array, b: Array) -> Array:
    """The log of the standard normal's mass between a and b, from the tail that is closer."""
    right = a > 0
    a, b = np.where(right, -b, a), np.where(right, -a, b)
    log_b = log_ndtr(b)
    with np.errstate(divide="ignore"):
        return np.asarray(log_b + np.log(-np.expm1(log_ndtr(a) - log_b)))
