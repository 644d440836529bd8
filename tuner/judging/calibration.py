"""Calibration: how far probabilities are from the shares of rows that they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15


def calibration_error(truth: NDArray[Any], shares: NDArray[Any], weight: NDArray[Any] | None = None) -> float:
    """The expected calibration error (Guo et al. 2017, eq. 3), 15 bins of equal width.

    Rows are put together by the probability of the class that is predicted; of each bin, the share of
    rows that are right is set beside the mean probability.

    Args:
        truth: (N,) class indices; -1 for a class that has no probability.
        shares: (N, C) probabilities.
        weight: (N,) what each row counts; None: all the same.
    """
    ones = np.ones(len(truth)) if weight is None else weight
    told = shares.max(axis=1).astype(np.float64)
    right = shares.argmax(axis=1) == truth
    # A bin has its upper end, as in the paper: (0, 1/15], (1/15, 2/15], ...
    places = np.clip(np.ceil(told * BINS).astype(np.intp) - 1, 0, BINS - 1)
    away = np.bincount(places, ones * (right - told), BINS)
    return float(np.abs(away).sum() / ones.sum())
