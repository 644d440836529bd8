from __future__ import annotations

import json
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tuner.data import Scaling
from tuner.data.scaling import KINDS, MOST_KNOTS
from tuner.errors import DataError

TABLES = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.integers(1, 4)),
    elements=st.floats(-(2.0**50), 2.0**50, width=32),
)


@settings(deadline=None)
@given(TABLES, st.sampled_from(KINDS))
def test_scaled_values_are_finite_whatever_the_columns_hold(x: NDArray[Any], kind: str) -> None:
    scaled = Scaling.fit(kind, x).apply(x)
    assert scaled.dtype == np.float32
    assert scaled.shape == x.shape
    assert np.isfinite(scaled).all()


@settings(deadline=None)
@given(TABLES, st.sampled_from(KINDS))
def test_a_scaling_survives_json_exactly(x: NDArray[Any], kind: str) -> None:
    scaling = Scaling.fit(kind, x)
    again = Scaling.from_table(json.loads(json.dumps(scaling.to_table())))
    assert again.kind == kind
    np.testing.assert_array_equal(again.shift, scaling.shift)
    np.testing.assert_array_equal(again.factor, scaling.factor)
    np.testing.assert_array_equal(again.knots, scaling.knots)
    np.testing.assert_array_equal(again.apply(x), scaling.apply(x))


def test_standard_gives_mean_0_and_deviation_1_per_column() -> None:
    x = np.random.default_rng(0).normal([3, -50], [0.1, 20], (500, 2)).astype(np.float32)
    scaled = Scaling.fit("standard", x).apply(x)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-4)


def test_min_max_gives_0_to_1_per_channel() -> None:
    x = np.random.default_rng(0).uniform(0, 255, (20, 3, 4, 5)).astype(np.float32) * [[[[1]], [[2]], [[3]]]]
    scaling = Scaling.fit("min-max", x)
    assert scaling.shift.shape == (3, 1, 1)
    scaled = scaling.apply(x)
    np.testing.assert_allclose(scaled.min(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.max(axis=(0, 2, 3)), 1, atol=1e-6)


def test_standard_images_are_scaled_by_channel() -> None:
    x = np.random.default_rng(0).normal(size=(20, 2, 4, 4)) * [[[[1]], [[9]]]] + 5
    scaled = Scaling.fit("standard", x).apply(x)
    np.testing.assert_allclose(scaled.std(axis=(0, 2, 3)), 1, atol=1e-5)


@pytest.mark.parametrize("kind", ["standard", "min-max", "quantile"])
def test_a_constant_column_is_0_in_every_split(kind: str) -> None:
    scaling = Scaling.fit(kind, np.array([[0.1, 1.0], [0.1, 2.0]], np.float32))
    assert scaling.apply(np.array([[7.0, 1.5]]))[0, 0] == 0


@given(TABLES)
def test_quantile_gives_each_value_the_normal_quantile_of_its_mean_rank(x: NDArray[Any]) -> None:
    normal, scaled = NormalDist(), Scaling.fit("quantile", x).apply(x)
    for column, found in zip(x.T, scaled.T, strict=True):
        ranks = [((column < v).sum() + (column <= v).sum()) / 2 / len(column) for v in column]
        np.testing.assert_allclose(found, [normal.inv_cdf(float(rank)) for rank in ranks], atol=1e-5)


def test_quantile_leaves_nothing_far_from_all_others_and_keeps_the_order() -> None:
    x = np.random.default_rng(0).lognormal(0, 3, (5000, 2)).astype(np.float32)
    x[0] = 1e30
    scaling = Scaling.fit("quantile", x)
    assert scaling.knots.shape == (2, MOST_KNOTS)
    scaled = scaling.apply(x)
    assert np.abs(scaled).max() < 4
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=0.02)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=0.02)
    assert (np.diff(scaled[np.argsort(x[:, 0]), 0]) >= 0).all()
    np.testing.assert_array_equal(scaling.apply(np.full((1, 2), 1e35)), scaled.max(axis=0, keepdims=True))


def test_quantile_images_are_scaled_by_channel() -> None:
    x = np.random.default_rng(0).normal(size=(20, 2, 4, 4)) * [[[[1]], [[9]]]] + 5
    scaled = Scaling.fit("quantile", x).apply(x)
    assert scaled.shape == x.shape
    np.testing.assert_allclose(scaled.std(axis=(0, 2, 3)), 1, atol=0.02)


def test_none_leaves_values_as_they_are() -> None:
    x = np.array([[1.5, -2.0], [3.0, 0.1]], np.float32)
    np.testing.assert_array_equal(Scaling.fit("none", x).apply(x), x)


def test_unknown_scaling_names_the_near_one() -> None:
    with pytest.raises(DataError, match="did you mean 'standard'"):
        Scaling.fit("standart", np.zeros((2, 2)))


@pytest.mark.parametrize("kind", KINDS)
def test_codes_stay_as_they_are(kind: str) -> None:
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    x[:, 2:] = np.arange(100).reshape(50, 2)
    scaling = Scaling.fit(kind, x, 2)
    for again in (scaling, Scaling.from_table(scaling.to_table())):
        np.testing.assert_array_equal(again.apply(x)[:, 2:], x[:, 2:])
        np.testing.assert_array_equal(again.apply(x)[:, :2], Scaling.fit(kind, x[:, :2]).apply(x[:, :2]))
    np.testing.assert_array_equal(Scaling.fit(kind, x[:, 2:], 2).apply(x[:, 2:]), x[:, 2:])
