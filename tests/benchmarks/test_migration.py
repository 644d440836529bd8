from __future__ import annotations

import optuna
import pytest

from benchmarks import migration


def test_both_go_on_from_the_same_trials_with_the_same_objective() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    mine, theirs = migration.compare(migration.training, seed=1, first=12, further=4)
    assert mine.before == theirs.before
    assert len(mine.values) == len(theirs.values) == 4
    assert mine.values != theirs.values


def test_the_best_of_all_counts_what_there_was_before(capsys: pytest.CaptureFixture[str]) -> None:
    worse, better = migration.Continued([0.5, 0.7, 0.6], 0.4), migration.Continued([0.3, 0.9, 0.8], 0.4)
    assert worse.measures == {"best of the next trials": 0.5, "their median": 0.6, "best of all": 0.4}
    migration.report({"x": [(worse, better), (better, better)]})
    table = capsys.readouterr().out
    assert "| x | best of the next trials | 0.4000 | 0.3000 | 0 / 1 / 1 |" in table
    assert "| x | their median | 0.7000 | 0.8000 | 1 / 1 / 0 |" in table
