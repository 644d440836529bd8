from __future__ import annotations

import pytest

from benchmarks import quality


def test_the_interval_of_a_steady_difference_leaves_out_zero() -> None:
    low, high = quality.interval([0.9, 1.0, 1.1, 1.0, 0.95, 1.05, 1.0, 0.9])
    assert 0.9 <= low <= 1.0 <= high <= 1.1


def test_the_interval_of_noise_holds_zero() -> None:
    low, high = quality.interval([-1.0, 1.0, -0.5, 0.5, -0.8, 0.8, -0.1, 0.1])
    assert low < 0 < high


def test_a_difference_on_every_seed_is_no_chance() -> None:
    assert quality.chance_of([0.1 * number for number in range(1, 11)]) < 0.01
    assert quality.chance_of([-1.0, 1.1, -0.5, 0.6, -0.8, 0.7]) > 0.3
    assert quality.chance_of([0.0, 0.0]) == 1.0


@pytest.mark.slow
def test_the_same_study_runs_in_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    runs = {
        way: [quality.found("digits", {**settings, "trainer.epochs": 2}, seed, trials=3) for seed in (0, 1)]
        for way, settings in quality.WAYS.items()
        if way in (quality.DEFAULT, "rows = 4")
    }
    assert all(0 < run.loss <= run.middle and 3 <= run.epochs <= 6 for each in runs.values() for run in each)
    quality.report(runs)
    assert "| rows = 4 | best validation loss |" in capsys.readouterr().out
