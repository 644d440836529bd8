from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.search.parts import to_number
from tuner.core.space import Float, SearchSpace
from tuner.core.spec import SearchSpec
from tuner.core.trial import Objective, Params, TrialRecord, TrialState
from tuner.search import OptunaSearcher
from tuner.search.history import History
from tuner.testing.searcher import changed_spaces, conditional_space, ended, paused

LINE = SearchSpace.compose({"x": Float(low=0.0, high=1.0, default=0.0)})


def record(number: int, state: TrialState = TrialState.STOPPED, **known: object) -> TrialRecord:
    return TrialRecord(number, {"x": 0.5}, state, **known)  # type: ignore[arg-type]


def test_cut_trials_rank_behind_finished_ones_by_epochs_then_value() -> None:
    history = History(LINE, Objective("val_score", minimize=False))
    told = [
        record(0, TrialState.FINISHED, value=0.1),
        record(1, value=0.9, epochs=3),
        record(2, value=0.8, epochs=9),
        record(3, value=0.95, epochs=3),
        record(4, value=None, epochs=20),
        record(5, value=0.99, epochs=20, rule="divergence"),
        record(6, value=0.5, epochs=1, conclusive=True),
        record(7, TrialState.FAILED),
        record(8, TrialState.FINISHED, value=math.nan),
    ]
    for each in told:
        history.add(each)
    ranks = sorted(o.rank for o in history.window(0, 100))
    assert [rank[-1] for rank in ranks] == [6, 0, 2, 3, 1, 4, 5, 8]
    assert [o.number for o in history.valued(10, 10)] == [0, 6]
    assert history.values == 2
    assert history.is_settled(7)
    assert history.get(7) is None


@given(seed=st.integers(0, 50))
def test_order_in_which_trials_are_told_is_of_no_account(seed: int) -> None:
    def known(records: list[TrialRecord]) -> list[str]:
        history = History(conditional_space(), Objective())
        for each in records:
            history.add(each)
        return [repr(o) for o in history.window(3, 5)]

    trials = OptunaSearcher(conditional_space(), SearchSpec(sampler="random"), Objective()).ask(20)
    records = ended(trials, seed)
    shuffled = random.Random(seed).sample(records, len(records))
    again = [TrialRecord(r.number, r.params, TrialState.RUNNING) for r in records]
    assert known(records) == known(shuffled) == known(again + shuffled + shuffled[:5])


def test_a_configuration_of_another_space_is_completed_with_defaults_or_does_not_fit() -> None:
    space = conditional_space()
    history = History(space, Objective())

    def encode(params: Params) -> Params | None:
        found = history.encode(params)
        assert found is None or found.numbers == pytest.approx(
            [to_number(p, found.params[n]) if n in found.params else math.nan for n, p in space], nan_ok=True
        )
        return found and found.params

    had: Params = {"method": "sgd", "momentum": 1e-3, "damped": False, "width": 20, "gone": 3}
    assert encode(had) == {
        "activation": "relu",
        "method": "sgd",
        "rate": 1.0,
        "momentum": 1e-3,
        "damped": False,
        "width": 20,
        "depth": 3,
        "only": 7,
    }
    assert encode({"momentum": 5.0, "method": "adam"}) == space.defaults()
    for change in ({"momentum": 5.0}, {"damped": 2}, {"width": 20.5}, {"depth": 2}, {"activation": "tanh"}):
        assert encode({**had, **change}) is None


def test_trials_outside_of_the_space_are_not_shown_until_they_are_told_within() -> None:
    history = History(LINE, Objective())
    for state in TrialState:
        history.add(TrialRecord(0, {"x": 2.0}, state, value=1.0, conclusive=True))
        assert (history.outside, len(history), history.running, history.failed) == ({0}, 0, {}, set())
        assert history.is_settled(0)
    history.add(record(0, TrialState.PAUSED, value=1.0))
    assert (history.outside, len(history), history.values) == (set(), 1, 0)


@given(seed=st.integers(0, 50), first=st.integers(0, 12), best=st.integers(1, 5))
def test_best_of_the_first_valued_trials_are_found_without_looking_at_all(
    seed: int, first: int, best: int
) -> None:
    history = History(conditional_space(), Objective())
    for each in ended(
        OptunaSearcher(conditional_space(), SearchSpec(sampler="random"), Objective()).ask(20), seed
    ):
        history.add(each)
    every = history.valued(0, 20)
    assert every == sorted(every, key=lambda o: o.number)
    expected = sorted(every[:first], key=lambda o: o.rank)[:best] if first <= len(every) else []
    assert history.best_of_first(first, best) == expected


@given(name=st.sampled_from(["unchanged", *changed_spaces()]), seed=st.integers(0, 50))
def test_trials_replayed_at_once_are_known_as_those_told_one_by_one(name: str, seed: int) -> None:
    space = changed_spaces().get(name, conditional_space())
    trials = OptunaSearcher(conditional_space(), SearchSpec(sampler="random", seed=seed), Objective()).ask(30)
    records = [*ended(trials[:20], seed), *paused(trials[20:25])]
    records += [TrialRecord(t.number, t.params, TrialState.RUNNING) for t in trials[25:]]
    at_once, one_by_one = History(space, Objective()), History(space, Objective())
    at_once.replay(records)
    for each in records:
        one_by_one.add(each)
    known = [
        (
            *map(repr, (history.window(30, 30), history.valued(0, 30), history.running)),
            history.outside,
            history.failed,
            [history.is_taken(trial.params) for trial in trials],
            history.rows(sorted(set(range(30)) - history.outside)).tobytes(),
            history.places(),
        )
        for history in (at_once, one_by_one)
    ]
    assert known[0] == known[1]
