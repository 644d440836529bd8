from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.figures.parts import frame, losses
from tuner import figures
from tuner.errors import SpecError

MANY = 1200
VALUES = [1.0 + 0.001 * (n * 7919 % MANY) for n in range(MANY)]


def within(area: dict[str, Any], **options: Any) -> list[int]:
    made = frame(losses(*VALUES))
    return figures.within(figures.find("convergence"), made, options, figures.Area.read(json.dumps(area)))


def test_a_box_holds_every_trial_within_it_drawn_or_not() -> None:
    wanted = [n for n, value in enumerate(VALUES) if 100 <= n + 1 <= 900 and 1.2 <= value <= 1.8]
    drawn = figures.plot(figures.find("convergence"), frame(losses(*VALUES)))
    assert sum(len(trace["x"]) for trace in drawn["data"]) < len(wanted)
    x = next(t["x"][0] - t["customdata"][0] for t in drawn["data"] if t["name"] == "finished")
    found = within({"x": [900 + x - 1, 100 + x - 1], "y": [1.2, 1.8]})
    assert found == wanted


@pytest.mark.parametrize("log", [False, True])
def test_a_lasso_holds_what_lies_inside_it(log: bool) -> None:
    # A triangle, whose sides are straight on a logarithmic axis, too.
    corners = {"x": [0.0, 600.0, 1200.0], "y": [1.0, 2.2, 1.0], "lasso": True}
    found = within(corners, log=log)
    height = np.log10 if log else np.asarray
    top, bottom = height(2.2), height(1.0)
    for n in (10, 300, 600, 900, 1190):
        share = min(n, 1200 - n) / 600
        is_in = height(VALUES[n]) < bottom + share * (top - bottom)
        assert (n in found) == is_in


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '{"x": [1, 2]}', '{"x": [1], "y": [1]}', '{"x": [1, NaN], "y": [1, 2]}', "²"],
)
def test_what_is_no_area_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="no box and no lasso"):
        figures.Area.read(text)
