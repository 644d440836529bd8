from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tuner.figures import numbers

_FLOATS = arrays(np.float64, st.integers(0, 40), elements=st.floats(-1e12, 1e12))


@given(arrays(np.float64, st.integers(0, 30), elements=st.floats(width=64)))
def test_listed_numbers_are_json_and_within_their_last_digit(values: Any) -> None:
    found = json.loads(json.dumps(numbers.listed(values), allow_nan=False))
    assert len(found) == len(values)
    for given_, kept in zip(values.tolist(), found, strict=True):
        if not math.isfinite(given_):
            assert kept is None
        elif 1e-250 < abs(given_) < 1e250:
            assert kept == pytest.approx(given_, rel=1e-3)


def test_listed_numbers_are_short() -> None:
    assert (
        json.dumps(numbers.listed([1 / 3, 123456.789, 1e-7 / 3, 0.0])) == "[0.3333, 123500.0, 3.333e-08, 0.0]"
    )


def test_listed_numbers_that_lie_close_together_are_told_apart() -> None:
    assert numbers.listed([50123.0, 50087.0]) == [50123.0, 50087.0]
    assert numbers.listed([1.00001, 1.00002, 1.000025]) == [1.00001, 1.00002, 1.000025]


@given(st.integers(0, 200), st.integers(1, 50), st.data())
def test_thinning_keeps_what_must_stay_and_little_else(size: int, most: int, data: st.DataObject) -> None:
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)), dtype=bool)
    rows = np.arange(size)
    found = numbers.thinned(rows, keep, most)
    assert set(rows[keep]) <= set(found)
    assert len(found) <= max(most, keep.sum())
    assert (np.diff(found) > 0).all()


@given(_FLOATS, st.integers(8, 30))
def test_decimation_keeps_both_extremes_and_both_ends(y: Any, most: int) -> None:
    found = y[numbers.decimated(y, most)]
    if len(y):
        assert (found.min(), found.max(), found[0], found[-1]) == (y.min(), y.max(), y[0], y[-1])


def test_decimation_keeps_what_is_named_and_passes_over_nan() -> None:
    y = np.full(1000, np.nan)
    y[100:] = 1.0
    found = numbers.decimated(y, 50, keep=[777])
    assert 777 in found
    assert len(found) < 60


def test_lines_are_parted_by_gaps() -> None:
    found = numbers.gapped(np.array([1, 2, 3]), np.array([2]))
    assert numbers.listed(found) == [1.0, 2.0, None, 3.0]


def test_smoothing_starts_at_the_first_value_and_keeps_a_constant() -> None:
    assert numbers.smoothed(np.full(5, 3.0), 0.9).tolist() == pytest.approx([3.0] * 5)
    found = numbers.smoothed(np.array([1.0, np.nan, 0.0]), 0.5)
    assert found[0] == 1.0
    assert np.isnan(found[1])
    assert found[2] == pytest.approx(1 / 3)


def test_percentiles_are_observed_values_of_each_group() -> None:
    group = np.repeat([1, 2, 3], [3, 1, 2])
    x, found = numbers.percentiles(group, np.array([3.0, 1.0, 2.0, np.nan, 5.0, np.inf]), (0.0, 0.5, 1.0))
    assert x.tolist() == [1, 3]
    assert found.tolist() == [[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]]


def test_too_many_groups_are_thinned_with_both_ends_kept() -> None:
    group = np.arange(1, 1001)
    x, _ = numbers.percentiles(group, group.astype(float), (0.5,), most=50)
    assert len(x) == 50
    assert (x[0], x[-1]) == (1, 1000)


def test_bins_hold_equally_many_and_tell_medians() -> None:
    x = np.arange(40, dtype=float)
    found = numbers.binned(x, 2 * x, bins=4)
    assert found.count.tolist() == [10, 10, 10, 10]
    assert found.median.tolist() == [9.0, 29.0, 49.0, 69.0]
    assert (found.low < found.median).all()


@given(_FLOATS)
def test_no_point_is_lost_in_bins(x: Any) -> None:
    assert numbers.binned(x, x).count.sum() == len(x)


def test_only_positive_numbers_of_different_sizes_ask_for_a_logarithmic_axis() -> None:
    assert numbers.spans_decades(np.array([0.01, 0.1, 1.0, 1.0]))
    assert not numbers.spans_decades(np.array([0.5, 1.0, 2.0]))
    assert not numbers.spans_decades(np.array([0.0, 1.0, 1000.0]))
    assert not numbers.spans_decades(np.array([np.nan]))


def test_a_window_cuts_far_outliers_off_but_never_the_good_end() -> None:
    values = np.append(np.linspace(1.0, 2.0, 50), [1e9, -50.0])
    low, high = numbers.window(values, log=False, minimize=True) or [0.0, 0.0]
    assert low < -50.0
    assert 2.0 < high < 10.0
    low, high = numbers.window(-values, log=False, minimize=False) or [0.0, 0.0]
    assert -10.0 < low < -2.0
    assert high > 50.0
    assert numbers.window(np.linspace(1.0, 2.0, 50), log=False, minimize=True) is None


def test_a_scale_of_colours_is_never_one_of_rounding_errors() -> None:
    assert numbers.colour_ends(np.array([0.1, 0.1 + 1e-12, 0.1])) == pytest.approx((0.1, 0.11))
    assert numbers.colour_ends(np.array([0.0])) == (0.0, 1.0)
    assert numbers.colour_ends(np.linspace(0, 1, 101)) == pytest.approx((0.02, 0.98))
