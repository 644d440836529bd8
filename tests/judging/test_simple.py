from __future__ import annotations

from dataclasses import replace

import pytest

from tests.judging.made import candidate, confirmed, record, verdict
from tuner.core.baseline import Baseline
from tuner.judging import confirmation
from tuner.judging.intervals import Interval
from tuner.judging.simple import beside_simple

BASELINES = (
    Baseline("'no'", "accuracy", 0.6, 0.7, 100),
    Baseline("linear", "accuracy", 0.35, 0.85, 100, kind="linear"),
    Baseline("boosted trees", "accuracy", 0.3, 0.88, 100, kind="boosted_trees"),
)


def around(value: float) -> Interval:
    return Interval(value, value - 0.05, value + 0.05)


def test_before_a_confirmation_they_stand_beside_the_searchs_best() -> None:
    found = beside_simple(verdict([record(0, 0.5, score=0.8), record(1, 0.25, score=0.9)]), BASELINES)
    assert found is not None
    assert found.sentence == (
        "Beside something simple, by loss (and accuracy) on the 100 validation rows: trial 1 has 0.25 (0.9), "
        "boosted trees 0.3 (0.88), a linear model 0.35 (0.85), always 'no' 0.6 (0.7)."
    )


def test_what_was_left_out_is_said_with_its_reason() -> None:
    out = replace(BASELINES[2], val_loss=float("nan"), val_score=float("nan"), left_out="it takes minutes")
    found = beside_simple(verdict([record(0, 0.5, score=0.8)]), (*BASELINES[:2], out))
    assert found is not None
    assert found.sentence == (
        "Beside something simple, by loss (and accuracy) on the 100 validation rows: the default has 0.5 "
        "(0.8), a linear model 0.35 (0.85), always 'no' 0.6 (0.7). "
        "Boosted trees were left out: it takes minutes."
    )


def test_without_a_loss_that_is_comparable_the_score_alone_is_told() -> None:
    bare = [replace(each, val_loss=float("nan")) for each in BASELINES]
    found = beside_simple(verdict([record(0, 0.5, score=0.8)]), bare)
    assert found is not None
    assert found.sentence == (
        "Beside something simple, by accuracy on the 100 validation rows: the default has 0.8, "
        "boosted trees 0.88, a linear model 0.85, always 'no' 0.7."
    )


@pytest.mark.parametrize("baselines", [(), BASELINES])
def test_once_confirmed_the_locked_rows_count(baselines: tuple[Baseline, ...]) -> None:
    found = confirmed([candidate(1, 0.2, 0.21, 0.22, 0.2), candidate(0, 0.5, 0.5, 0.51, 0.49)])
    simple = (
        confirmation.TestedBaseline(
            "linear", "linear", 3, around(0.4), around(0.8), around(0.2), around(0.1)
        ),
        confirmation.TestedBaseline("boosted_trees", "boosted trees", left_out="scikit-learn says: no"),
    )
    found = replace(found, test=confirmation.Tested(50, around(0.2), around(0.9)), baselines=simple)
    records = [record(0, 0.5), record(1, 0.2)]
    told = beside_simple(verdict(records, found), baselines)
    assert told is not None
    assert told.is_tested
    assert told.sentence == (
        "Beside something simple, by loss (and accuracy) on the 50 locked rows: trial 1 has 0.2 (0.9), "
        "a linear model 0.4 (0.8). Boosted trees were left out: scikit-learn says: no."
    )
    assert [(each.kind, each.measure, each.is_first) for each in found.contests] == [
        ("linear", "loss", True),
        ("linear", "accuracy", False),
    ]


def test_without_baselines_there_is_nothing_to_say() -> None:
    assert beside_simple(verdict([record(0, 0.5)]), ()) is None
    assert beside_simple(verdict([]), BASELINES) is None
