from __future__ import annotations

from dataclasses import replace

import pytest

from tests.figures.parts import HOSTILE, curve, frame, losses
from tuner.core.importances import Importances
from tuner.figures import LIGHT, NothingToPlot
from tuner.figures.importances import data, draw, smaller_gap_side

SHARES = {
    "value": Importances(40, 20, {"rate": 0.7, "layers": 0.2}, {"rate": 0.05, "layers": 0.1}),
    "gap": Importances(30, 20, {"momentum": 0.6, "layers": 0.4}),
}


def test_value_and_gap_stand_side_by_side_in_the_order_of_the_value() -> None:
    found = data(replace(frame(losses(1.0)), importances=SHARES))
    assert found.parameters == ("rate", "layers", "momentum")
    assert found.value == (0.7, 0.2, None)
    assert found.gap == (None, 0.4, 0.6)
    bars = draw(found, LIGHT)["data"]
    assert bars[0]["error_x"]["array"] == [0.05, 0.1, None]
    assert "40 trials" in str(draw(found, LIGHT)["layout"])
    assert [bar["x"] for bar in bars] == [[0.7, 0.2, None], [None, 0.4, 0.6]]


def test_without_the_gaps_there_is_one_bar_each() -> None:
    found = data(replace(frame(losses(1.0)), importances={"value": SHARES["value"]}))
    assert len(draw(found, LIGHT)["data"]) == 1


def test_too_few_trials_are_said_in_words() -> None:
    few = {"value": Importances(12, 25), "gap": Importances(3, 25)}
    with pytest.raises(NothingToPlot, match=r"Too few trials .* 12 of about 25 that it takes"):
        data(replace(frame(losses(1.0)), importances=few))
    with pytest.raises(NothingToPlot, match="the difference between 60 trials looks like chance"):
        data(replace(frame(losses(1.0)), importances={"value": Importances(60, 25)}))
    with pytest.raises(NothingToPlot, match="not known yet"):
        data(frame(losses(1.0)))


def test_the_bars_of_the_gap_say_on_which_side_it_is_smaller() -> None:
    gaps = {n: curve([1.0], [2.0 - 0.2 * (n % 5) - 0.001 * n]) for n in range(40)}  # rate is 10 ** -(n % 5)
    made = replace(frame(gaps), importances={"gap": Importances(40, 20, {"rate": 0.6, "optimizer": 0.4})})
    assert smaller_gap_side(made, "rate") == "lower"
    assert smaller_gap_side(made, "layers") == "", "no clear side"
    assert smaller_gap_side(made, "optimizer") == "", "nor a choice"
    bar = draw(data(made), LIGHT)["data"][-1]
    assert bar["text"][0].strip() == "lower"
    assert "<script>" not in str(bar)


def test_a_gap_that_is_smallest_between_is_called_neither_low_nor_high() -> None:
    gaps = {n: curve([1.0], [2.0 + abs(n % 5 - 2) + 0.001 * n]) for n in range(40)}
    assert smaller_gap_side(frame(gaps), "rate") == "middle"


def test_a_choice_is_named_where_its_gaps_are_clearly_smallest() -> None:
    gaps = {n: curve([1.0], [2.0 + (n % 3 != 2) + 0.001 * n]) for n in range(40)}
    made = replace(frame(gaps), importances={"gap": Importances(40, 20, {"optimizer": 1.0})})
    assert smaller_gap_side(made, "optimizer") == HOSTILE
    assert "<script>" not in str(draw(data(made), LIGHT)["data"])
