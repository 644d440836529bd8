from __future__ import annotations

import numpy as np
import pytest

from tests.figures.parts import HOSTILE, frame, losses
from tuner.core.trial import Objective
from tuner.figures import LIGHT, safe
from tuner.figures.parallel import BEST, MOST, data, draw


def test_lines_cross_each_axis_at_their_share_of_its_range() -> None:
    found = data(frame(losses(*range(1, 11))), ["rate", "momentum"])
    by_number = dict(zip(found.number.tolist(), found.heights.tolist(), strict=True))
    assert by_number[0][0] == 1.0  # rate 1 of 1e-4 to 1
    assert by_number[2][0] == pytest.approx(0.5)  # rate 1e-2, on a logarithmic scale
    assert np.isnan(by_number[1][1])  # momentum is not active
    assert by_number[0][2] == 0.0
    assert found.values == (1.0, 9.0)
    assert by_number[9][2] == 1.0, "the worst tenth stands at the axis' end"


def test_where_more_is_better_the_worst_stand_at_the_bottom() -> None:
    found = data(frame(losses(*range(1, 11)), objective=Objective("val_loss", minimize=False)), ["rate"])
    by_number = dict(zip(found.number.tolist(), found.heights.tolist(), strict=True))
    assert (by_number[0][1], by_number[9][1]) == (0.0, 1.0)


def test_of_many_trials_the_best_and_the_selected_stay() -> None:
    made = frame(losses(*(1.0 + n for n in range(600)))).selecting([555])
    found = data(made, ["rate"])
    assert len(found.number) <= MOST
    assert {*range(BEST), 555} <= set(found.number.tolist())
    assert (found.shade[np.isin(found.number, range(BEST))] == 0).all()
    assert found.shade.max() == 5
    assert found.total == 600


def test_lines_of_one_shade_are_one_trace_with_gaps_and_numbers() -> None:
    found = data(frame(losses(1.0, 2.0)), ["rate"])
    (trace,) = draw(found, LIGHT)["data"]
    assert trace["x"] == [0, 1, None, 0, 1, None]
    assert trace["customdata"] == [0, 0, 0, 1, 1, 1]


def test_names_of_choices_are_whole_where_there_is_room_else_where_one_points_at_them() -> None:
    made = frame(losses(1.0, 2.0, 3.0))
    wide = draw(data(made, ["optimizer"]), LIGHT)["layout"]["annotations"]
    assert safe(HOSTILE) in [each["text"] for each in wide]
    assert not [each for each in wide if "hovertext" in each]
    narrow = draw(data(made, ["optimizer", "rate", "layers", "momentum"]), LIGHT)["layout"]["annotations"]
    (cut,) = (each for each in narrow if "hovertext" in each)
    assert cut["hovertext"] == safe(HOSTILE)
    assert "…" in cut["text"]
    assert "adam" in [each["text"] for each in narrow]
