from __future__ import annotations

from dataclasses import replace

import pytest

from tests.figures.parts import frame, losses
from tuner.core.trial import Objective
from tuner.figures import LIGHT, NothingToPlot
from tuner.figures.compare import data, draw


def test_each_study_has_its_own_best_so_far() -> None:
    one, two = frame(losses(3.0, 2.0), name="one"), frame(losses(5.0, 1.0, 4.0), name="two")
    found = data(replace(one, beside=(two,)))
    assert [(name, best.y.tolist()) for name, best in found.curves] == [
        ("one", [3.0, 2.0, 2.0]),
        ("two", [5.0, 1.0, 1.0]),
    ]


def test_studies_of_another_metric_are_named_but_not_drawn() -> None:
    other = frame(losses(0.9), objective=Objective("val_loss", minimize=False), name="other")
    found = data(replace(frame(losses(3.0), name="one"), beside=(other,)))
    assert found.others == ("other",)
    assert len(found.curves) == 1
    drawing = draw(found, LIGHT)
    assert drawing["layout"]["annotations"][0]["text"].endswith("values are of another kind: other")


def test_points_have_no_trial_numbers_for_they_are_of_different_studies() -> None:
    drawing = draw(data(frame(losses(1.0))), LIGHT)
    assert all("customdata" not in trace for trace in drawing["data"])


def test_studies_without_a_value_are_said_in_words() -> None:
    with pytest.raises(NothingToPlot, match="None of these studies"):
        data(frame({}))
