from __future__ import annotations

import pytest

from tests.figures.parts import curve, frame, losses
from tuner.core.trial import Objective, TrialState
from tuner.figures import LIGHT, NothingToPlot
from tuner.figures.convergence import data, draw, progress
from tuner.figures.points import MOST

CUT = {"state": TrialState.STOPPED, "conclusive": False}


def test_the_line_steps_at_every_improvement_and_ends_at_the_last_trial() -> None:
    found = data(frame(losses(3.0, 4.0, 2.0, 2.5, 1.0, 5.0))).best_so_far
    assert found.x.tolist() == [0, 2, 4, 5]
    assert found.y.tolist() == [3.0, 2.0, 1.0, 1.0]
    assert found.number.tolist() == [0, 2, 4, 4]


def test_more_is_better_where_the_objective_says_so() -> None:
    found = data(frame(losses(3.0, 4.0, 2.0), objective=Objective("val_loss", minimize=False))).best_so_far
    assert found.y.tolist() == [3.0, 4.0, 4.0]


def test_trials_that_were_cut_short_stand_apart_and_make_no_step() -> None:
    found = data(frame(losses(3.0, 1.0, 2.0), {1: CUT}))
    assert found.best_so_far.y.tolist() == [3.0, 2.0, 2.0]
    assert found.points.kind.tolist() == ["finished", "cut short", "finished"]


def test_the_default_configuration_is_trial_zero() -> None:
    assert data(frame(losses(3.0, 1.0))).default == 3.0
    assert data(frame(losses(3.0, 1.0)).only([1])).default is None


def test_over_epochs_a_best_value_stands_where_it_was_reached() -> None:
    # Trials of two epochs, one after the other; the second one's best epoch is its first.
    made = frame({0: curve([3.0, 2.0], [3.0, 2.0]), 1: curve([1.0, 5.0], [1.0, 5.0])})
    assert progress(made, "epochs").tolist() == [2.0, 3.0]
    assert progress(made, "trials").tolist() == [0.0, 1.0]


def test_epochs_of_trials_that_trained_at_once_are_counted_together() -> None:
    at_once = {"started_at": "2026-01-01T00:00:00", "ended_at": "2026-01-01T00:00:02"}
    made = frame({n: curve([3.0, 2.0], [3.0, 2.0]) for n in range(3)}, dict.fromkeys(range(3), at_once))
    assert progress(made, "epochs").tolist() == [6.0, 6.0, 6.0]
    assert progress(made, "seconds").tolist() == [2.0, 2.0, 2.0]


def test_over_seconds_the_clock_counts_from_the_first_start() -> None:
    facts = {
        0: {"started_at": "2026-01-01T00:00:00", "ended_at": "2026-01-01T00:00:04"},
        1: {"started_at": "2026-01-01T00:01:00", "ended_at": "2026-01-01T00:01:08"},
    }
    made = frame({0: curve([2.0] * 2, [3.0, 2.0]), 1: curve([1.0] * 2, [1.0, 9.0])}, facts)
    assert progress(made, "seconds").tolist() == [4.0, 64.0]


def test_without_readings_trials_are_counted_by_what_is_stored() -> None:
    facts = {n: {"epochs": 5, "seconds": 2.0, "value": 3.0 - n} for n in range(2)}
    assert progress(frame({}, facts), "epochs").tolist() == [5, 10]
    assert progress(frame({}, facts), "seconds").tolist() == [2.0, 4.0]


def test_of_many_trials_the_best_the_selected_and_a_sample_are_drawn() -> None:
    made = frame(losses(*(100.0 - n % 97 + n / 1e4 for n in range(4000)))).selecting([1234])
    found = data(made).points
    assert len(found) <= MOST
    assert {0, 1234, int(made.trials.number[made.ranking[0]])} <= set(found.number.tolist())
    assert found.note == f"{MOST:,} of 4,000 trials drawn: the best, the selected and a sample"


def test_a_diverged_value_does_not_press_the_others_together() -> None:
    low, high = data(frame(losses(*(1 + n / 10 for n in range(20)), 1e8))).range or (0, 0)
    assert low < 1
    assert 2.9 < high < 100


def test_nothing_is_said_in_words_before_the_first_value() -> None:
    with pytest.raises(NothingToPlot, match="No trial has a value"):
        data(frame({}, {0: {"state": TrialState.RUNNING}}))


def test_the_default_is_a_dashed_line_with_its_name() -> None:
    drawing = draw(data(frame(losses(3.0, 1.0))), LIGHT)
    assert drawing["layout"]["shapes"][0]["y0"] == 3.0
    assert drawing["layout"]["annotations"][0]["text"] == "default configuration"
