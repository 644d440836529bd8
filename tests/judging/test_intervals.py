from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tuner.judging import Interval, bootstrapped, of_losses, of_share, over_repeats


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


def test_the_bootstrap_of_a_mean_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    covered = []
    for seed in range(100):
        losses = np.exp(rng.normal(0, 0.5, (1, 120)) + rng.normal(0, 0.1, (8, 1)))
        covered.append(np.exp(0.5 * (0.25 + 0.01)) in bootstrapped_losses(losses, seed))
    assert 0.87 <= np.mean(covered) <= 0.995


def bootstrapped_losses(losses: np.ndarray, seed: int) -> Interval:
    measure = of_losses(list(losses))
    return bootstrapped(measure.sums, measure.of, seed, draws=300)


def test_the_same_seed_gives_the_same_interval() -> None:
    losses = np.random.default_rng(0).exponential(size=(4, 50))
    assert bootstrapped_losses(losses, 1) == bootstrapped_losses(losses, 1)
    assert bootstrapped_losses(losses, 1) != bootstrapped_losses(losses, 2)


def test_a_measure_that_is_no_number_has_no_interval() -> None:
    found = bootstrapped_losses(np.full((2, 5), np.inf), 0)
    assert (found.low, found.high) == (-np.inf, np.inf)


def test_repeats_on_overlapping_splits_say_less_than_as_many_free_ones() -> None:
    values = np.array([0.9, 0.92, 0.88, 0.91, 0.9])
    free, overlapping = over_repeats(values, 0.0), over_repeats(values, 0.25)
    ratio = (overlapping.high - overlapping.low) / (free.high - free.low)
    assert ratio == pytest.approx(np.sqrt((1 / 5 + 0.25) / (1 / 5)))
