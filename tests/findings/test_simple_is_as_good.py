from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.findings.parts import LOSS, SCORE, evidence, readings, trial
from tuner.core.baseline import Baseline, Contest
from tuner.core.space import Float, SearchSpace
from tuner.core.trial import Objective
from tuner.findings import Evidence, Finding, Severity
from tuner.findings.simple_is_as_good import find

SPACE = SearchSpace.compose({"x": Float(low=0.0, high=1.0, default=0.5)})


def baseline(kind: str, loss: float, score: float, name: str = "accuracy", falls: bool = False) -> Baseline:
    says = "'no'" if kind == "constant" else kind
    return Baseline(says, name, loss, score, 100, falls, kind)


def searched(
    *baselines: Baseline, objective: Objective = LOSS, loss: float = 0.3, score: float = 0.9
) -> Evidence:
    curve = readings([loss + 0.1, loss], score=[score - 0.1, score])
    value = loss if objective is LOSS else score
    record = trial(0, {"x": 0.5}, curve, value=value, best=curve[-1])
    return evidence([record], {0: curve}, SPACE, objective, baselines=baselines)


def confirmed(*contests: Contest) -> Evidence:
    curve = readings([0.3])
    return evidence([trial(0, {"x": 0.5}, curve)], {0: curve}, SPACE, is_confirmed=True, contests=contests)


def told(found: Finding | None) -> str | None:
    return None if found is None else found.sentence


TREES, LINEAR, CONSTANT = "boosted_trees", "linear", "constant"


@pytest.mark.parametrize(
    ("baselines", "sentence"),
    [
        ([], None),
        ([baseline(CONSTANT, 0.1, 0.99)], None),
        ([baseline(TREES, 0.35, 0.9)], None),
        (
            [baseline(LINEAR, 0.25, 0.91), baseline(TREES, 0.2, 0.92)],
            "No trial beats boosted trees: on the same validation rows boosted trees have a loss of "
            "0.2, and the best trial 0.3.",
        ),
        (
            [baseline(LINEAR, 0.3, 0.5)],
            "No trial beats a linear model: on the same validation rows the linear model has a loss "
            "of 0.3, and so has the best trial.",
        ),
        ([baseline(LINEAR, 0.4, 0.904)], None),
        (
            [baseline(LINEAR, 0.4, 0.95)],
            "No trial beats a linear model: on the same validation rows the linear model has an "
            "accuracy of 0.95, and the best trial 0.9.",
        ),
        ([baseline(LINEAR, math.nan, 0.85)], None),
        (
            [baseline(LINEAR, math.nan, 0.901)],
            "No trial beats a linear model: on the same validation rows the linear model has an "
            "accuracy of 0.901, and the best trial 0.9.",
        ),
    ],
)
def test_the_search_is_compared_on_the_validation_rows(
    baselines: Sequence[Baseline], sentence: str | None
) -> None:
    found = find(searched(*baselines))
    assert told(found) == sentence
    if found is not None:
        assert found.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("error", "trials", "sentence"),
    [
        (0.01, 1, None),
        (0.04, 1, None),
        (
            0.04, 20,
            "The best trial is not clearly better than a linear model: on the validation rows it is ahead "
            "by 0.1, the trial with a loss of 0.3 and the linear model with 0.4; but the trial is the best "
            "of 20 by these 100 rows, and a lead of up to 0.112 may come from this choice alone.",
        ),
        (math.nan, 20, None),
    ],
)  # fmt: skip
def test_a_lead_that_choosing_the_best_of_many_may_bring_is_told(
    error: float, trials: int, sentence: str | None
) -> None:
    curves = {n: readings([0.3 + 0.05 * n], score=[0.9]) for n in range(trials)}
    records = [trial(n, {"x": 0.5}, curve) for n, curve in curves.items()]
    base = replace(baseline(LINEAR, 0.4, 0.85), loss_error=error, score_error=1.0)
    found = find(evidence(records, curves, SPACE, LOSS, baselines=[base]))
    assert told(found) == sentence
    if found is not None:
        assert found.severity is Severity.ADVICE
        assert "tune confirm" in found.advice


def test_a_search_by_the_score_is_compared_by_the_score() -> None:
    assert told(find(searched(baseline(TREES, 0.2, 0.85), objective=SCORE))) == (
        "No trial beats boosted trees: on the same validation rows boosted trees have a loss of 0.2, "
        "and the best trial 0.3."
    )
    assert told(find(searched(baseline(TREES, 0.2, 0.91), objective=SCORE))) == (
        "No trial beats boosted trees: on the same validation rows boosted trees have an accuracy of "
        "0.91, and the best trial 0.9."
    )


def test_of_a_falling_score_less_is_better() -> None:
    better = searched(baseline(TREES, math.nan, 3.0, "rmse", falls=True), score=4.0)
    worse = searched(baseline(TREES, math.nan, 5.0, "rmse", falls=True), score=4.0)
    assert told(find(better)) == (
        "No trial beats boosted trees: on the same validation rows boosted trees have an rmse of 3, "
        "and the best trial 4."
    )
    assert find(worse) is None


def contest(kind: str, its: float, low: float, high: float, first: bool = True) -> Contest:
    measure = "loss" if first else "accuracy"
    mine = its - (low + high) / 2 if first else its + (low + high) / 2
    return Contest(kind, measure, mine, its, low, high, first, falls=first)


@pytest.mark.parametrize(
    ("contests", "severity", "sentence"),
    [
        ([contest(TREES, 0.3, 0.05, 0.15)], None, None),
        ([contest(CONSTANT, 0.3, -0.2, -0.1)], None, None),
        (
            [contest(TREES, 0.25, -0.08, -0.02), contest(LINEAR, 0.3, -0.02, 0.02)],
            Severity.WARNING,
            "The trial to take does not beat boosted trees: on the locked rows boosted trees have a loss "
            "of 0.25 and the trial 0.3, worse by 0.02 to 0.08.",
        ),
        (
            [contest(TREES, 0.4, 0.05, 0.15), contest(LINEAR, 0.29, -0.03, 0.01)],
            Severity.ADVICE,
            "On the locked rows the trial to take cannot be told apart from a linear model: the trial has a "
            "loss of 0.3 and the linear model 0.29; the difference may be zero.",
        ),
        (
            [contest(TREES, 0.4, 0.05, 0.15), contest(LINEAR, 0.31, -0.01, 0.03)],
            Severity.NOTE,
            "On the locked rows the trial to take cannot be told apart from a linear model: the trial has a "
            "loss of 0.3 and the linear model 0.31; the difference may be zero.",
        ),
        ([contest(TREES, 0.4, 0.05, 0.15), contest(TREES, 0.9, -0.03, 0.01, first=False)], None, None),
        (
            [contest(TREES, 0.4, 0.05, 0.15), contest(TREES, 0.9, -0.03, -0.01, first=False)],
            Severity.WARNING,
            "The trial to take does not beat boosted trees: on the locked rows boosted trees have an "
            "accuracy of 0.9 and the trial 0.88, worse by 0.01 to 0.03.",
        ),
    ],
)
def test_once_confirmed_they_are_compared_on_the_locked_rows(
    contests: Sequence[Contest], severity: Severity | None, sentence: str | None
) -> None:
    found = find(confirmed(*contests))
    assert told(found) == sentence
    assert (found and found.severity) == severity


def test_the_advice_is_about_what_is_as_good() -> None:
    found = find(searched(baseline(TREES, 0.2, 0.92)))
    assert found is not None
    assert 'model = "boosting"' in found.advice
    found = find(searched(baseline(LINEAR, 0.2, 0.92)))
    assert found is not None
    assert "LogisticRegression" in found.advice
