from __future__ import annotations

import numpy as np
import pytest

from tests.figures.parts import curve, frame
from tuner.figures import LIGHT, Frame, NothingToPlot
from tuner.figures.gap_epochs import data, draw, onsets

FALLING = [1.0 / (1 + n) for n in range(30)]
TURNING = [0.5 + abs(n - 12) / 12 for n in range(30)]  # lowest at epoch 13


def onset(train: list[float], val: list[float]) -> int:
    return int(onsets(frame({0: curve(train, val)}))[0])


def test_over_fitting_sets_in_where_validation_turns_while_training_falls() -> None:
    assert onset(FALLING, TURNING) == 13


def test_short_curves_have_an_onset_too() -> None:
    assert onset([1.0, 0.6, 0.3, 0.2, 0.1, 0.05], [1.1, 0.8, 0.5, 0.6, 0.8, 1.0]) == 3


def test_where_training_rises_too_nothing_is_over_fitted() -> None:
    assert onset(TURNING, TURNING) == 0


def test_where_validation_falls_to_the_end_nothing_is_over_fitted() -> None:
    assert onset(FALLING, [value + 0.2 for value in FALLING]) == 0


def test_a_rise_within_the_scatter_is_no_onset() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, 30)
    assert onset(FALLING, (0.5 + noise).tolist()) == 0


def test_scatter_does_not_move_the_onset_far() -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, 30)
    assert abs(onset(FALLING, (np.array(TURNING) + noise).tolist()) - 13) <= 2


def test_what_is_not_finite_hides_no_onset() -> None:
    val = TURNING.copy()
    val[3] = float("nan")
    val[20] = float("inf")
    assert onset(FALLING, val) == 13


def study() -> Frame:
    return frame({n: curve(FALLING, TURNING) for n in range(3)} | {3: curve(FALLING, FALLING), 4: []})


def test_onsets_are_per_trial_whatever_stands_beside_it() -> None:
    assert onsets(study()).tolist() == [13, 13, 13, 0, 0]


def test_bars_count_the_trials_whose_over_fitting_sets_in() -> None:
    found = data(study(), best=2)
    assert found.count.sum() == 3
    assert found.count[12] == 3
    assert found.epochs[12] == 13.0
    assert found.trials == 4
    assert [line.number for line in found.lines] == [3, 0]
    assert found.onset == {0: 13}


def test_the_onset_is_marked_on_the_line() -> None:
    drawing = draw(data(study(), best=2), LIGHT)
    mark = next(trace for trace in drawing["data"] if trace["name"] == "over-fitting sets in")
    assert (mark["x"], mark["customdata"]) == ([13], [0])
    assert mark["y"] == pytest.approx([0.5 - 1 / 13], rel=1e-3)


def test_without_both_losses_there_is_no_gap() -> None:
    with pytest.raises(NothingToPlot, match="there is no gap"):
        data(frame({0: curve([float("nan")], [1.0])}))
