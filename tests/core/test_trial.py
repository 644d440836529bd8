from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tuner.core.budget import Budget, Spent
from tuner.core.seeds import derive
from tuner.core.trial import Objective, Reading, TrialState

losses = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(st.lists(losses, max_size=20), st.booleans())
def test_best_reading_is_the_first_that_no_finite_one_beats(values: list[float], minimize: bool) -> None:
    objective = Objective("val_loss", minimize)
    curve = [Reading(i + 1, 0.0, value) for i, value in enumerate(values)]
    best = objective.best(curve)
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        assert best is None
    else:
        assert best is not None
        assert best.val_loss == (min(finite) if minimize else max(finite))
        assert best.epoch == values.index(best.val_loss) + 1


def test_nan_is_never_better_and_always_beaten() -> None:
    objective = Objective()
    assert not objective.better(math.nan, 1.0)
    assert objective.better(1.0, math.nan)


def test_gap_is_validation_loss_minus_training_loss() -> None:
    assert Reading(1, train_loss=0.25, val_loss=1.0).gap == 0.75


def test_extras_are_read_by_name_and_unknown_numbers_are_nan() -> None:
    reading = Reading(1, 0.1, 0.2, extras={"reward": 3.0})
    assert reading.get("reward") == 3.0
    assert math.isnan(reading.get("nothing"))


def test_only_ended_trials_are_over() -> None:
    assert {s.value for s in TrialState if s.is_over} == {"finished", "stopped", "failed"}


def test_streams_differ_by_each_of_seed_trial_purpose_and_attempt() -> None:
    seeds = {
        derive(s, n, p, a) for s in range(5) for n in range(5) for p in ("order", "init") for a in range(3)
    }
    assert len(seeds) == 150
    assert derive(1, 2, "order") == derive(1, 2, "order") < 2**32


def test_budget_names_the_limit_that_is_reached() -> None:
    objective = Objective()
    budget = Budget(trials=3, seconds=10, epochs=100, target=0.1)
    assert budget.room(Spent(trials=1)) == 2
    assert budget.exhausted(Spent(trials=3, best=0.2), objective) is None
    for spent, word in (
        (Spent(seconds=10), "seconds"),
        (Spent(epochs=100), "epochs"),
        (Spent(best=0.1), "target"),
    ):
        reason = budget.exhausted(spent, objective)
        assert reason is not None
        assert word in reason


def test_a_mean_knows_its_standard_errors() -> None:
    reading = Reading(1, 0.1, 0.2, extras={"val_loss_se": 0.01, "cost": 3.0})
    assert reading.error("val_loss") == reading.errors["val_loss"] == 0.01
    assert reading.errors.keys() == {"val_loss"}
    assert math.isnan(reading.error("train_loss"))
