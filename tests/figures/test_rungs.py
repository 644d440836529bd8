from __future__ import annotations

from typing import Any

import pytest

from tests.figures.parts import curve, frame
from tuner.core.trial import TrialState
from tuner.figures import Frame, NothingToPlot, outcomes
from tuner.figures.rungs import data

PRUNED: dict[str, Any] = {"state": TrialState.STOPPED, "rule": "pruner", "conclusive": False}


def study(epochs: list[int], facts: dict[int, dict[str, Any]]) -> Frame:
    return frame({n: curve([1.0] * count, [1.0] * count) for n, count in enumerate(epochs)}, facts)


def test_rungs_tell_how_many_came_and_how_many_went_on() -> None:
    facts: dict[int, dict[str, Any]] = {
        0: PRUNED,
        1: PRUNED,
        2: PRUNED,
        3: {"state": TrialState.PAUSED, "rule": None},
    }
    found = data(study([1, 1, 3, 3, 9, 9], facts))
    assert found.epoch.tolist() == [1, 3, 9]
    assert found.reached.tolist() == [6, 4, 2]
    assert found.went_on.tolist() == [4, 2, 0]
    ended = dict(zip(found.labels, found.ended.tolist(), strict=True))
    assert ended == {"cut short by pruner": [2, 1, 0], "paused": [0, 1, 0], "finished": [0, 0, 2]}


def test_a_rule_has_one_hatching_in_every_figure() -> None:
    # In all, more trials end by overfit than by patience; at the pruner's rung it is the other way round.
    facts: dict[int, dict[str, Any]] = {0: PRUNED}
    for number, rule in enumerate(("patience", "overfit", "overfit"), 1):
        facts[number] = {"state": TrialState.STOPPED, "rule": rule, "conclusive": True}
    made = study([2, 2, 3, 3, 9], facts)
    here, whole = data(made), outcomes.data(made)
    shapes = dict(zip(whole.labels, whole.shapes, strict=True))
    assert dict(zip(here.labels, here.shapes, strict=True)).items() <= shapes.items()
    assert shapes["stopped early by patience"] != shapes["stopped early by overfit"]


def test_at_every_rung_those_who_came_went_on_or_ended() -> None:
    facts = dict.fromkeys(range(0, 30, 2), PRUNED)
    found = data(study([1 + n % 7 for n in range(30)], facts))
    assert (found.went_on + found.ended.sum(axis=0)).tolist() == found.reached.tolist()


def test_the_pruners_rungs_come_before_other_rules_epochs() -> None:
    patience = {"state": TrialState.STOPPED, "rule": "patience", "conclusive": True}
    found = data(study([2, 3, 4, 9], {0: PRUNED, 1: patience, 2: patience}))
    assert found.epoch.tolist() == [2, 9]


def test_of_many_epochs_those_with_most_stops_are_rungs() -> None:
    found = data(study([*range(1, 31), 5, 5], dict.fromkeys(range(32), PRUNED)))
    assert len(found.epoch) == 13
    assert 5 in found.epoch.tolist()
    assert found.total == 30


def test_without_early_ends_there_are_no_rungs() -> None:
    with pytest.raises(NothingToPlot, match="No trial was stopped"):
        data(study([3, 3], {}))
