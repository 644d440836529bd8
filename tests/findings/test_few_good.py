from __future__ import annotations

from dataclasses import replace

import pytest

from tests.findings.parts import LOSS, RATE, cut, falling, rates, readings, space_of, study
from tuner.core.objectives import Constraint, Objectives
from tuner.core.trial import TrialRecord
from tuner.findings.few_good import find

SPACE = space_of(rate=RATE)


def named(values: list[float]) -> list[dict[str, float]]:
    return [{"rate": value} for value in values]


def test_a_best_trial_that_stands_alone_is_told() -> None:
    values = [0.5, 0.1, *[0.4] * 20]
    found = find(study(SPACE, named(values), lambda p: readings(falling(p["rate"]))))
    assert found is not None
    assert found.numbers == {"good": 1, "trials": 22, "standing": 22, "gain": pytest.approx(0.4)}
    assert "the default configuration" in found.sentence
    assert "[budget] trials = 44" in found.advice


def test_trials_that_were_cut_short_are_named() -> None:
    def change(record: TrialRecord) -> TrialRecord:
        return cut(record) if record.number > 3 else record

    values = [0.5, 0.1, *[0.4] * 20]
    found = find(study(SPACE, named(values), lambda p: readings(falling(p["rate"])), change=change))
    assert found is not None
    assert "18 of them were cut short" in found.sentence


def test_three_that_agree_are_enough() -> None:
    values = [0.5, 0.1, 0.12, 0.15, *[0.4] * 20]
    assert find(study(SPACE, named(values), lambda p: readings(falling(p["rate"])))) is None


def test_a_search_that_hardly_began_is_told() -> None:
    found = find(study(SPACE, named(rates(4)), lambda p: readings(falling(p["rate"]))))
    assert found is not None
    assert found.numbers == {"good": 4, "trials": 4}


def test_where_nothing_was_gained_nothing_came_close_either() -> None:
    assert find(study(SPACE, named([0.1, *[0.4] * 20]), lambda p: readings(falling(p["rate"])))) is None


def test_good_values_that_break_a_constraint_are_no_company() -> None:
    values = [0.5, 0.1, *[0.1] * 5, *[0.4] * 15]
    assert find(study(SPACE, named(values), lambda p: readings(falling(p["rate"])))) is None

    def costly(record: TrialRecord) -> TrialRecord:
        assert record.best is not None
        cost = 1.0 if record.number > 1 and record.best.val_loss < 0.2 else 0.0
        return replace(record, best=replace(record.best, extras={"cost": cost}))

    objectives = Objectives((LOSS,), (Constraint("cost", 0.5, is_upper=True),))
    curve = lambda p: readings(falling(p["rate"]))  # noqa: E731
    found = find(study(SPACE, named(values), curve, change=costly, objective=objectives))
    assert found is not None
    assert found.numbers["good"] == 1
    assert "close to the best of 17 that keep every constraint: it gained" in found.sentence
    assert "cut short" not in found.sentence, "those that break one were not"
