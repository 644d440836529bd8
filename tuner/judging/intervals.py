"""Intervals: what a mean over test rows and trained models tells of all rows and all models.

Sees arrays of models by rows; what a row or a model is, is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Numbers = NDArray[np.float64]

CONFIDENCE = 0.95
DRAWS = 2000
"""Resamples of a bootstrap; the ends of its 95 % interval then have an error of about 3 % of its width."""

_TILE = 2**22
"""Weights that are held at once."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A number and where the true one lies, 95 times in 100.

    Attributes:
        estimate: the number that was measured.
        low: the lower end.
        high: the upper end.
    """

    estimate: float
    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def of_share(hits: Numbers) -> Interval:
    """The share of hits that a further model would have on further rows.

    Wilson's interval (1927) with an effective number of rows. The variance of the mean over m models
    and n rows is that of a two-way layout, var_i(mean_j h_ij) / n + var_j(mean_i h_ij) / m, which counts
    what rows and models do together twice and so errs on the safe side; two hits and two misses are
    added to the rows (Agresti and Coull 1998), so that it is never 0. The quantile is Student's with
    Satterthwaite's (1946) degrees of freedom, as few models say little of all models.

    Args:
        hits: 0 or 1, (m, n).
    """
    share = float(hits.mean())
    by_row = np.concatenate([hits.mean(axis=0), [0.0, 0.0, 1.0, 1.0]])
    parts = [(by_row.var(ddof=1) / len(by_row), len(by_row) - 1)]
    if len(hits) > 1:
        parts.append((hits.mean(axis=1).var(ddof=1) / len(hits), len(hits) - 1))
    middle = float(by_row.mean())
    rows = middle * (1 - middle) / sum(variance for variance, _ in parts)
    t2 = _quantile(parts) ** 2
    centre = (share + t2 / (2 * rows)) / (1 + t2 / rows)
    reach = math.sqrt(t2 * (share * (1 - share) / rows + t2 / (4 * rows * rows))) / (1 + t2 / rows)
    # Rounding may leave a share of 0 or 1 just outside.
    return Interval(share, max(0.0, min(share, centre - reach)), min(1.0, max(share, centre + reach)))


def over_repeats(values: Numbers, overlap: float) -> Interval:
    """The mean of repeated trainings, each judged on a validation split of its own.

    Student's interval with the variance of Nadeau and Bengio (2003, eq. 9), see `choosing.compare`.

    Args:
        values: one per repeat, at least two.
        overlap: validation rows per training row where splits were drawn anew; 0 where all repeats share one.
    """
    mean = float(values.mean())
    error = float(values.std(ddof=1)) * math.sqrt(1 / len(values) + overlap)
    reach = _student(len(values) - 1) * error
    return Interval(mean, mean - reach, mean + reach)


def bootstrapped(sums: Numbers, of: Callable[[Numbers], Numbers], seed: int, draws: int = DRAWS) -> Interval:
    """Any measure that follows from sums over rows, as its mean over models.

    The pigeonhole bootstrap (Owen 2007): rows and models are drawn with replacement, each for itself.
    Its percentiles are moved away from the estimate by Student's quantile over the normal one, as few
    models say little of all models, and by the root of m / (m - 1), which drawing loses.

    Args:
        sums: what is summed over rows, (m, n, k).
        of: the measure from the sums, (..., k) to (...).
        seed: of the draws.
        draws: how many.
    """
    models, rows, _ = sums.shape
    each = of(sums.sum(axis=1))
    estimate = float(each.mean())
    if not math.isfinite(estimate):
        return Interval(estimate, -math.inf, math.inf)
    rng = np.random.default_rng(seed)
    found = []
    step = max(1, _TILE // rows)
    for begin in range(0, draws, step):
        count = min(step, draws - begin)
        weights = rng.multinomial(rows, np.full(rows, 1 / rows), count).astype(np.float64)
        values = np.stack([of(weights @ model) for model in sums], axis=1)  # (count, m)
        chosen = rng.multinomial(models, np.full(models, 1 / models), count) / models
        found.append((values * chosen).sum(axis=1))
    drawn = np.concatenate(found)
    of_models = float(each.var(ddof=1)) / models if models > 1 else 0.0
    of_rows = max(float(drawn.var()) - of_models, 0.0)
    parts = [(of_rows, rows - 1)] + ([(of_models, models - 1)] if models > 1 else [])
    wider = _quantile(parts) / _student(math.inf)
    wider *= math.sqrt(models / (models - 1)) if models > 1 else 1.0
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    low, high = min(float(low), estimate), max(float(high), estimate)
    return Interval(estimate, estimate - wider * (estimate - low), estimate + wider * (high - estimate))


def _quantile(parts: list[tuple[float, int]]) -> float:
    """Student's quantile for a sum of variances with degrees of freedom of their own (Satterthwaite 1946)."""
    total = sum(variance for variance, _ in parts)
    below = sum(variance**2 / freedom for variance, freedom in parts if freedom)
    return _student(total**2 / below if below else math.inf)


def _student(freedom: float) -> float:
    above = (1 + CONFIDENCE) / 2
    return float(special.stdtrit(freedom, above) if math.isfinite(freedom) else special.ndtri(above))
