"""The compiled arithmetic where Optuna's estimator is no witness: far out in the tails."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import log_ndtr

from tuner.search import kernels


@pytest.mark.parametrize("z", [-1e4, -100.0, -30.5, -30.0, -29.9, -5.0, 0.0, 4.0, 9.0])
def test_logarithm_of_the_normal_distribution_is_scipys(z: float) -> None:
    assert kernels._log_below(z) == pytest.approx(float(log_ndtr(z)), rel=1e-13, abs=1e-15)


@pytest.mark.parametrize(("a", "b"), [(-60.0, -59.0), (59.0, 60.0), (-0.5, 0.5), (3.0, 40.0), (-1e3, 1e3)])
def test_mass_is_told_from_the_tail_that_is_closer(a: float, b: float) -> None:
    low, high = (a, b) if a <= 0 else (-b, -a)
    expected = float(log_ndtr(high)) + math.log(-np.expm1(float(log_ndtr(low) - log_ndtr(high))))
    assert kernels._log_mass(a, b) == pytest.approx(expected, rel=1e-12)
