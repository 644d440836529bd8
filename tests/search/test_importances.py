from __future__ import annotations

import math
import random
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.contracts.searcher import conditional_space
from tuner.core.space import Choice, Float, SearchSpace
from tuner.core.spec import SearchSpec
from tuner.core.trial import Objective, Reading, TrialRecord, TrialState
from tuner.search import OptunaSearcher, importances

SPACE = SearchSpace.compose(
    {
        "strong": Float(low=0.0, high=1.0, default=0.5),
        "weak": Float(low=0.0, high=1.0, default=0.5),
        "branch": Choice(choices=("a", "b"), default="a"),
        "inner": Float(low=0.0, high=1.0, default=0.5, when={"branch": ("b",)}),
        "only": Choice(choices=("x",), default="x"),
    }
)


def records(count: int = 120, state: TrialState = TrialState.FINISHED) -> list[TrialRecord]:
    trials = OptunaSearcher(SPACE, SearchSpec(sampler="random"), Objective()).ask(count)
    return [
        TrialRecord(t.number, t.params, state, value=10 * float(t.params["strong"]) + float(t.params["weak"]))
        for t in trials
    ]


def test_shares_sum_to_one_and_name_the_parameter_that_mattered_first() -> None:
    shares = importances(SPACE, records(), Objective())
    assert set(shares) == {"strong", "weak", "branch", "inner"}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert next(iter(shares)) == "strong"
    assert shares["strong"] > 0.5


def test_direction_of_the_objective_is_minded() -> None:
    turned = [replace(r, value=-float(r.value or 0.0)) for r in records()]
    loss, score = Objective("val_loss", minimize=True), Objective("val_score", minimize=False)
    assert importances(SPACE, turned, score) == importances(SPACE, records(), loss)
    assert importances(SPACE, turned, loss) != importances(SPACE, records(), loss)


def test_other_numbers_can_be_explained() -> None:
    def gap(record: TrialRecord) -> float:
        return record.best.gap if record.best is not None else math.nan

    told = [
        replace(r, best=Reading(1, 0.0, float(r.params["weak"]))) if i % 10 else r
        for i, r in enumerate(records())
    ]
    assert next(iter(importances(SPACE, told, Objective("gap"), gap))) == "weak"


def test_order_of_the_records_does_not_matter() -> None:
    told = records()
    assert importances(SPACE, random.Random(0).sample(told, len(told)), Objective()) == importances(
        SPACE, told, Objective()
    )


def test_trials_that_were_cut_short_say_something_too() -> None:
    cut = [replace(r, epochs=1) for r in records(state=TrialState.STOPPED)]
    assert next(iter(importances(SPACE, cut, Objective()))) == "strong"


def test_nothing_is_said_about_few_or_equal_trials() -> None:
    assert importances(SPACE, records(5), Objective()) == {}
    assert importances(SPACE, [replace(r, value=1.0) for r in records()], Objective()) == {}
    assert importances(conditional_space(), [], Objective()) == {}


def test_nothing_is_said_about_a_parameter_that_was_seldom_active() -> None:
    told = records()
    inner = [r for r in told if "inner" in r.params]
    few = [r for r in told if "inner" not in r.params] + inner[:7]
    assert "inner" in importances(SPACE, told, Objective())
    assert "inner" not in importances(SPACE, few, Objective())


def test_forests_are_loaded_only_when_they_are_asked_for() -> None:
    script = (
        "import sys, optuna\n"
        "from tests.search.test_importances import SPACE, records\n"
        "from tuner.core.trial import Objective\n"
        "from tuner.search import importances\n"
        "assert importances(SPACE, records(), Objective())\n"
        "assert 'sklearn' not in sys.modules\n"
        "optuna.logging.set_verbosity(optuna.logging.ERROR)\n"
        "study = optuna.create_study()\n"
        "study.optimize(lambda trial: trial.suggest_float('x', 0, 1), n_trials=9)\n"
        "forest = optuna.importance.FanovaImportanceEvaluator(n_trees=2)\n"
        "assert optuna.importance.get_param_importances(study, evaluator=forest) == {'x': 1.0}\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
