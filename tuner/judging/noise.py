"""The noise of several means that were measured together, and of the differences between them.

Configurations share rows and splits, so their means are correlated. To compare
several of them, or the best with the rest, one must know how often the largest of many differences is
large by chance; this is simulated with the observed correlation (the maximal t of Hothorn,
Bretz and Westfall 2008, section 3, with variances that are estimated, too). The draws have a fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuner.judging.intervals import Numbers, combined

_DRAWS = 8000
"""Random draws; enough to meet a level of 5 % to within 0.25 points."""
_TOGETHER = 500
"""Draws that are held in memory at once."""
_KNOWN = 120
"""A covariance with this many degrees of freedom is taken as known."""


@dataclass(frozen=True)
class Noise:
    """The covariance of the means of C configurations, as the sum of independent parts.

    Attributes:
        parts: a covariance (C, C) each, and its degrees of freedom.
    """

    parts: tuple[tuple[Numbers, int], ...]

    def errors(self) -> Numbers:
        """The standard error of each difference, (C, C)."""
        return np.sqrt(_of_differences(sum((part for part, _ in self.parts), np.zeros((1, 1)))))

    def of_one(self, place: int) -> tuple[float, float]:
        """The standard error of one mean, and its degrees of freedom."""
        return combined([(float(part[place, place]), freedom) for part, freedom in self.parts])

    def drawn(self, pairs: Sequence[tuple[int, int]]) -> Numbers:
        """The t of each difference where all configurations are equal, (draws, pairs)."""
        rng = np.random.default_rng(0)
        one, other = np.array(pairs).T
        roots = [(_root(part), freedom) for part, freedom in self.parts]
        found = []
        for _ in range(0, _DRAWS, _TOGETHER):
            means = sum(rng.standard_normal((_TOGETHER, len(root))) @ root.T for root, _ in roots)
            squares: Numbers = sum(
                (_of_differences(_estimated(root, freedom, rng))[:, one, other] for root, freedom in roots),
                np.zeros((_TOGETHER, len(pairs))),
            )
            apart = np.asarray(means)[:, one] - np.asarray(means)[:, other]
            found.append(np.divide(apart, np.sqrt(squares), out=np.zeros_like(apart), where=squares > 0))
        return np.concatenate(found)


def of_repeats(values: Numbers, overlap: float) -> Noise:
    """The noise of means over repeats which share their splits.

    The corrected resampled t-test of Nadeau and Bengio (2003): repeats on splits of the same rows are
    not independent, so the variance of their mean is (1 / R + n_validation / n_train) times that of the
    repeats.

    Args:
        values: (C, R), R at least 2.
        overlap: n_validation / n_train where each repeat drew its split anew; 0 where they share one.
    """
    count = values.shape[1]
    # Less the first one, so that those which are all the same have a variance of exactly zero.
    together = np.atleast_2d(np.cov(values - values[:, :1]))
    return Noise(((together * (1 / count + overlap), count - 1),))


def of_rows(values: Numbers, moved: Sequence[Numbers], ids: Sequence[NDArray[np.int64]]) -> Noise:
    """The noise of means over repeats for which each row's influence is known.

    Variances by row and by repeat add up, less the common part, which is in both (two-way clusters,
    Cameron, Gelbach and Miller 2011, eq. 2.11; what falls below zero is set to zero).

    Args:
        values: (C, R).
        moved: for each repeat, by how much each of its rows moves each value, (C, n); see
            `intervals.influences`.
        ids: what these rows are known by, (n,) each; rows that belong together share one.
    """
    count = values.shape[1]
    places = np.unique(np.concatenate(ids), return_inverse=True)[1]
    by_row = np.zeros((places.max() + 1, len(values)))
    parts = np.concatenate([each / (count * each.shape[1]) for each in moved], axis=1)  # (C, all rows)
    np.add.at(by_row, places, parts.T)
    rows = len(by_row)
    by_rows = by_row.T @ by_row * rows / max(rows - 1, 1)
    root = _root(np.atleast_2d(np.cov(values)) / count - parts @ parts.T)
    return Noise(((by_rows, max(rows - 1, 1)), (root @ root.T, count - 1)))


def greatest(drawn: Numbers, level: float) -> float:
    """The value that the largest difference exceeds with this probability.

    Args:
        drawn: (draws, pairs); of the absolute values where both directions count.
        level: the chance.
    """
    return float(np.quantile(drawn.max(axis=1), 1 - level))


def chance(drawn: Numbers, seen: float) -> float:
    """The probability that the largest difference is at least as large as the observed one."""
    return float((1 + (drawn.max(axis=1) >= seen).sum()) / (1 + len(drawn))) if math.isfinite(seen) else 0.0


def _of_differences(covariance: Numbers) -> Numbers:
    """The variance of each difference, (..., C, C)."""
    own = np.diagonal(covariance, axis1=-2, axis2=-1)
    return np.maximum(own[..., :, None] + own[..., None, :] - 2 * covariance, 0.0)


def _root(covariance: Numbers) -> Numbers:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _estimated(root: Numbers, freedom: int, rng: np.random.Generator) -> Numbers:
    """Covariances as they would be estimated, (_TOGETHER, C, C)."""
    if freedom >= _KNOWN:
        return np.broadcast_to(root @ root.T, (_TOGETHER, *root.shape))
    size = len(root)
    if freedom < size:
        factor = rng.standard_normal((_TOGETHER, size, freedom))
    else:
        # Bartlett's decomposition (1933) of a Wishart matrix.
        factor = np.tril(rng.standard_normal((_TOGETHER, size, size)), -1)
        factor[:, range(size), range(size)] = np.sqrt(
            rng.chisquare(freedom - np.arange(size), (_TOGETHER, size))
        )
    rows = root @ factor
    return np.asarray(rows @ np.swapaxes(rows, 1, 2) / freedom)


def spread_of(repeats: Sequence[Sequence[float | None]]) -> float | None:
    """How far one configuration's value differs from training to training: a standard deviation.

    What is left of the variance when each configuration's and each repeat's mean are taken away: a
    repeat's split is easy or hard for all of them, and says nothing of luck. Of two and more
    configurations, each trained twice and more; None where there are fewer.

    Args:
        repeats: for each configuration a value per repeat; one with a repeat that failed is left out.
    """
    whole = [each for each in repeats if None not in each]
    if len(whole) < 2 or len(whole[0]) < 2:
        return None
    values = np.array(whole, np.float64)
    left = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    return math.sqrt(float((left**2).sum()) / ((values.shape[0] - 1) * (values.shape[1] - 1)))
