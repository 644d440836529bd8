from __future__ import annotations

from math import nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.figures.parts import curve, frame
from tuner.core.objectives import Objectives
from tuner.core.trial import Objective, Reading, TrialState
from tuner.figures import LIGHT, NothingToPlot
from tuner.figures.tradeoffs import data, draw, front, options

_COSTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20)


@given(_COSTS)
def test_the_front_is_what_no_other_trial_beats_in_both(trials: list[Any]) -> None:
    cost, loss = (np.array(each, dtype=float) for each in zip(*trials, strict=True))
    found = front(cost, loss, np.arange(len(cost)))
    for i in range(len(cost)):
        beaten = ((cost <= cost[i]) & (loss <= loss[i]) & ((cost < cost[i]) | (loss < loss[i]))).any()
        same = ((cost == cost[i]) & (loss == loss[i])).argmax()
        assert (i in found) == (not beaten and same == i)
    assert (np.diff(cost[found]) > 0).all()
    assert (np.diff(loss[found]) < 0).all()


def test_value_is_set_against_gap_and_what_was_cut_short_is_no_bargain() -> None:
    made = frame(
        {0: curve([0.9], [1.0]), 1: curve([0.4], [0.8]), 2: curve([0.5], [0.9]), 3: curve([0.1], [0.1])},
        {3: {"state": TrialState.STOPPED, "conclusive": False}},
    )
    found = data(made)
    assert found.number.tolist() == [0, 1]
    assert found.x.round(9).tolist() == [0.1, 0.4]
    assert found.y.tolist() == [1.0, 0.8]


def test_where_more_is_better_the_front_rises() -> None:
    made = frame(
        {n: curve([1.0] * (n + 1), [1.0 + n] * (n + 1)) for n in range(3)},
        objective=Objective("val_loss", False),
    )
    found = data(made, cost="epochs")
    assert found.x.tolist() == [1, 2, 3]
    assert found.y.tolist() == [1.0, 2.0, 3.0]


def test_a_cost_that_nobody_knows_is_not_offered() -> None:
    costs = [value for value, _ in options(frame({0: curve([1.0], [2.0])}))[0].choices]
    assert costs[:3] == ["gap", "seconds", "epochs"]
    assert "weights" not in costs
    assert "train_loss" in costs, "whatever was measured may be looked at"


def test_a_gap_that_was_not_measured_is_said_to_be_missing() -> None:
    made = frame({0: [Reading(1, nan, 1.0)]})
    assert options(made)[0].default == "seconds"
    with pytest.raises(NothingToPlot, match="No trial has a gap beside its validation loss"):
        data(made, cost="gap")


def test_without_a_known_direction_there_is_no_front() -> None:
    curves = {n: [Reading(1, 0.5, 1.0 + n, extras={"colour": 3.0 - n})] for n in range(3)}
    assert len(data(frame(curves), cost="colour").x) == 0
    assert len(data(frame(curves), cost="epochs").x) == 1


def test_of_several_objectives_the_further_one_is_the_cost_and_the_own_front_is_marked() -> None:
    objectives = Objectives((Objective(), Objective("bytes"), Objective("gap")))
    rows = {0: (0.9, 5.0), 1: (0.8, 9.0), 2: (1.0, 9.0), 3: (0.95, 6.0)}
    curves = {n: [Reading(1, 0.5, val, extras={"bytes": size})] for n, (val, size) in rows.items()}
    made = frame(curves, objective=objectives)
    assert [value for value, _ in options(made)[0].choices][:2] == ["bytes", "gap"]
    found = data(made, cost="bytes")
    assert found.number.tolist() == [0, 1]
    assert sorted(found.own_number.tolist()) == [0, 1]
    assert "the study's front" in [trace["name"] for trace in draw(found, LIGHT)["data"]]

    single = frame(curves)
    assert len(data(single).own_number) == 0
    assert "the study's front" not in [trace["name"] for trace in draw(data(single), LIGHT)["data"]]


def test_area_is_the_size_and_the_default_and_the_knee_are_named() -> None:
    objectives = Objectives((Objective(), Objective("ms"), Objective("size_bytes")))
    rows = {0: (0.9, 9.0, 400.0), 1: (0.5, 5.0, 100.0), 2: (0.55, 1.0, 100.0), 3: (0.8, 0.9, 100.0)}
    curves = {
        n: [Reading(1, 0.5, val, extras={"ms": ms, "size_bytes": size})]
        for n, (val, ms, size) in rows.items()
    }
    found = data(frame(curves, objective=objectives), cost="ms")
    assert found.area_name == "size bytes" or "size" in found.area_name
    assert found.default == (9.0, 0.9)
    assert found.knee == (1.0, 0.55, 2)
    traces = {trace["name"]: trace for trace in draw(found, LIGHT)["data"]}
    assert {"default", "knee"} <= set(traces)
    sizes = traces["finished"]["marker"]["size"]
    assert max(sizes) == pytest.approx(2 * min(sizes), rel=0.02)
    single = draw(data(frame(curves)), LIGHT)["data"]
    assert not {"default", "knee"} & {trace["name"] for trace in single}
