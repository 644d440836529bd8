from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks.importances import FUNCTIONS, named
from tuner.core.importances import Importances
from tuner.core.space import Choice, Float, SearchSpace
from tuner.core.spec import SearchSpec
from tuner.core.trial import Objective, Reading, TrialRecord, TrialState
from tuner.search import ObservedTrials, OptunaSearcher
from tuner.testing.searcher import conditional_space

SPACE = SearchSpace.compose(
    {
        "strong": Float(low=0.0, high=1.0, default=0.5),
        "weak": Float(low=0.0, high=1.0, default=0.5),
        "branch": Choice(choices=("a", "b"), default="a"),
        "inner": Float(low=0.0, high=1.0, default=0.5, when={"branch": ("b",)}),
        "only": Choice(choices=("x",), default="x"),
    }
)


def importances(
    space: SearchSpace,
    told: list[TrialRecord],
    objective: Objective,
    values: Callable[[TrialRecord], float | None] | None = None,
) -> Importances:
    return ObservedTrials(space, told, objective).explained(values)


def records(count: int = 120, state: TrialState = TrialState.FINISHED) -> list[TrialRecord]:
    trials = OptunaSearcher(SPACE, SearchSpec(sampler="random"), Objective()).ask(count)
    return [
        TrialRecord(t.number, t.params, state, value=10 * float(t.params["strong"]) + float(t.params["weak"]))
        for t in trials
    ]


def test_shares_are_those_of_the_differences_and_only_what_stands_out_is_named() -> None:
    found = importances(SPACE, records(), Objective())
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert next(iter(found)) == "strong"
    # The variances are as 100 to 1.
    assert 0.95 < found["strong"] < 1.0
    assert sum(found.values()) <= 1.0
    assert found.trials == 119, "trial 0 is the default configuration, which nobody drew"
    assert found.errors["strong"] < 0.02
    assert {*found, *found.idle} == {"strong", "weak", "branch", "inner"}
    assert "branch" in found.idle


def test_two_parameters_that_explain_63_and_35_percent_are_told_to_do_so() -> None:
    told = [
        replace(r, value=0.63**0.5 * float(r.params["strong"]) + 0.35**0.5 * float(r.params["weak"]))
        for r in records(400)
    ]
    found = importances(SPACE, told, Objective())
    assert found["strong"] == pytest.approx(0.63, abs=0.06)
    assert found["weak"] == pytest.approx(0.35, abs=0.06)
    assert set(found) == {"strong", "weak"}


def test_what_two_parameters_do_only_together_is_shared_between_them() -> None:
    told = [
        replace(r, value=(float(r.params["strong"]) - 0.3) * (1.0 if r.params["branch"] == "a" else -1.0))
        for r in records(300)
    ]
    found = importances(SPACE, told, Objective())
    assert set(found) == {"strong", "branch"}
    assert sum(found.values()) > 0.9
    assert min(found.values()) > 0.25


def test_an_inactive_parameter_has_no_part_in_what_the_choice_over_it_does() -> None:
    told = [replace(r, value=float(r.params["branch"] == "b") + 0.01 * (r.number % 7)) for r in records()]
    found = importances(SPACE, told, Objective())
    assert next(iter(found)) == "branch"
    assert "inner" in found.idle


def test_presets_are_left_out_for_nobody_drew_them() -> None:
    space = SearchSpace.compose(
        {
            "rule": Choice(choices=("a", "b", "c"), default="a", try_first=("b", "c")),
            "rate": Float(low=0.0, high=1.0, default=0.5),
        }
    )
    trials = OptunaSearcher(space, SearchSpec(sampler="random"), Objective()).ask(30)
    told = [
        TrialRecord(t.number, t.params, TrialState.FINISHED, value=float(t.params["rate"])) for t in trials
    ]
    assert importances(space, told, Objective()).trials == 27


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_what_is_named_first_is_what_matters_from_the_first_trials_on(sampler: str) -> None:
    told = [each for seed in range(10) for each in named(FUNCTIONS["valley in the middle"], sampler, seed)]
    assert {next(iter(found)) for _, found in told if found} == {"rate"}
    for count in (40, 100):
        assert sum(bool(found) for trials, found in told if trials == count) >= 9
    others = [name for _, found in told for name in found if name != "rate"]
    assert len(others) <= 4, "of 280 that do nothing"


def test_where_nothing_matters_nothing_is_named() -> None:
    told = 0
    for seed in range(40):
        noise = random.Random(seed)
        told += bool(importances(SPACE, [replace(r, value=noise.random()) for r in records(30)], Objective()))
    assert told <= 3


@pytest.mark.parametrize("high", [1e-300, 8e307])
def test_ranges_of_any_width_are_judged(high: float) -> None:
    space = SearchSpace.compose({"x": Float(low=-high, high=high, default=0.0), **dict(SPACE)})
    trials = OptunaSearcher(space, SearchSpec(sampler="random"), Objective()).ask(60)
    told = [TrialRecord(t.number, t.params, TrialState.FINISHED, value=float(t.params["x"])) for t in trials]
    assert next(iter(importances(space, told, Objective()))) == "x"


def test_silence_says_how_many_trials_there_are_and_how_many_are_needed() -> None:
    found = importances(SPACE, records(6), Objective())
    assert not found
    few = f"Too few trials to tell which settings mattered: 5 of about {found.needed} that it takes."
    assert found.silence == few
    noise = random.Random(0)
    lost = importances(SPACE, [replace(r, value=noise.random()) for r in records(61)], Objective())
    assert lost.silence == "No setting stands out: the difference between 60 trials looks like chance."
    assert importances(SPACE, records(), Objective()).silence == ""


def test_direction_of_the_objective_is_minded() -> None:
    turned = [replace(r, value=-float(r.value or 0.0)) for r in records()]
    loss, score = Objective("val_loss", minimize=True), Objective("val_score", minimize=False)
    assert importances(SPACE, turned, score) == importances(SPACE, records(), loss)


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
    assert "inner" in importances(SPACE, told, Objective()).idle
    assert "inner" not in importances(SPACE, few, Objective()).idle


def test_importances_leave_the_modules_of_others_alone() -> None:
    script = (
        "import sys\n"
        "import scipy.special\n"
        "from tests.search.test_importances import SPACE, importances, records\n"
        "from tuner.core.trial import Objective\n"
        "before = dict(sys.modules)\n"
        "sys.modules = type('Watched', (dict,), {'__setitem__': lambda *_: 1 / 0})(before)\n"
        "assert importances(SPACE, records(), Objective())\n"
        "assert 'sklearn' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_of_two_parameters_that_went_along_with_each_other_none_is_named() -> None:
    space = SearchSpace.compose({n: Float(low=0.0, high=1.0, default=0.5) for n in "ab"})
    chance = random.Random(0)

    def told(*, together: bool) -> set[str]:
        records = []
        for number in range(1, 41):
            a, b = chance.random(), chance.random()
            b = a if together else b
            value = a + b
            records.append(
                TrialRecord(
                    number, {"a": a, "b": b}, TrialState.FINISHED, value=value, epochs=1, conclusive=True
                )
            )
        return set(importances(space, records, Objective()))

    assert told(together=False) == {"a", "b"}
    assert told(together=True) == set()


def test_a_second_method_names_what_sets_the_best_tenth_apart_and_whether_it_agrees_is_told() -> None:
    second = ObservedTrials(SPACE, records(), Objective()).by_best_tenth()
    assert sum(second.values()) == pytest.approx(1.0)
    assert max(second, key=lambda name: second[name]) == "strong"
    assert "only" not in second
    assert "inner" in second
    assert ObservedTrials(SPACE, records(30), Objective()).by_best_tenth() == {}
    found = replace(importances(SPACE, records(), Objective()), second=second)
    assert found.second_opinion == "PED-ANOVA, by the best tenth: strong first, too"
    other = replace(found, second={"weak": 0.75, "strong": 0.25})
    assert other.second_opinion == "PED-ANOVA, by the best tenth: weak first (75 %; strong 25 %)"
    assert replace(found, second={}).second_opinion == ""
