from __future__ import annotations

import numpy as np
import pytest

from tuner.judging.choosing import Candidate, choose
from tuner.judging.noise import Noise, of_repeats, spread_of
from tuner.judging.noise import of_rows as noise_of_rows

ROWS, REPEATS = 60, 10


def losses(rng: np.random.Generator, configurations: int, row: float, seed: float) -> np.ndarray:
    """Losses on one validation split (C, R, n) of configurations that are equal on all rows there are."""
    by_row = rng.normal(0, row, (configurations, 1, ROWS)) + rng.normal(0, 1, ROWS)
    return by_row + rng.normal(0, seed, (configurations, REPEATS, 1)) + rng.normal(0, 0.2, (REPEATS, ROWS))


def noise(found: np.ndarray) -> Noise:
    values = found.mean(axis=2)
    moved = [found[:, r] - values[:, r, None] for r in range(REPEATS)]
    return noise_of_rows(values, moved, [np.arange(ROWS)] * REPEATS)


def candidates(found: np.ndarray) -> list[Candidate]:
    numbers = [*range(1, len(found)), 0]
    return [Candidate(n, None, tuple(v)) for n, v in zip(numbers, found.mean(axis=2), strict=True)]


def test_errors_count_the_luck_of_rows_and_of_seeds() -> None:
    rng = np.random.default_rng(0)
    seen = [noise(losses(rng, 2, 0.5, 0.1)).errors()[0, 1] ** 2 for _ in range(300)]
    truth = 2 * (0.5**2 / ROWS + 0.1**2 / REPEATS)
    assert np.mean(seen) == pytest.approx(truth, rel=0.1)


def test_the_luck_of_one_splits_rows_is_not_taken_for_merit() -> None:
    """Seeds alone tell equal configurations apart on their one split; with the rows they do not."""
    by_seeds = by_rows = 0
    for seed in range(25):
        found = losses(np.random.default_rng(seed), 4, 0.5, 0.02)
        by_seeds += choose(candidates(found), minimize=True, overlap=0.0).recommended != 0
        with_rows = choose(candidates(found), minimize=True, overlap=0.0, noise=noise(found))
        by_rows += any(each.is_clear for each in with_rows.against) or with_rows.recommended != 0
        assert with_rows.by_row
    assert by_seeds > 12
    assert by_rows <= 3


def test_rows_of_one_group_count_as_one() -> None:
    rng = np.random.default_rng(1)
    groups = np.arange(ROWS) // 6
    found = losses(rng, 2, 0.0, 0.0) + rng.normal(0, 1, (2, 1, 10))[:, :, groups]
    values = found.mean(axis=2)
    moved = [found[:, r] - values[:, r, None] for r in range(REPEATS)]
    error = noise_of_rows(values, moved, [groups] * REPEATS).errors()[0, 1]
    assert error > 2 * noise_of_rows(values, moved, [np.arange(ROWS)] * REPEATS).errors()[0, 1]


def test_seeds_that_matter_cost_less_certainty_where_rows_are_known() -> None:
    """Nadeau and Bengio's correction takes all that differs between repeats for luck with the split."""
    rng = np.random.default_rng(2)
    found = losses(rng, 2, 0.0, 0.3)
    assert noise(found).errors()[0, 1] < 0.6 * of_repeats(found.mean(axis=2), 1 / 3).errors()[0, 1]


def test_the_same_numbers_give_the_same_draws() -> None:
    found = noise(losses(np.random.default_rng(3), 3, 0.5, 0.1))
    assert (found.drawn([(0, 1), (1, 2)]) == found.drawn([(0, 1), (1, 2)])).all()


def test_the_spread_leaves_out_what_a_split_does_to_all_and_what_sets_trials_apart() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (6, 400))
    level, split = np.arange(6.0)[:, None], np.random.default_rng(1).normal(0, 5, 400)
    assert spread_of((level + split + noise).tolist()) == pytest.approx(0.1, rel=0.05)


def test_a_configuration_that_failed_once_is_no_measure_of_spread() -> None:
    assert spread_of([]) is None
    assert spread_of([[1.0, 2.0, 3.0], [1.0, None, 9.0]]) is None
    assert spread_of([[1.0, 2.0], [1.0, None], [2.0, 3.0]]) == 0
