from __future__ import annotations

import math

import numpy as np
import pytest

from tests.findings.parts import (
    LOSS,
    OPTIMIZER,
    RATE,
    SCORE,
    cut,
    evidence,
    readings,
    space_of,
    trial,
)
from tuner.core.objectives import Constraint, Objectives
from tuner.core.space import Choice, Float, Int
from tuner.core.trial import Objective, Reading, TrialRecord, TrialState
from tuner.findings.evidence import smooth, values_of


def test_a_failed_trial_is_not_ranked() -> None:
    records = [
        trial(1, {"rate": 0.01, "optimizer": "sgd"}, readings([0.5, 0.4])),
        trial(0, {"rate": 0.1, "optimizer": "adam"}, readings([0.6, 0.3])),
        TrialRecord(2, {"optimizer": "sgd"}, TrialState.FAILED),
    ]
    curves = {0: readings([0.6, 0.3]), 1: readings([0.5, 0.4])}
    made = evidence(records, curves, space_of(rate=RATE, optimizer=OPTIMIZER))
    assert made.curve(0).loss.tolist() == [0.6, 0.3]
    assert (made.best, made.default, made.ranking.tolist()) == (0, 0, [0, 1])


def test_a_trial_that_was_cut_short_never_leads() -> None:
    records = [trial(0, {"rate": 0.1}, readings([0.6])), cut(trial(1, {"rate": 0.01}, readings([0.1])))]
    made = evidence(records, {}, space_of(rate=RATE))
    assert (made.best, made.ranking.tolist(), made.valued.tolist()) == (0, [0], [True, True])


def test_a_higher_score_leads_where_scores_are_maximized() -> None:
    records = [
        TrialRecord(n, {"rate": 0.1}, TrialState.FINISHED, value=v, conclusive=True)
        for n, v in enumerate((0.8, 0.9))
    ]
    made = evidence(records, {}, space_of(rate=RATE), SCORE)
    assert made.best == 1
    assert made.told(float(made.loss[1])) == "0.9"


def test_missing_numbers_leave_a_reading_out_and_an_unmeasured_loss_does_not() -> None:
    curve = [Reading(1, math.nan, 0.5), Reading(2, math.nan, math.inf), Reading(3, math.nan, 0.3)]
    made = evidence([trial(0, {"rate": 0.1}, curve)], {0: curve}, space_of(rate=RATE))
    assert made.curve(0).epoch.tolist() == [1, 3]
    assert np.isnan(made.curve(0).train_loss).all()


def test_the_best_tenth_leads_in_the_objectives_direction() -> None:
    records = [trial(n, {"rate": 0.1}, readings([2.0 - n / 100])) for n in range(100)]
    assert evidence(records, {}, space_of(rate=RATE)).leaders.tolist() == list(range(99, 89, -1))
    most = Objective("val_loss", False)
    assert evidence(records, {}, space_of(rate=RATE), most).leaders.tolist() == list(range(10))
    assert not len(evidence([cut(each) for each in records], {}, space_of(rate=RATE)).leaders)


def test_shares_of_a_range_lie_on_its_own_scale() -> None:
    records = [trial(n, {"rate": r}, readings([1.0])) for n, r in enumerate((1e-4, 10**-2.5, 1e-1))]
    made = evidence(records, {}, space_of(rate=RATE))
    assert made.shares("rate") == pytest.approx([0, 0.5, 1])
    assert made.at("rate", 0.5) == pytest.approx(10**-2.5)


def test_few_values_are_counted_and_a_continuum_is_not() -> None:
    space = space_of(
        layers=Int(low=1, high=4, default=1),
        many=Int(low=1, high=400, default=1),
        step=Float(low=0, high=1, step=0.25, default=0),
        one=Float(low=2, high=2, default=2),
        free=RATE,
        choice=Choice(choices=(1, 2), default=1),
    )
    counted = {name: values_of(space, name) for name, _ in space}
    assert counted == {"layers": 4, "many": 0, "step": 5, "one": 1, "free": 0, "choice": 2}


def test_smoothing_leaves_a_line_a_line() -> None:
    assert smooth(np.arange(5.0)) == pytest.approx([1, 2, 3])
    assert smooth(np.array([7.0])).tolist() == [7.0]


def test_a_trial_that_breaks_a_constraint_neither_leads_nor_is_the_default_that_others_are_held_to() -> None:
    objectives = Objectives((LOSS,), (Constraint("gap", 0.5, is_upper=True),))
    curves = {
        n: readings([1.0 - n / 10], train=[1.0 - n / 10 - gap]) for n, gap in enumerate((0.9, 0.1, 0.9))
    }
    records = [trial(n, {"rate": 0.1}, curve) for n, curve in curves.items()]
    made = evidence(records, curves, space_of(rate=RATE), objectives)
    assert made.leaders.tolist() == [1]
    assert made.default is None
    strict = Objectives((LOSS,), (Constraint("gap", 0.0, is_upper=True),))
    assert evidence(records, curves, space_of(rate=RATE), strict).leaders.tolist() == [1, 2, 0]
