"""What the table of trials is told about numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tuner.web.table import rounded


def test_numbers_are_the_nearest_ones_to_six_digits() -> None:
    random = np.random.default_rng(0)
    values = random.choice([-1, 1], 4000) * 10 ** random.uniform(-12, 12, 4000)
    assert rounded(values) == [float(f"{value:.6g}") for value in values]
    assert rounded(values, 3) == [float(f"{value:.3g}") for value in values]


@pytest.mark.parametrize(
    "value", [0.0, 1e-5, 0.1, 1.0, 100000.0, 999999.5, 1234567.0, 1e22, 1e-22, 1e200, 1e-200]
)
def test_numbers_of_any_size_stay_numbers(value: float) -> None:
    assert rounded(np.array([value, -value])) == [
        pytest.approx(value, rel=1e-5),
        pytest.approx(-value, rel=1e-5),
    ]


def test_numbers_at_the_ends_of_what_is_known() -> None:
    assert rounded(np.array([np.nan, np.inf, -np.inf])) == [None, None, None]
    smallest, largest = rounded(np.array([5e-324, 1.7e308]))
    assert smallest == pytest.approx(0, abs=1e-305)
    assert largest == pytest.approx(1.7e308)
