from __future__ import annotations

import numpy as np
import pytest

from tests.figures.parts import curve, frame, losses
from tuner.core.trial import TrialState
from tuner.figures import LIGHT, NothingToPlot, gap_parameters, slices
from tuner.figures.panels import draw, panels


def test_a_slice_has_every_trial_in_which_the_parameter_is_active() -> None:
    found = slices.data(frame(losses(*range(1, 13))), ["momentum"]).panels[0]
    assert found.points.number.tolist() == [0, 3, 6, 9]
    assert found.points.x.tolist() == pytest.approx([0.0, 0.3, 0.6, 0.0])
    assert found.points.y.tolist() == [1.0, 4.0, 7.0, 10.0]


def test_choices_have_medians_of_the_trials_that_took_them() -> None:
    found = slices.data(frame(losses(*range(1, 13))), ["optimizer"]).panels[0]
    assert found.trend.x.tolist() == [0.0, 1.0, 2.0]
    assert found.trend.median.tolist() == [5.5, 6.5, 7.5]
    assert found.trend.count.tolist() == [4, 4, 4]


def test_few_whole_numbers_are_grouped_by_value_not_binned() -> None:
    found = slices.data(frame(losses(*range(1, 13))), ["layers"]).panels[0]
    assert found.trend.x.tolist() == [1.0, 2.0, 3.0]
    assert (np.rint(found.points.x) == [1 + n % 3 for n in range(12)]).all()


def test_trials_that_were_cut_short_are_points_but_move_no_median() -> None:
    cut = {n: {"state": TrialState.STOPPED, "conclusive": False} for n in (0, 3, 6)}
    found = slices.data(frame(losses(*range(1, 13)), cut), ["optimizer"]).panels[0]
    assert 0 in found.points.number
    assert found.trend.median[0] == 10.0


def test_the_gap_of_a_failed_trial_is_left_out() -> None:
    found = gap_parameters.data(frame(losses(2.0, 4.0), {1: {"state": TrialState.FAILED}}), ["rate"])
    assert found.panels[0].points.y.tolist() == [1.0]
    assert found.label == "gap"


def test_panels_stand_in_rows_and_share_the_axis_of_y() -> None:
    names = ["rate", "layers", "optimizer", "momentum"] * 2
    drawing = draw(slices.data(frame(losses(1.0, 2.0)), names), LIGHT)
    layout = drawing["layout"]
    assert layout["xaxis"]["domain"][0] == 0
    assert layout["xaxis4"]["domain"][1] == pytest.approx(1.0)
    assert layout["yaxis5"]["matches"] == "y"
    assert layout["yaxis5"]["domain"][1] < layout["yaxis"]["domain"][0]
    assert layout["xaxis"]["type"] == "log"


def test_hover_tells_the_choice_that_is_meant_not_where_it_was_moved() -> None:
    drawing = draw(slices.data(frame(losses(1.0, 2.0)), ["optimizer"]), LIGHT)
    assert drawing["data"][0]["text"] == ["sgd", "adam"]
    assert "%{text}" in drawing["data"][0]["hovertemplate"]


def test_no_parameter_is_said_in_words() -> None:
    made = frame(losses(1.0))
    assert slices.data(made, ()).panels, "the most important ones where none is named"
    with pytest.raises(NothingToPlot, match="No parameter is chosen"):
        panels(made, made.trials.value, "value", (), "false", True)


def test_one_far_gap_on_either_side_sets_no_axis_and_is_told() -> None:
    for far in (-50.0, 50.0):
        made = frame({n: curve([1.0], [2.0 + n / 100]) for n in range(30)} | {30: curve([1.0], [far])})
        found = gap_parameters.data(made, ["rate"])
        assert found.range is not None
        assert -1.0 < found.range[0] < 1.0 < 1.29 < found.range[1] < 3.0
        assert found.outside == 1
        layout = draw(found, LIGHT)["layout"]
        assert layout["yaxis"]["range"] == found.range
        assert "1 trial beyond the axis" in layout["annotations"][0]["text"]
