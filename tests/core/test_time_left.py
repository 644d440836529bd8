from __future__ import annotations

import numpy as np
import pytest

from tuner.core.budget import Budget
from tuner.core.time_left import Durations, TimeLeft, Used, time_left


def used(durations: Durations, trials: int = 40, seconds: float = 400.0, epochs: int = 400) -> Used:
    return Used(trials, epochs, seconds, trials / seconds, durations)


def test_time_left_is_as_sure_as_trials_took_equally_long() -> None:
    even = Durations.of([10.0] * 40, [10] * 40)
    left = time_left(Budget(trials=100), used(even))
    assert left is not None
    assert (left.low, left.high) == pytest.approx((600, 600))
    assert left.told == "about 10 min left"
    uneven = Durations.of([2.0, 18.0] * 20, [2, 18] * 20)
    left = time_left(Budget(trials=100), used(uneven))
    assert left is not None
    assert left.low < 500 < 700 < left.high
    assert left.told == "about 7 to 13 min left"


@pytest.mark.parametrize("over", [3, 5, 12, 20])
def test_nine_of_ten_times_it_takes_as_long_as_was_said(over: int) -> None:
    random, hits = np.random.default_rng(0), 0
    for _ in range(2000):
        took = random.gamma(4.0, 2.5, 60) if over == 20 else random.normal(10.0, 1.0, 60)
        before, after = took[:over], float(took[over:].sum())
        durations = Durations.of(before.tolist(), [1] * over)
        left = time_left(Budget(trials=60), used(durations, over, float(before.sum()), over))
        assert left is not None
        hits += left.low <= after <= left.high
    assert (0.85 if over == 20 else 0.88) < hits / 2000 < (0.95 if over == 20 else 0.92)


def test_the_limit_that_is_reached_first_says_what_is_left() -> None:
    uneven = Durations.of([2.0, 18.0] * 20, [2, 18] * 20)
    assert time_left(Budget(trials=100, seconds=460), used(uneven)) == TimeLeft(60, 60, is_exact=True)
    both = time_left(Budget(trials=100, seconds=950), used(uneven))
    assert both is not None
    assert (both.high, both.is_exact) == (550, False)
    assert both.low < 500
    assert both.told.startswith("about ")
    epochs = time_left(Budget(epochs=1000), used(uneven))
    assert epochs is not None
    assert epochs.low < 600 < epochs.high
    assert time_left(Budget(target=0.1), used(uneven)) is None
    assert time_left(Budget(trials=100), Used(0, 0, 3.0, 0.0)) is None


def test_few_trials_and_none_left_have_no_spread() -> None:
    two = Durations.of([2.0, 18.0], [1, 1])
    assert time_left(Budget(trials=4), used(two, 2, 20.0)) == TimeLeft(20, 20)
    assert time_left(Budget(trials=2), used(two, 2, 20.0)) == TimeLeft(0, 0)
    assert Durations.of([0.0, float("nan"), 1.0], [1, 1, 1]).count == 1
