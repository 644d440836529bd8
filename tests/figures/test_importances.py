from __future__ import annotations

from dataclasses import replace

import pytest

from tests.figures.parts import frame, losses
from tuner.figures import LIGHT, Nothing
from tuner.figures.importances import data, draw

SHARES = {"value": {"rate": 0.7, "layers": 0.3}, "gap": {"momentum": 0.6, "layers": 0.4}}


def test_value_and_gap_stand_side_by_side_in_the_order_of_the_value() -> None:
    found = data(replace(frame(losses(1.0)), importances=SHARES))
    assert found.parameters == ("rate", "layers", "momentum")
    assert found.value == (0.7, 0.3, None)
    assert found.gap == (None, 0.4, 0.6)
    bars = draw(found, LIGHT)["data"]
    assert [bar["x"] for bar in bars] == [[0.7, 0.3, None], [None, 0.4, 0.6]]


def test_without_the_gaps_there_is_one_bar_each() -> None:
    found = data(replace(frame(losses(1.0)), importances={"value": SHARES["value"]}))
    assert len(draw(found, LIGHT)["data"]) == 1


def test_too_few_trials_are_said_in_words() -> None:
    with pytest.raises(Nothing, match="Too few trials"):
        data(frame(losses(1.0)))
