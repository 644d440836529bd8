"""Over-fitting: where curves turn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.core.overfitting import Floats, Overfitting, onset, onsets
from tuner.core.trial import Objective, Reading

TRAIN = 2 * np.exp(-np.arange(20) / 4)
TURNING = np.concatenate([np.linspace(2, 0.5, 8), 0.5 + 0.02 * np.arange(1, 13)])
loss = st.floats(-2, 2) | st.sampled_from([0.0, 1.0, math.nan, math.inf])


def curve(train: Floats, val: Floats) -> list[Reading]:
    return [Reading(n, *pair) for n, pair in enumerate(zip(train.tolist(), val.tolist(), strict=True), 1)]


def test_a_curve_turns_where_validation_rises_while_training_falls() -> None:
    found = onset(curve(TRAIN, TURNING))
    assert found is not None
    epoch, rise = found
    assert epoch == 8
    low, end = float(np.mean(TURNING[7:10])), float(np.mean(TURNING[-3:]))
    assert rise == pytest.approx((end - low) / low, rel=1e-9)


@pytest.mark.parametrize(
    ("train", "val"),
    [
        (TRAIN, TRAIN + 0.1),
        (TURNING, TURNING),
        (TRAIN[:5], TURNING[5:10]),
        (TRAIN, np.full(20, math.nan)),
        (TRAIN, np.zeros(20)),
        (TRAIN[:0], TRAIN[:0]),
    ],
    ids=["falls to the end", "training rises too", "too short", "not measured", "flat", "empty"],
)
def test_no_other_curve_turns(train: Floats, val: Floats) -> None:
    assert onset(curve(train, val)) is None


def test_curves_that_fall_under_noise_hardly_ever_turn() -> None:
    rng = np.random.default_rng(0)
    shape = 0.3 + np.exp(-np.arange(30) / 6)
    noisy = np.concatenate([shape + rng.normal(0, 0.02, 30) for _ in range(200)])
    at, _ = onsets(noisy, np.tile(shape, 200), np.full(200, 30))
    assert (at >= 0).sum() <= 4


@given(curves=st.lists(st.lists(st.tuples(loss, loss), max_size=14), max_size=6))
def test_curves_beside_others_turn_where_they_turn_alone(curves: list[list[tuple[float, float]]]) -> None:
    whole = np.array([pair for each in curves for pair in each], np.float64).reshape(-1, 2)
    at, rise = onsets(whole[:, 1], whole[:, 0], np.array([len(each) for each in curves], np.int64))
    for place, risen, each in zip(at.tolist(), rise.tolist(), curves, strict=True):
        alone = onset([Reading(n, *pair) for n, pair in enumerate(each, 1)])
        assert alone == (None if place < 0 else (place + 1, risen))


def test_the_gap_is_told_at_the_best_epoch_and_at_the_last() -> None:
    readings = curve(TRAIN, TURNING)
    over = Overfitting.of(readings, Objective().best(readings))
    assert over.gap == pytest.approx(TURNING[7] - TRAIN[7])
    assert over.gap_last == pytest.approx(TURNING[-1] - TRAIN[-1])
    assert over.onset_epoch == 8
    empty = Overfitting.of([], None)
    assert (math.isnan(empty.gap), math.isnan(empty.gap_last)) == (True, True)
    assert (empty.onset_epoch, empty.rise) == (None, 0.0)
