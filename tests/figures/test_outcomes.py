from __future__ import annotations

from typing import Any

import pytest

from tests.figures.parts import frame, losses
from tuner.core.trial import TrialState
from tuner.figures import LIGHT, Frame, NothingToPlot
from tuner.figures.outcomes import data, draw, outcomes

STOPPED: dict[str, Any] = {"state": TrialState.STOPPED, "conclusive": False}


def study() -> Frame:
    facts: dict[int, dict[str, Any]] = {
        1: STOPPED | {"rule": "pruner"},
        2: STOPPED | {"rule": "divergence"},
        3: {"state": TrialState.FAILED},
        4: STOPPED | {"rule": "pruner"},
        5: {"state": TrialState.RUNNING},
    }
    return frame(losses(*[1.0] * 9), facts)


def test_every_trial_has_one_outcome() -> None:
    assert outcomes(study()).tolist() == [
        "finished",
        "cut short by pruner",
        "diverged",
        "failed",
        "cut short by pruner",
        "running",
        "finished",
        "finished",
        "finished",
    ]


def test_outcomes_are_counted_in_all_and_by_choice() -> None:
    found = data(study(), "optimizer")
    counts = dict(zip(found.labels, found.count.tolist(), strict=True))
    assert counts == {"finished": 4, "cut short by pruner": 2, "diverged": 1, "failed": 1, "running": 1}
    assert found.labels[:2] == ("finished", "cut short by pruner")
    by_group = dict(zip(found.labels, found.by_group.tolist(), strict=True))
    assert by_group["cut short by pruner"] == [0, 2, 0]
    assert found.by_group.sum() == 9


def test_numbers_are_counted_in_bins_of_their_range() -> None:
    found = data(study(), "rate")
    assert found.by_group.sum(axis=0).tolist() == [1, 0, 0, 2, 0, 0, 2, 0, 0, 2, 0, 2]
    assert len(found.groups) == 12


def test_trials_in_which_the_parameter_is_not_active_are_left_out_of_its_bars() -> None:
    assert data(study(), "momentum").by_group.sum() == 3


def test_shares_of_each_group_add_up_to_one() -> None:
    drawing = draw(data(study(), "optimizer"), LIGHT)
    shares = [trace["y"] for trace in drawing["data"] if trace.get("xaxis") == "x2"]
    assert [sum(group) for group in zip(*shares, strict=True)] == pytest.approx([1.0] * 3, abs=1e-3)


def test_without_trials_it_says_so() -> None:
    with pytest.raises(NothingToPlot, match="No trial has started"):
        data(frame({}))
