from __future__ import annotations

from dataclasses import replace
from math import nan

import numpy as np
import pytest

from tests.figures.parts import curve, frame
from tuner.core.trial import Objective, Reading
from tuner.figures import LIGHT, Frame, NothingToPlot, readings
from tuner.figures.curves import FIGURE, MOST_POINTS, data, draw, names_of


def study(trials: int = 11, epochs: int = 4) -> Frame:
    """Trial n has training loss n + 1 and validation loss n + 2 at every epoch but a better last one."""
    return frame({n: curve([n + 1.0] * epochs, [n + 2.0] * (epochs - 1) + [n + 1.5]) for n in range(trials)})


def test_the_best_few_are_lines_and_the_others_bands() -> None:
    found = data(study(), best=1)
    assert [(line.number, line.column) for line in found.lines] == [(0, "train_loss"), (0, "val_loss")]
    band = found.bands[1]
    assert (band.column, band.trials, band.x.tolist()) == ("val_loss", 10, [1, 2, 3, 4])
    assert band.y[0].tolist() == [4.0, 7.0, 11.0]  # of 3 to 12


def test_of_very_many_others_a_sample_makes_the_band_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.figures.curves.MOST_IN_BAND", 5)
    band = data(study(), best=1).bands[1]
    assert (band.trials, band.others) == (5, 10)
    assert band.y[0].tolist() == [3.0, 7.0, 12.0]  # of 3, 5, 7, 9 and 12
    assert "5 of 10 others" in draw(data(study(), best=1), LIGHT)["data"][0]["name"]


def test_selected_trials_have_lines_too_and_leave_the_bands() -> None:
    found = data(study().selecting([7]), best=1)
    assert [line.number for line in found.lines] == [7, 7, 0, 0]
    assert [line.selected for line in found.lines] == [True, True, False, False]
    assert found.bands[0].trials == 9


def test_without_trials_that_may_be_the_best_those_under_way_have_lines_else_the_failed_ones() -> None:
    whole = study(trials=3)
    state = np.array(["failed", "running", "failed"])
    value = np.full(3, np.nan)
    early = replace(whole, trials=replace(whole.trials, state=state, value=value))
    assert [line.number for line in data(early).lines] == [1, 1]
    assert [line.number for line in data(early.only([2])).lines] == [2, 2]


def test_too_few_others_make_no_band() -> None:
    assert data(study(trials=4), best=2).bands == ()


def test_the_best_epoch_is_marked_on_the_validation_line_alone() -> None:
    drawing = draw(data(study(trials=1)), LIGHT)
    train, val, star = drawing["data"]
    assert (train["mode"], val["mode"], star["mode"]) == ("lines", "lines", "markers")
    assert star["x"] == [4]
    assert star["y"] == [val["y"][-1]]
    assert star["legendgroup"] == val["legendgroup"]
    assert (train["line"]["dash"], val["line"]["dash"]) == ("dash", "solid")


def test_a_curve_of_one_epoch_can_be_seen() -> None:
    drawing = draw(data(frame({0: curve([1.0], [2.0])})), LIGHT)
    marks = [trace for trace in drawing["data"] if trace["mode"] == "markers"]
    assert [(trace["x"], trace["y"]) for trace in marks] == [([1], [1.0]), ([1], [2.0])]


def test_long_curves_are_decimated_but_keep_their_best_epoch() -> None:
    val = np.cos(np.arange(5000) / 50.0) + 2.0
    val[4321] = 0.5
    line = data(frame({0: curve([1.0] * 5000, val.tolist())})).lines[1]
    assert len(line.x) <= MOST_POINTS + 3
    assert line.best_epoch == 4322
    assert 4322 in line.x.tolist()
    assert line.best == 0.5


def test_smoothing_leaves_the_epochs_alone_and_evens_the_curve() -> None:
    made = frame({0: curve([1.0] * 6, [1.0, 3.0] * 3)})
    rough, even = data(made).lines[1], data(made, smoothing=0.9).lines[1]
    assert even.x.tolist() == rough.x.tolist()
    assert np.ptp(even.y) < np.ptp(rough.y)


def test_every_curve_at_once_is_one_trace_with_gaps_and_numbers() -> None:
    (_, x, y, number), _ = data(study(trials=3, epochs=2), best=0, every=True).every
    assert np.nan_to_num(x, nan=-1).tolist() == [1, 2, -1, 1, 2, -1, 1, 2]
    assert np.nan_to_num(y, nan=-1).tolist() == [1, 1, -1, 2, 2, -1, 3, 3]
    assert number.tolist() == [0, 0, -1, 1, 1, -1, 2, 2]


def test_a_quantity_that_is_not_measured_is_said_to_be_missing() -> None:
    made = frame({0: [Reading(1, 1.0, 2.0)]})
    with pytest.raises(NothingToPlot, match="No epoch has a finite score"):
        data(made, what="score")


def test_the_numbers_choose_the_scale_unless_somebody_does() -> None:
    wide = frame({0: curve([1.0, 0.001], [1.0, 0.002])})
    assert data(wide).log
    assert not data(wide, what="score").log
    assert not data(wide, log="false").log
    assert data(study(), what="learning_rate", log="true").log


def test_numbers_of_ones_own_are_followed_in_pairs_and_what_is_searched_for_comes_first() -> None:
    own = {
        number: [
            Reading(epoch, nan, nan, extras={"val_f1": 0.1 * epoch, "train_f1": 0.2 * epoch, "cost": 3.0})
            for epoch in (1, 2, 3)
        ]
        for number in range(2)
    }
    made = frame(own, objective=Objective("val_f1", minimize=False))
    assert dict(made.series) == {"f1": ("train_f1", "val_f1"), "cost": ("cost",)}
    (what, *_) = FIGURE.options(made)
    assert (what.default, [name for name, _ in what.choices]) == ("f1", ["f1", "cost"])
    found = data(made, what="f1")
    assert found.label == "f1"
    assert [(line.column, line.y.tolist()) for line in found.lines][:2] == [
        ("train_f1", pytest.approx([0.2, 0.4, 0.6])),
        ("val_f1", pytest.approx([0.1, 0.2, 0.3])),
    ]
    assert readings.data(made).total == 2
    assert names_of(["f1", "train_f1", "val_f1"]) == {
        "f1": "f1",
        "train_f1": "training",
        "val_f1": "validation",
    }


def test_a_score_is_called_by_its_own_name() -> None:
    made = replace(study(), score="rmse")
    assert draw(data(made, what="score"), LIGHT)["layout"]["yaxis"]["title"]["text"] == "rmse"


def test_one_number_per_epoch_is_one_line() -> None:
    found = data(study(trials=1), what="grad_norm")
    assert [line.column for line in found.lines] == ["grad_norm"]


def test_readings_that_are_missing_in_the_middle_do_not_move_the_best_epoch() -> None:
    made = frame({0: [Reading(2, 1.0, 3.0), Reading(5, 1.0, 1.0), Reading(7, 1.0, 2.0)]})
    line = data(made).lines[1]
    assert (line.best_epoch, line.best) == (5, 1.0)


def test_a_rate_that_never_changes_is_seen_to_be_above_zero() -> None:
    made = frame({0: [Reading(epoch, 1.0, 2.0, learning_rate=0.001) for epoch in (1, 2, 3)]})
    assert draw(data(made, what="learning_rate"), LIGHT)["layout"]["yaxis"]["rangemode"] == "tozero"


def test_standard_errors_are_a_band_round_the_line_of_a_mean() -> None:
    made = frame({0: curve([0.9, 0.5], [1.0, 0.8]), 1: curve([0.9], [1.0])})
    made = replace(made, errors={"val_loss": np.array([0.1, 0.2, np.nan])}).only([0])
    bands = [each for each in draw(data(made), LIGHT)["data"] if "standard error" in each["name"]]
    assert [each["x"] for each in bands] == [[1, 2, 2, 1]]
    assert bands[0]["y"] == pytest.approx([1.1, 1.0, 0.6, 0.9])
