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

SERIAL = 2**18
"""Products of so many terms take BLAS one thread; more would get in the way of those that train."""


class Axes(dict[str, BaseDistribution]):
    """The parameters of a mixture and their bounds in arrays: C choices, G numeric ones.

    A sample's T terms are those in which the log density of a kernel is linear: one, whether each
    level of each choice is there (L in all), and each continuous number and its square (G' each).

    Attributes:
        choices: the columns of the choices.
        sizes: (C, 1) how many levels each has.
        firsts: (C, 1) the term of its first level.
        numeric: the columns of the numeric parameters.
        is_log: which of them are in logarithms, by place among them.
        steps: low, high and step of those that have steps, by place.
        continuous: the places of the others.
        low: (G, 1) lower bounds; half a step farther out, and in logarithms, where they have those.
        width: (G, 1) from there to the upper bounds.
        unit: (G', 1) the density of a standard normal is divided by so much times its deviation.
        shares: the terms of the continuous numbers.
        squares: the terms of their squares.
    """

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        super().__init__(space)
        kinds = list(enumerate(space.values()))
        choices = [(i, len(d.choices)) for i, d in kinds if isinstance(d, CategoricalDistribution)]
        self.choices = [i for i, _ in choices]
        self.sizes = np.array([size for _, size in choices], dtype=int)[:, None]
        self.firsts = 1 + self.sizes.cumsum(axis=0) - self.sizes
        numeric = [(i, d) for i, d in kinds if isinstance(d, FloatDistribution | IntDistribution)]
        self.numeric = [i for i, _ in numeric]
        self.is_log = [g for g, (_, d) in enumerate(numeric) if d.log]
        self.steps = {g: (d.low, d.high, d.step) for g, (_, d) in enumerate(numeric) if d.step is not None}
        self.continuous = [g for g in range(len(numeric)) if g not in self.steps]
        half = np.array([(d.step or 0.0) / 2 for _, d in numeric])
        bounds = np.array([(d.low, d.high) for _, d in numeric]).reshape(-1, 2).T + np.stack([-half, half])
        bounds[:, self.is_log] = np.log(bounds[:, self.is_log])
        self.low, self.width = bounds[0][:, None], (bounds[1] - bounds[0])[:, None]
        self.unit = np.sqrt(2 * np.pi) * self.width[self.continuous]
        first, count = 1 + int(self.sizes.sum()), len(self.continuous)
        self.shares, self.squares = slice(first, first + count), slice(first + count, first + 2 * count)

    def scaled(self, cells: Array) -> Array:
        """The numeric columns of (N, C + G) cells, in logarithms where they have those: (G, N)."""
        numbers = cells.T[self.numeric]
        numbers[self.is_log] = np.log(numbers[self.is_log])
        return numbers

    def terms(self, cells: Array) -> Array:
        """The terms of (N, C + G) cells: (N, T)."""
        made = np.zeros((self.squares.stop, len(cells)))
        made[0] = 1.0
        made[self.firsts + cells.T[self.choices].astype(int), np.arange(len(cells))] = 1.0
        shares = ((self.scaled(cells) - self.low) / self.width)[self.continuous]
        made[self.shares], made[self.squares] = shares, shares * shares
        return made.T


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
        self._observed = np.full((len(axes.choices), count), -1)
        self._observed[:, :-1] = cells.T[axes.choices]
        self._mu, self._sigma = np.full((len(axes.numeric), count), 0.5), np.ones((len(axes.numeric), count))
        if len(cells) and axes.numeric:
            numbers = axes.scaled(cells)
            self._mu[:, :-1] = (numbers - axes.low) / axes.width
            self._sigma[:, :-1] = _widths(numbers, axes)
        self._below = ndtr(-self._mu / self._sigma)
        self._mass = 1.0 - self._below - ndtr((self._mu - 1.0) / self._sigma)
        self._bins: dict[int, dict[float, Array]] = {g: {} for g in axes.steps}

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
        return self._log_density(samples, self._axes.terms(samples))

    def log_ratio(self, other: Parzen, samples: Array) -> Array:
        """By how much the log density is higher than that of another mixture in the same space: (S,)."""
        terms = self._axes.terms(samples)
        return self._log_density(samples, terms) - other._log_density(samples, terms)

    def _log_density(self, samples: Array, terms: Array) -> Array:
        axes, slopes = self._axes, self._slopes
        log = np.empty((len(samples), self._count))  # (S, K)
        few = max(1, SERIAL // slopes.size)
        for start in range(0, len(samples), few):
            np.matmul(terms[start : start + few], slopes, out=log[start : start + few])
        for g in axes.steps:
            log += self._log_bins(g, samples[:, axes.numeric[g]].tolist())
        highest = log.max(axis=1)
        log -= highest[:, None]
        return np.asarray(highest + np.log(np.exp(log, out=log).sum(axis=1)))

    @cached_property
    def _slopes(self) -> Array:
        """By how much each of a sample's terms raises each kernel's log density: (T, K)."""
        axes, count = self._axes, self._count
        mu, sigma, mass = (each[axes.continuous] for each in (self._mu, self._sigma, self._mass))
        slopes = np.zeros((axes.squares.stop, count))
        precision = np.square(1.0 / sigma)
        slopes[axes.firsts + self._observed[:, :-1], np.arange(count - 1)] = np.log(count + 1)
        np.multiply(mu, precision, out=slopes[axes.shares])
        np.multiply(-0.5, precision, out=slopes[axes.squares])
        constants = np.log(axes.unit * sigma * mass) + 0.5 * mu * slopes[axes.shares]
        slopes[0] = np.log(_weights(count)) - constants.sum(axis=0)
        slopes[0, :-1] -= np.log(count + axes.sizes).sum()
        slopes[0, -1] -= np.log(axes.sizes).sum()
        return slopes

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
    rows, order = np.arange(len(numbers))[:, None], numbers.argsort(axis=1)
    gaps = np.zeros((len(numbers), count + 1))
    gaps[:, 1:-1] = np.diff(numbers[rows, order], axis=1)
    if count == 1:
        gaps = np.hstack([numbers - axes.low, axes.low + axes.width - numbers])
    widths: Array = np.empty_like(numbers)
    larger = np.maximum(gaps[:, :-1], gaps[:, 1:]) / axes.width
    widths[rows, order] = np.clip(larger, 1.0 / min(100, count + 2), 1.0)
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
