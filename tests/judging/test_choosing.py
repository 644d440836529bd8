from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.judging import Candidate, choose, compare

NOISE = np.random.default_rng(0).normal(0, 0.02, 10)


def candidate(number: int, mean: float, *, size: int = 100, seed: int = 0, noise: float = 0.01) -> Candidate:
    own = np.random.default_rng((number, seed)).normal(0, noise, 10)
    return Candidate(number, mean, tuple((mean + NOISE + own - own.mean()).tolist()), size, 5.0)


def test_the_corrected_test_is_that_of_nadeau_and_bengio() -> None:
    one, other = [0.1, 0.2, 0.15, 0.12], [0.2, 0.25, 0.2, 0.3]
    gain, error, pairs = compare(one, other, minimize=True, overlap=0.25)
    gains = np.array(other) - np.array(one)
    assert pairs == 4
    assert gain == pytest.approx(gains.mean())
    assert error == pytest.approx(gains.std(ddof=1) * math.sqrt(1 / 4 + 0.25))


def test_pairing_sees_a_difference_that_the_splits_own_luck_hides() -> None:
    found = choose(
        [candidate(1, 0.30, noise=0.002), candidate(0, 0.32, noise=0.002)], minimize=True, overlap=0.25
    )
    assert found.recommended == found.winner == 1
    assert found.tied == (1,)


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


def test_of_equal_configurations_chance_seldom_prefers_one_to_the_default() -> None:
    taken = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        values = rng.normal(0, 0.01, (4, 10))
        candidates = [Candidate(n, 0.0, tuple(row.tolist()), 10) for n, row in enumerate(values)]
        taken += choose(candidates, minimize=True, overlap=0.25).recommended != 0
    assert taken / 150 < 0.15
