"""Ranks, and the significance of rank correlations."""

from __future__ import annotations

import math

import numpy as np

from tuner.core.columns import Floats

FEWEST = 12
"""Fewer trials show no correlation."""


def ranks(values: Floats) -> Floats:
    """Ranks (N,) of finite values (N,), 1 for the lowest; the mean one for equal values."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], dtype=np.float64)


def clearly_against(place: Floats, bad: Floats) -> float:
    """How many standard errors Spearman's correlation of two columns (N,) lies below zero.

    Its standard error is 1 / sqrt(N - 1) for independent columns.

    Returns:
        0 for too few trials, or where all values of a column are equal.
    """
    if len(place) < FEWEST or len(np.unique(place)) < 2 or len(np.unique(bad)) < 2:
        return 0.0
    return float(-np.corrcoef(ranks(place), ranks(bad))[0, 1] * math.sqrt(len(place) - 1))
