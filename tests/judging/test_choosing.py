from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tuner.judging.choosing import Candidate, choose
from tuner.judging.intervals import over_repeats
from tuner.judging.noise import of_repeats

NOISE = np.random.default_rng(0).normal(0, 0.02, 10)


def candidate(number: int, mean: float, *, size: int = 100, seed: int = 0, noise: float = 0.01) -> Candidate:
    own = np.random.default_rng((number, seed)).normal(0, noise, 10)
    return Candidate(number, mean, tuple((mean + NOISE + own - own.mean()).tolist()), size, 5.0)


def test_the_corrected_test_is_that_of_nadeau_and_bengio() -> None:
    one, other = [0.1, 0.2, 0.15, 0.12], [0.2, 0.25, 0.2, 0.3]
    gains = np.array(other) - np.array(one)
    error = of_repeats(np.array([one, other]), 0.25).errors()[0, 1]
    assert error == pytest.approx(gains.std(ddof=1) * np.sqrt(1 / 4 + 0.25))
    (found,) = choose(
        [Candidate(1, 0.1, tuple(one)), Candidate(0, 0.2, tuple(other))], minimize=True, overlap=0.25
    ).against
    assert (found.gain, found.error) == pytest.approx((gains.mean(), error))


def test_of_two_the_test_is_students() -> None:
    one, other = np.array([0.1, 0.2, 0.15, 0.12, 0.1]), np.array([0.2, 0.25, 0.2, 0.3, 0.18])
    (found,) = choose(
        [Candidate(1, 0.1, tuple(one)), Candidate(0, 0.2, tuple(other))], minimize=True, overlap=0.0
    ).against
    theirs = stats.ttest_rel(other, one, alternative="greater")
    assert found.p == pytest.approx(theirs.pvalue / 0.65, abs=0.005)
    assert found.low == pytest.approx(theirs.confidence_interval(1 - 0.65 * 0.05).low, abs=0.004)
    assert found.is_clear == (found.low > 0)


def test_pairing_sees_a_difference_that_the_splits_own_luck_hides() -> None:
    found = choose(
        [candidate(1, 0.30, noise=0.002), candidate(0, 0.32, noise=0.002)], minimize=True, overlap=0.25
    )
    assert found.recommended == found.winner == 1
    assert (found.tied, found.better) == ((1,), (1,))


def test_a_clearly_better_default_is_recommended() -> None:
    found = choose([candidate(1, 0.5), candidate(0, 0.3)], minimize=True, overlap=0.25)
    assert (found.winner, found.recommended) == (0, 0)


def test_the_default_is_taken_where_nothing_is_better_beyond_the_noise() -> None:
    found = choose(
        [candidate(3, 0.299, noise=0.05), candidate(0, 0.3, noise=0.05)], minimize=True, overlap=0.25
    )
    assert found.winner == 3
    assert found.recommended == 0
    assert set(found.tied) == {3, 0}


def test_the_smallest_of_those_as_good_is_taken() -> None:
    candidates = [candidate(5, 0.2000, size=900), candidate(7, 0.2005, size=50), candidate(0, 0.4, size=10)]
    found = choose(candidates, minimize=True, overlap=0.25)
    assert (found.winner, found.recommended) == (5, 7)


def test_a_smaller_one_that_is_worse_beyond_the_noise_is_not_taken() -> None:
    candidates = [candidate(5, 0.20, size=900), candidate(7, 0.25, size=50), candidate(0, 0.4)]
    found = choose(candidates, minimize=True, overlap=0.25)
    assert found.recommended == 5
    assert 7 not in found.tied


def test_more_is_better_where_the_metric_rises() -> None:
    found = choose([candidate(1, 0.9), candidate(0, 0.7)], minimize=False, overlap=0.25)
    assert found.recommended == 1
    assert found.against[0].gain > 0


def test_who_failed_once_can_neither_win_nor_be_taken() -> None:
    broken = Candidate(1, 0.1, (0.1, None, 0.1), 10)
    whole = Candidate(0, 0.3, (0.31, 0.3, 0.29), 10)
    found = choose([broken, whole], minimize=True, overlap=0.25)
    assert (found.winner, found.recommended, found.tied) == (0, 0, (0,))
    with pytest.raises(ValueError, match="no candidate"):
        choose([broken], minimize=True, overlap=0.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.booleans())
def test_who_is_taken_is_tied_with_the_winner_or_is_the_default(means: list[float], minimize: bool) -> None:
    candidates = [candidate(number, mean, size=number) for number, mean in enumerate(means)]
    found = choose(candidates, minimize=minimize, overlap=0.25)
    assert found.winner in found.tied
    assert found.recommended in (*found.tied, 0)
    by_number = {c.number: c.mean or 0.0 for c in candidates}
    sign = 1 if minimize else -1
    assert sign * by_number[found.recommended] <= sign * by_number[0] + 1e-12


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_of_six_equal_ones_on_one_split_chance_seldom_claims_anything(shared: float) -> None:
    clear, taken, studies = 0, 0, 60
    for seed in range(studies):
        rng = np.random.default_rng(seed)
        values = 0.5 + 0.01 * (shared * rng.normal(size=10) + rng.normal(size=(6, 10)))
        candidates = [
            Candidate(n, 0.5, tuple(row)) for n, row in zip((1, 2, 3, 4, 5, 0), values, strict=True)
        ]
        found = choose(candidates, minimize=True, overlap=0.0)
        clear += any(each.is_clear for each in found.against)
        taken += found.recommended != 0
    # 4 % and 3 % are meant.
    assert clear <= 6
    assert taken <= 5


def test_intervals_are_as_wide_as_the_tests_are_strict() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = rng.normal(np.linspace(0, 3, 5)[:, None], 1.0, (5, 8))
        candidates = [Candidate(n, 0.5, tuple(row)) for n, row in zip((1, 2, 3, 4, 0), values, strict=True)]
        found = choose(candidates, minimize=True, overlap=0.0)
        for each in found.against:
            assert each.low <= each.gain <= each.high
            if 0 in (found.winner, each.number) or found.better:
                assert each.is_clear == (each.low > 0) or abs(each.p - 0.05) < 0.002


def test_nothing_is_told_apart_where_all_came_out_the_same_to_the_last_bit() -> None:
    same = [Candidate(n, 0.3, (0.1, 0.1, 0.1), size) for n, size in ((2, 10), (1, 5), (0, 90))]
    found = choose(same, minimize=True, overlap=0.25)
    assert (found.winner, found.recommended, found.tied) == (0, 0, (0, 2, 1))
    assert all((c.gain, c.low, c.high, c.p) == (0, 0, 0, 1) for c in found.against)


def test_where_no_repeat_differs_any_difference_is_clear() -> None:
    found = choose(
        [Candidate(1, 0.1, (0.25,) * 3), Candidate(0, 0.2, (0.5,) * 3)], minimize=True, overlap=0.0
    )
    assert (found.recommended, found.tied, found.against[0].low) == (1, (1,), 0.25)


@given(st.floats(-1e3, 1e3), st.integers(3, 30))
def test_the_mean_of_the_same_number_is_that_number(value: float, repeats: int) -> None:
    assert Candidate(1, value, (value,) * repeats).mean == value
    found = over_repeats(np.full(repeats, value), 0.0)
    assert (found.estimate, found.low, found.high) == (value, value, value)
    noise = of_repeats(np.full((2, repeats), [[value], [1.0]]), 0.0)
    assert noise.of_one(0)[0] == 0


def test_one_candidate_alone_is_compared_with_nothing() -> None:
    found = choose([Candidate(0, 0.2, (0.5, 0.4, 0.6))], minimize=True, overlap=0.25)
    assert (found.winner, found.recommended, found.tied, found.against) == (0, 0, (0,), ())
    found = choose(
        [Candidate(3, 0.2, (0.5, 0.4, 0.6)), Candidate(0, 0.2, (None, 0.4, 0.6))], minimize=True, overlap=0.0
    )
    assert (found.winner, found.recommended, found.better, found.against) == (3, 3, (), ())
