"""Objectives: which trial is better, feasible and undominated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.core.frame import Frame
from tuner.core.objectives import Constraint, Objectives, layers, whole_names
from tuner.core.space import SearchSpace
from tuner.core.trial import Objective, Reading, TrialRecord, TrialState

PAIR = Objectives((Objective("val_loss"), Objective("size")))
AT_MOST = Constraint("gap", 0.1, is_upper=True)
AT_LEAST = Constraint("val_score", 0.5, is_upper=False)
few = st.sampled_from([0.0, 0.25, 0.5, 1.0])


def record(
    number: int, value: float | None, *, gap: float = 0.0, conclusive: bool = True, **extras: float
) -> TrialRecord:
    best = None if value is None else Reading(1, value - gap, value, val_score=0.9, extras=extras)
    return TrialRecord(number, {}, TrialState.FINISHED, value, best, 1, conclusive)


def front(objectives: Objectives, records: list[TrialRecord]) -> list[TrialRecord]:
    frame = Frame.of(records, {}, SearchSpace({}, {}), objectives)
    by_number = {each.number: each for each in records}
    return [by_number[number] for number in frame.trials.number[frame.front].tolist()]


@given(points=st.lists(st.tuples(few, few, few), max_size=20))
def test_layers_are_those_that_peeling_by_definition_gives(points: list[tuple[float, float, float]]) -> None:
    losses = np.array(points).reshape(-1, 3)

    def dominates(a: int, b: int) -> bool:
        return bool((losses[a] <= losses[b]).all() and (losses[a] < losses[b]).any())

    left, layer, expected = set(range(len(points))), 0, [0] * len(points)
    while left:
        free = {i for i in left if not any(dominates(j, i) for j in left)}
        for i in free:
            expected[i] = layer
        left, layer = left - free, layer + 1
    assert layers(losses) == expected
    assert layers(losses, 1) == [min(each, 1) for each in expected]


@given(values=st.lists(st.tuples(few, few, st.booleans()), min_size=1, max_size=12))
def test_the_front_is_undominated_holds_the_best_and_is_sorted_by_the_first_objective(
    values: list[tuple[float, float, bool]],
) -> None:
    records = [record(n, v, size=s, conclusive=c) for n, (v, s, c) in enumerate(values)]
    found, best = front(PAIR, records), PAIR.best_of(records)
    assert best == found[0]
    assert [r.value for r in found] == sorted(r.value for r in found if r.value is not None)
    rivals = [r for r in records if r.conclusive] or records
    for one in found:
        assert one in rivals
        a = PAIR.losses(one)
        for other in rivals:
            b = PAIR.losses(other)
            assert a is not None
            assert b is not None
            assert not (b != a and all(y <= x for x, y in zip(a, b, strict=True)))


def test_one_that_violates_is_never_best_while_another_does_not() -> None:
    objectives = Objectives((Objective(),), (AT_MOST,))
    worse, better = record(0, 2.0), record(1, 0.1, gap=0.2)
    cut = record(2, 3.0, conclusive=False)
    assert objectives.best_of([worse, better]) == worse
    assert objectives.best_of([better, cut]) == cut
    assert front(objectives, [better, cut]) == [cut]


def test_where_all_violate_the_one_that_violates_least_is_best() -> None:
    objectives = Objectives((Objective(),), (AT_MOST, AT_LEAST))
    far, near = record(0, 0.1, gap=0.5), record(1, 0.9, gap=0.11)
    assert objectives.best_of([far, near]) == near
    assert front(objectives, [far, near]) == [near]


def test_of_two_limits_for_one_number_the_lower_one_counts() -> None:
    measured = ["latency_ms[onnx]"]
    for limits in (
        {"latency_ms": 0.1, "latency_ms[onnx]": 0.2},
        {"latency_ms[onnx]": 0.2, "latency_ms": 0.1},
    ):
        assert whole_names(limits, measured) == {"latency_ms[onnx]": 0.1}


def test_violation_is_told_in_shares_of_the_limits() -> None:
    objectives = Objectives((Objective(),), (AT_MOST, AT_LEAST))
    assert objectives.violation(Reading(1, 0.5, 0.6, val_score=0.5)) == pytest.approx(0.0, abs=1e-9)
    assert objectives.violation(Reading(1, 0.5, 0.8, val_score=0.25)) == pytest.approx(2.0 + 0.5)
    assert objectives.excesses(Reading(1, 0.5, 0.75, val_score=0.75)) == pytest.approx((0.15, -0.25))
    assert objectives.violation(Reading(1, 0.5, 0.5)) == math.inf, "what is not measured meets no limit"
    assert objectives.violation(None) == math.inf


def test_an_objective_that_was_not_measured_is_as_bad_as_can_be() -> None:
    objectives = Objectives((Objective(), Objective("auc", minimize=False)))
    assert objectives.values(record(0, 0.5)) == (0.5, -math.inf)
    assert objectives.losses(record(0, 0.5)) == (0.5, math.inf)
    assert objectives.losses(record(0, None)) is None
    assert front(objectives, [record(0, 0.5), record(1, 0.6, auc=0.1)])[1].number == 1


def test_failed_trials_and_those_without_a_value_are_on_no_front() -> None:
    failed = TrialRecord(0, {}, TrialState.FAILED, 0.1, Reading(1, 0.1, 0.1))
    assert front(PAIR, [failed, record(1, None)]) == []
    assert PAIR.best_of([failed]) is None


@given(values=st.lists(st.tuples(st.none() | few, st.booleans()), max_size=8), minimize=st.booleans())
def test_of_one_objective_the_best_is_the_first_that_none_beats(
    values: list[tuple[float | None, bool]], minimize: bool
) -> None:
    objective = Objective(minimize=minimize)
    records = [record(n, v, conclusive=c) for n, (v, c) in enumerate(values)]
    valued = [r for r in records if r.value is not None]
    standing = [r for r in valued if r.conclusive] or valued
    sign = 1 if minimize else -1
    expected = min(standing, key=lambda r: sign * (r.value or 0.0), default=None)
    assert Objectives.of(objective).best_of(records) == expected


def test_the_knee_of_a_front_is_nearest_to_the_best_of_all_and_limits_choose_the_best_within_them() -> None:
    sizes = {0: (0.9, 1.0), 1: (0.5, 10.0), 2: (0.4, 1000.0), 3: (0.95, 2000.0)}
    records = [record(number, value, size=size) for number, (value, size) in sizes.items()]
    frame = Frame.of(records, {}, SearchSpace({}, {}), PAIR)
    assert frame.front.tolist() == [2, 1, 0]
    assert frame.knee == 1
    assert frame.only([1, 2]).knee is None, "two points have no bend"
    within = PAIR.best_within(records, {"size": 20.0})
    assert within is not None
    assert within.number == 1
    assert PAIR.best_within(records, {"size": 0.5}) is None
    assert PAIR.best_within(records, {"unmeasured": 1.0}) is None
