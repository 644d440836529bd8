from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.figures.parts import curve, frame, losses, record, space
from tests.fronts import front
from tuner.core.columns import moments, param_columns
from tuner.core.importances import Importances
from tuner.core.objectives import Constraint, Objectives
from tuner.core.reading_columns import ReadingColumns
from tuner.core.trial import NUMBERS, Objective, Reading, TrialState
from tuner.figures import Frame
from tuner.figures.points import kinds


def readings(rows: list[tuple[int, Reading]], *names: str) -> ReadingColumns:
    columns = {name: np.array([reading.get(name) for _, reading in rows]) for name in names}
    return ReadingColumns(
        np.array([number for number, _ in rows]), np.array([r.epoch for _, r in rows]), columns
    )


def test_trials_stand_in_the_order_of_numbers_with_none_as_nan_and_empty_text() -> None:
    made = Frame.of(
        [record(2), record(0, curve([1.0], [2.0]), rule="gap", reason="too wide")],
        {0: curve([1.0], [2.0])},
        space(),
        Objective(),
    )
    assert made.trials.number.tolist() == [0, 2]
    assert made.trials.value[0] == 2.0
    assert math.isnan(made.trials.value[1])
    assert made.trials.rule.tolist() == ["gap", ""]
    assert made.trials.gap[0] == 1.0


def test_params_are_columns_that_are_empty_where_not_active() -> None:
    columns = param_columns(space(), [{"rate": 0.1, "layers": 2, "optimizer": "adam"}, {"momentum": 0.3}])
    assert columns["rate"][0] == 0.1
    assert np.isnan(columns["momentum"][0])
    assert columns["momentum"][1] == 0.3
    assert columns["optimizer"].tolist() == ["adam", ""]


def test_choices_that_are_no_texts_become_texts() -> None:
    from tuner.core.space import Choice, SearchSpace

    made = SearchSpace.compose({"norm": Choice(choices=(True, False, 3), default=True)})
    assert param_columns(made, [{"norm": True}, {"norm": False}, {"norm": 3}, {}])["norm"].tolist() == [
        "true",
        "false",
        "3",
        "",
    ]


def test_a_trial_under_way_is_as_far_as_its_readings() -> None:
    readings = curve([3.0, 2.0, 1.0], [3.0, 1.5, 1.7], seconds=2.0)
    made = frame({0: readings}, {0: {"state": TrialState.RUNNING, "value": None, "best": None, "epochs": 0}})
    trials = made.trials
    assert (trials.value[0], trials.best_epoch[0], trials.epochs[0], trials.seconds[0]) == (1.5, 2, 3, 6.0)
    assert trials.train_loss[0] == 2.0


def test_what_is_stored_of_a_trial_that_is_over_is_not_worked_out_again() -> None:
    made = frame({0: curve([1.0], [2.0])}, {0: {"value": 7.0}})
    assert made.trials.value[0] == 7.0


def test_without_readings_a_frame_has_what_is_stored() -> None:
    whole = frame(losses(2.0, 1.0))
    bare = Frame.of(
        [record(number, readings) for number, readings in losses(2.0, 1.0).items()], {}, space(), Objective()
    )
    assert bare.trials.value.tolist() == whole.trials.value.tolist()
    assert bare.trials.train_loss.tolist() == whole.trials.train_loss.tolist()
    assert len(bare.epochs) == 0


def test_columns_in_any_order_give_the_same_frame_as_records() -> None:
    curves = {0: curve([1.0, 0.5], [1.0, 0.8]), 3: curve([2.0, 1.0, 0.5], [2.0, 1.5, 1.6])}
    whole = frame(curves)
    rows = [(number, reading) for number, readings in curves.items() for reading in readings]
    rows = [rows[i] for i in (4, 0, 3, 1, 2)]
    made = Frame.of_columns(
        {"number": [0, 3], "state": ["finished", "finished"], "conclusive": [True, True]},
        readings(rows, "train_loss", "val_loss", "seconds"),
        whole.params,
        space(),
        Objective(),
    )
    for name in ("value", "best_epoch", "epochs", "seconds", "train_loss", "val_loss"):
        assert getattr(made.trials, name).tolist() == getattr(whole.trials, name).tolist(), name
    for name in ("row", "epoch", "val_loss", "value"):
        assert getattr(made.epochs, name).tolist() == getattr(whole.epochs, name).tolist(), name


def test_readings_of_unknown_trials_are_left_out() -> None:
    made = Frame.of(
        [record(1)],
        {0: curve([1.0], [1.0]), 1: curve([2.0], [2.0]), 9: curve([3.0], [3.0])},
        space(),
        Objective(),
    )
    assert made.epochs.val_loss.tolist() == [2.0]
    assert made.epochs.row.tolist() == [0]


@pytest.mark.parametrize(("metric", "minimize", "expected"), [("gap", True, 1), ("val_score", False, 2)])
def test_the_objective_says_which_epoch_is_the_best(metric: str, minimize: bool, expected: int) -> None:
    made = Frame.of_columns(
        {"number": [0], "state": ["running"]},
        readings(
            [(0, Reading(1, 1.0, 1.1, val_score=0.1)), (0, Reading(2, 0.1, 0.9, val_score=0.9))], *NUMBERS
        ),
        {},
        space(),
        Objective(metric, minimize),
    )
    assert made.trials.best_epoch.tolist() == [expected]


def test_a_metric_of_ones_own_comes_from_the_extras() -> None:
    readings = [Reading(1, 1.0, 1.0, extras={"f1": 0.3}), Reading(2, 1.0, 1.0, extras={"f1": 0.7})]
    made = Frame.of(
        [record(0, state=TrialState.RUNNING)], {0: readings}, space(), Objective("f1", minimize=False)
    )
    assert made.trials.value.tolist() == [0.7]


def test_only_some_trials_keep_their_numbers_and_readings() -> None:
    whole = frame({0: curve([1.0], [1.0]), 1: curve([2.0, 2.0], [2.0, 2.0]), 2: curve([3.0], [3.0])})
    some = whole.only([1, 2])
    assert some.trials.number.tolist() == [1, 2]
    assert some.epochs.val_loss.tolist() == [2.0, 2.0, 3.0]
    assert some.epochs.row.tolist() == [0, 0, 1]
    assert some.params["rate"].tolist() == whole.params["rate"][1:].tolist()
    assert whole.where(whole.trials.is_(TrialState.FAILED)).trials.number.tolist() == []


def test_the_best_trial_is_one_whose_value_stands_while_there_is_one() -> None:
    cut = {1: {"state": TrialState.STOPPED, "conclusive": False}}
    assert frame(losses(3.0, 1.0, 2.0), cut).best == 2
    everything_cut = {i: {"state": TrialState.STOPPED, "conclusive": False} for i in range(3)}
    assert frame(losses(3.0, 1.0, 2.0), everything_cut).best == 1
    failed = {i: {"state": TrialState.FAILED} for i in range(3)}
    assert frame(losses(3.0, 1.0, 2.0), failed).best is None


def test_readings_are_spread_between_a_trials_start_and_end() -> None:
    facts: dict[int, dict[str, Any]] = {
        0: {"started_at": "2026-01-01T00:00:00+00:00", "ended_at": "2026-01-01T00:00:08+00:00"},
        1: {"started_at": "2026-01-01T00:00:10+00:00", "ended_at": None, "state": TrialState.RUNNING},
    }
    made = frame({0: curve([1.0] * 2, [1.0] * 2), 1: curve([1.0] * 2, [1.0] * 2)}, facts)
    assert made.clock.tolist() == [4.0, 8.0, 11.0, 12.0]


def test_without_starts_trials_are_laid_end_to_end() -> None:
    made = frame({0: curve([1.0] * 2, [1.0] * 2), 1: curve([1.0], [1.0])})
    assert made.clock.tolist() == [1.0, 2.0, 3.0]


def test_times_are_utc_with_and_without_saying_so() -> None:
    found = moments(["2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00", None])
    assert found[0] == found[1] == 1767225600.0
    assert math.isnan(found[2])


def test_parameters_stand_in_the_order_of_importance_then_of_the_space() -> None:
    from dataclasses import replace

    made = replace(
        frame(losses(1.0)), importances={"gap": Importances(40, 20, {"layers": 0.9, "momentum": 0.1})}
    )
    assert made.ordered_params("gap") == ["layers", "momentum", "rate", "optimizer"]
    assert made.ordered_params() == ["rate", "layers", "optimizer", "momentum"]


_LOSSES = st.lists(st.floats(width=32), min_size=0, max_size=6)


@given(st.lists(_LOSSES, max_size=8), st.booleans())
def test_the_best_reading_is_the_one_that_the_objective_picks(curves: list[Any], minimize: bool) -> None:
    objective = Objective("val_loss", minimize)
    readings = {i: curve(each, each) for i, each in enumerate(curves)}
    states = {i: {"state": TrialState.RUNNING, "value": None, "best": None} for i in readings}
    made = frame(readings, states, objective)
    for row, each in enumerate(readings.values()):
        best = objective.best(each)
        assert made.trials.best_epoch[row] == (best.epoch if best else 0)
        assert math.isnan(made.trials.value[row]) if best is None else made.trials.value[row] == best.val_loss


BOUND = Objectives(
    (Objective(),), (Constraint("gap", 0.3, is_upper=True), Constraint("cost", 1.0, is_upper=False))
)


def costing(train: float, val: float, cost: float) -> list[Reading]:
    return [Reading(1, train, val, extras={"cost": cost})]


def test_a_trial_that_breaks_a_constraint_is_not_the_best() -> None:
    curves = {0: costing(0.1, 0.6, 2.0), 1: costing(0.6, 0.8, 2.0), 2: costing(0.5, 0.7, 0.5)}
    made = frame(curves, objective=BOUND)
    assert made.feasible.tolist() == [False, True, False]
    assert made.best == 1
    assert made.ranking.tolist() == [1]
    assert frame(curves).best == 0
    assert kinds(made).tolist() == ["breaks a constraint", "finished", "breaks a constraint"]


def test_where_all_break_a_constraint_the_nearest_is_the_best() -> None:
    made = frame({0: costing(0.1, 0.6, 2.0), 1: costing(0.5, 0.9, 2.0)}, objective=BOUND)
    assert made.ranking.tolist() == [1, 0]
    assert not made.feasible.any()


@given(st.data())
def test_a_frame_and_the_goals_agree_on_the_best_and_the_front(data: st.DataObject) -> None:
    numbers = st.sampled_from([0.25, 0.5, 0.75, 1.0, math.nan])
    drawn = data.draw(st.lists(st.tuples(numbers, numbers, numbers, st.booleans()), min_size=1, max_size=8))
    objectives = data.draw(
        st.sampled_from(
            [
                BOUND,
                Objectives((Objective(), Objective("gap")), BOUND.constraints[:1]),
                Objectives((Objective("val_score", False), Objective("cost"), Objective("gap"))),
            ]
        )
    )
    curves = {
        number: [Reading(1, train, val, val_score=1 - val, extras={"cost": cost})]
        for number, (train, val, cost, _) in enumerate(drawn)
    }
    records = []
    for number, (*_, stands) in enumerate(drawn):
        best = objectives.primary.best(curves[number])
        value = best.get(objectives.primary.metric) if best else None
        records.append(record(number, curves[number], value=value, best=best, conclusive=stands))
    first = objectives.best_of(records)
    for known in (curves, {}):
        made = Frame.of(records, known, space(), objectives)
        assert made.best == (first.number if first else None)
        assert made.front.tolist() == [each.number for each in front(objectives, records)]
        assert made.where(made.feasible).violation.sum() == 0
