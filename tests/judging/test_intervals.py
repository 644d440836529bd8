from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tuner.judging.intervals import BELOW_ONE, POSITIVE, SHARE, Interval, Transform, over_repeats
from tuner.judging.measures import measured, of_losses


def of_share(hits: np.ndarray) -> Interval:
    return measured("accuracy", np.ones(hits.shape[1]), list(hits)).interval()


def test_one_model_that_is_always_right_gives_no_certainty() -> None:
    found = of_share(np.ones((1, 100)))
    assert found.estimate == 1.0
    assert found.high == 1.0
    assert 0.95 < found.low < 0.975  # Wilson: 0.963


def test_more_rows_and_more_models_say_more() -> None:
    rng = np.random.default_rng(0)
    hits = (rng.random((10, 4000)) < 0.9).astype(float)
    widths = [(i := of_share(part)).high - i.low for part in (hits[:3, :50], hits[:3], hits)]
    assert widths[0] > widths[1] > widths[2]


def test_models_that_differ_widen_the_interval_however_many_rows_there_are() -> None:
    rng = np.random.default_rng(0)
    rates = np.linspace(0.7, 0.9, 10)[:, None]
    found = of_share((rng.random((10, 20_000)) < rates).astype(float))
    assert found.high - found.low > 0.06


@given(arrays(np.int8, st.tuples(st.integers(2, 6), st.integers(5, 40)), elements=st.integers(0, 1)))
def test_the_interval_of_a_share_holds_the_share_and_stays_within_0_and_1(hits: np.ndarray) -> None:
    found = of_share(hits.astype(float))
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.low < found.high


def test_the_interval_of_a_share_covers_the_truth_about_as_often_as_it_says() -> None:
    # The truth: P(N(1.5, 1.5² + 0.3² + 0.2²) > 0) = Phi(1.5 / 1.543) = 0.8345.
    truth = 0.8345
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(300):
        skill, hardness = rng.normal(0, 0.3, (10, 1)), rng.normal(1.5, 1.5, 150)
        covered.append(truth in of_share((skill + hardness > rng.normal(0, 0.2, (10, 150))).astype(float)))
    assert 0.92 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize(("rows", "width"), [(30, 0.8), (120, 1.2)])
def test_the_interval_of_a_skewed_loss_covers_the_truth_about_as_often_as_it_says(
    rows: int, width: float
) -> None:
    rng = np.random.default_rng(2)
    truth = math.exp(0.5 * (width**2 + 0.1**2))
    covered = []
    for _ in range(1000):
        losses = np.exp(rng.normal(0, width, (1, rows)) + rng.normal(0, 0.1, (8, 1)))
        covered.append(truth in of_losses(list(losses)).interval())
    assert 0.93 <= np.mean(covered) <= 0.97


def test_the_interval_of_a_classifiers_loss_covers_the_truth_about_as_often_as_it_says() -> None:
    """Cross-entropies of ten networks that disagree, of which a tenth is large."""
    rng = np.random.default_rng(3)
    truth = loss_of(rng.normal(2.5, math.sqrt(2.0**2 + 2 * 0.3**2), 400_000)).mean()
    covered = []
    for _ in range(1000):
        margins = rng.normal(2.5, 2.0, (1, 100)) + rng.normal(0, 0.3, (10, 1)) + rng.normal(0, 0.3, (10, 100))
        covered.append(truth in of_losses(list(loss_of(margins))).interval())
    assert 0.93 <= np.mean(covered) <= 0.97


def loss_of(margin: np.ndarray) -> np.ndarray:
    return np.asarray(np.logaddexp(0.0, -margin))


MEASURES = {
    "loss": partial(lambda t, p: of_losses([abs(each - t) for each in p])),
    **{name: partial(measured, name) for name in ("r2", "rmse")},
}


@given(
    st.sampled_from([*MEASURES, "accuracy", "f1", "precision", "recall"]),
    arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 12)), elements=st.floats(-1e6, 1e6)),
)
def test_an_interval_holds_its_estimate_and_nothing_that_the_measure_cannot_be(
    name: str, told: np.ndarray
) -> None:
    truth = np.arange(told.shape[1]) % 3 - 1.0
    if name in MEASURES:
        found = MEASURES[name](truth, list(told))
    else:
        found = measured(name, truth, list(np.sign(told)))
    low, high = {"loss": (0, math.inf), "rmse": (0, math.inf), "r2": (-math.inf, 1)}.get(name, (0, 1))
    interval = found.interval()
    assert low <= interval.low <= interval.estimate <= interval.high <= high
    other = found.gain(found, falling=False)
    assert other.low <= other.estimate <= other.high


def test_a_cross_entropy_near_zero_with_few_bad_rows_stays_above_zero() -> None:
    losses = np.full((10, 60), 1e-3)
    losses[:, :2] = 6.0
    found = of_losses(list(losses)).interval()
    assert 0 < found.low < found.estimate < found.high
    assert found.high > 0.5


def test_a_measure_that_is_no_number_has_no_interval() -> None:
    found = of_losses(list(np.full((2, 5), np.inf))).interval()
    assert (found.low, found.high) == (0, np.inf)


def test_one_row_tells_nothing_of_others() -> None:
    found = of_losses(list(np.full((3, 1), 0.5))).interval()
    assert (found.low, found.high) == (0, np.inf)


def test_losses_that_are_errors_are_a_share() -> None:
    found = of_losses(list(np.zeros((3, 20)))).interval()
    assert (found.estimate, found.low) == (0, 0)
    assert 0.05 < found.high < 0.25


def test_configurations_that_err_alike_may_differ_on_other_rows() -> None:
    hits = [np.array(["a", "b"] * 15)] * 4
    found = measured("accuracy", hits[0], hits).gain(measured("accuracy", hits[0], hits), falling=False)
    assert found.low < found.estimate == 0 < found.high < 0.3


def test_repeats_on_overlapping_splits_say_less_than_as_many_free_ones() -> None:
    values = np.array([0.9, 0.92, 0.88, 0.91, 0.9])
    free, overlapping = over_repeats(values, 0.0), over_repeats(values, 0.25)
    ratio = (overlapping.high - overlapping.low) / (free.high - free.low)
    assert ratio == pytest.approx(np.sqrt((1 / 5 + 0.25) / (1 / 5)))


@pytest.mark.parametrize(
    ("scale", "values", "low", "high"),
    [
        (POSITIVE, [0.001, 0.0015, 0.9], 0, np.inf),
        (BELOW_ONE, [0.99, 0.999, 0.2], -np.inf, 1),
        (SHARE, [1.0, 0.99, 0.9], 0, 1),
    ],
)
def test_the_interval_of_repeats_stays_within_what_their_measure_can_be(
    scale: Transform, values: list[float], low: float, high: float
) -> None:
    found = over_repeats(np.array(values), 0.25, scale, 50)
    assert low <= found.low < found.estimate < found.high <= high


def test_repeats_that_are_all_right_leave_a_doubt_as_large_as_their_rows_are_few() -> None:
    few, many = (over_repeats(np.ones(5), 0.25, SHARE, rows) for rows in (20, 200))
    assert few.low < many.low < 1 == few.high


def test_a_loss_of_ones_own_that_falls_below_zero_is_taken_for_any_number() -> None:
    found = over_repeats(np.array([-3.0, -2.0, 1.0]), 0.0, POSITIVE)
    assert found.low < -3 < found.high
