from __future__ import annotations

import math

import pytest

from tuner.figures import DARK, LIGHT, Theme, overtuning


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_both_lines_go_over_the_incumbents_in_the_order_of_the_search(theme: Theme) -> None:
    drawn = overtuning.path([0, 12, 7], [0.3, 0.2, 0.1], [0.35, 0.3, math.nan], "val_loss", theme, 80)
    validation, test = drawn["data"]
    assert validation["y"] == [0.3, 0.2, 0.1]
    assert test["y"] == [0.35, 0.3, None]
    assert drawn["layout"]["xaxis"]["ticktext"] == ["default", "12", "7"]
    (note,) = drawn["layout"]["annotations"]
    assert note["text"].replace("<br>", " ") == "left out: 77 trials that never had the best value so far"
