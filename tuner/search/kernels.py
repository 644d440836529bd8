"""The arithmetic of a Parzen estimator, compiled: kernels fitted, drawn from and evaluated in one call each.

N rows, K = N + 1 kernels of which the last one is the prior, S samples, C choices, G numeric parameters
of which those with a step come as bins; everything is a share of its range.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tuner.compiled import njit_cached, njit_inline

_ROOT_HALF, _LOG_ROOT_TWO_PI = math.sqrt(0.5), 0.5 * math.log(2 * math.pi)

_FAR = -30.0
"""Below it, the normal distribution function soon is no number any more, and its series is exact."""

_FAINT = -45.0
"""The logarithm of a share that no sum of some hundreds of terms would notice."""


@njit_inline
def _below(z: Any) -> Any:
    """The standard normal distribution function."""
    return 0.5 * math.erfc(-z * _ROOT_HALF)


@njit_inline
def _log_below(z: Any) -> Any:
    """Its logarithm; far out by its asymptotic series, Abramowitz and Stegun 1964, eq. 26.2.12."""
    if z > _FAR:
        return math.log(_below(z))
    s = 1.0 / (z * z)
    return (
        -0.5 * z * z - math.log(-z) - _LOG_ROOT_TWO_PI + math.log1p(s * (-1 + s * (3 - s * (15 - s * 105))))
    )


@njit_inline
def _log_mass(a: Any, b: Any) -> Any:
    """The logarithm of the standard normal mass between a and b, from the tail that is closer."""
    if a > 0:
        a, b = -b, -a
    log_b = _log_below(b)
    return log_b + math.log(-math.expm1(_log_below(a) - log_b))


@njit_cached
def fit(numbers: Any, order: Any, low: Any, width: Any, mu: Any, sigma: Any, below: Any, mass: Any) -> None:
    """Fit truncated normal kernels: as wide as the larger gap to a neighbour, within limits.

    Args:
        numbers: (G, N) observed numbers.
        order: (G, N) what sorts them.
        low: (G,) lower bounds.
        width: (G,) from there to the upper bounds.
        mu: (G, K) becomes the means.
        sigma: (G, K) becomes the deviations.
        below: (G, K) becomes the mass that each kernel would have below the range.
        mass: (G, K) becomes that within it.
    """
    dimensions, count = numbers.shape
    narrow = 1.0 / min(100, count + 2)
    for g in range(dimensions):
        mu[g, count], sigma[g, count] = 0.5, 1.0
        for n in range(count):
            i = order[g, n]
            x = numbers[g, i]
            left = x - numbers[g, order[g, n - 1]] if n > 0 else 0.0
            right = numbers[g, order[g, n + 1]] - x if n + 1 < count else 0.0
            if count == 1:
                left, right = x - low[g], low[g] + width[g] - x
            mu[g, i] = (x - low[g]) / width[g]
            sigma[g, i] = min(max(max(left, right) / width[g], narrow), 1.0)
        for k in range(count + 1):
            below[g, k] = _below(-mu[g, k] / sigma[g, k])
            mass[g, k] = 1.0 - below[g, k] - _below((mu[g, k] - 1.0) / sigma[g, k])


@njit_cached
def place(
    kernels: Any, chances: Any, normal: Any, observed: Any, sizes: Any, mu: Any, sigma: Any,
    low: Any, width: Any, is_log: Any, steps: Any, choices: Any, numeric: Any, samples: Any,
) -> None:  # fmt: skip
    """Turn random numbers into samples.

    Args:
        kernels: (S,) from which kernel each sample comes.
        chances: (C, S) evenly drawn from [0, 1).
        normal: (G, S) standard normal numbers, so truncated that the samples lie in the range.
        observed: (C, K) each kernel's level.
        sizes: (C,) how many levels there are.
        mu: (G, K), see `fit`.
        sigma: (G, K), likewise.
        low: (G,), likewise.
        width: (G,), likewise.
        is_log: (G,) whether numbers are logarithms.
        steps: (G, 3) lowest and highest value and the step; 0 for none.
        choices: (C,) columns.
        numeric: (G,) columns.
        samples: (S, C + G) to be filled.
    """
    count = observed.shape[1] if len(sizes) else mu.shape[1]
    for s in range(len(kernels)):
        k = kernels[s]
        for c in range(len(sizes)):
            total = (1.0 if k < count - 1 else 0.0) + sizes[c] / count
            mass, level = 0.0, -1
            while level < sizes[c] - 1:
                level += 1
                mass += (1.0 if observed[c, k] == level else 0.0) + 1.0 / count
                if mass / total >= chances[c, s]:
                    break
            samples[s, choices[c]] = level
        for g in range(len(low)):
            share = min(max(mu[g, k] + sigma[g, k] * normal[g, s], 0.0), 1.0)
            x = low[g] + width[g] * share
            x = math.exp(x) if is_log[g] else x
            lowest, highest, step = steps[g]
            if step > 0:
                x = min(max(lowest + np.round((x - lowest) / step) * step, lowest), highest)
            samples[s, numeric[g]] = x


@njit_cached
def log_density(
    samples: Any, weights: Any, observed: Any, sizes: Any, mu: Any, sigma: Any, mass: Any,
    low: Any, width: Any, is_log: Any, steps: Any, choices: Any, numeric: Any,
) -> Any:  # fmt: skip
    """The log density (mass, where stepped) of samples, (S,).

    Args:
        samples: (S, C + G).
        weights: (K,) of the kernels.
        observed: see `place`.
        sizes: likewise.
        mu: see `fit`.
        sigma: likewise.
        mass: likewise.
        low: likewise.
        width: likewise.
        is_log: see `place`.
        steps: likewise.
        choices: likewise.
        numeric: likewise.
    """
    count = len(weights)
    base, inverse, found = np.empty(count), 1.0 / sigma, np.empty(len(samples))
    for k in range(count):
        level, spread = 1.0, 1.0
        for c in range(len(sizes)):
            level *= 1.0 / (count + sizes[c]) if k < count - 1 else 1.0 / sizes[c]
        for g in range(len(low)):
            if steps[g, 2] == 0:
                spread *= width[g] * sigma[g, k]
            spread *= mass[g, k]
        base[k] = math.log(weights[k] * level / spread)
    base -= _LOG_ROOT_TWO_PI * np.sum(steps[:, 2] == 0)
    logs, hit = np.empty((len(samples), count)), math.log(count + 1)
    for s in range(len(samples)):
        log = logs[s]
        log[:] = base
        for c in range(len(sizes)):
            for k in range(count - 1):
                log[k] += hit if observed[c, k] == samples[s, choices[c]] else 0.0
        for g in range(len(low)):
            if steps[g, 2] > 0:
                continue
            x = samples[s, numeric[g]]
            x = ((math.log(x) if is_log[g] else x) - low[g]) / width[g]
            for k in range(count):
                d = (x - mu[g, k]) * inverse[g, k]
                log[k] -= 0.5 * d * d
    for g in range(len(low)):
        if steps[g, 2] > 0:
            _add_bins(
                samples[:, numeric[g]], steps[g, 2] / 2, is_log[g], low[g], width[g], mu[g], inverse[g], logs
            )
    for s in range(len(samples)):
        highest = logs[s].max()
        total = 0.0
        for k in range(count):
            if logs[s, k] - highest > _FAINT:
                total += math.exp(logs[s, k] - highest)
        found[s] = highest + math.log(total)
    return found


@njit_inline
def _add_bins(
    values: Any, half: Any, is_log: Any, low: Any, width: Any, mu: Any, inverse: Any, logs: Any
) -> None:
    """Add each kernel's log mass around stepped values; they come again, and are computed once."""
    bins = np.empty((len(values), len(mu)))
    for s in range(len(values)):
        first = 0
        while values[first] != values[s]:
            first += 1
        if first == s:
            a, b = values[s] - half, values[s] + half
            if is_log:
                a, b = math.log(a), math.log(b)
            a, b = (a - low) / width, (b - low) / width
            for k in range(len(mu)):
                bins[s, k] = _log_mass((a - mu[k]) * inverse[k], (b - mu[k]) * inverse[k])
        for k in range(len(mu)):
            logs[s, k] += bins[first, k]
