from __future__ import annotations

import warnings

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.samplers import TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights
from optuna.trial import TrialState as State

from tests.search.parts import to_number
from tuner.core.seeds import derive
from tuner.core.space import Choice, Float, Int, SearchSpace
from tuner.core.spec import SearchSpec
from tuner.core.trial import Objective, Trial, TrialRecord, TrialState
from tuner.search.distributions import distribution
from tuner.search.history import History
from tuner.search.parzen import Parzen
from tuner.search.samplers import Random
from tuner.search.searcher import OptunaSearcher
from tuner.search.tpe import BEST, LAST, TPE
from tuner.testing.searcher import conditional_space, ended


def flat_space() -> SearchSpace:
    return SearchSpace.compose(
        {
            "a": Float(low=-2.0, high=3.0, default=0.0),
            "b": Float(low=1e-5, high=1.0, default=0.1, log=True),
            "c": Float(low=0.0, high=1.0, default=0.0, step=0.25),
            "d": Int(low=1, high=20, default=1),
            "e": Int(low=8, high=512, default=8, log=True),
            "f": Choice(choices=("u", "v", "w"), default="u"),
        }
    )


def records(space: SearchSpace, count: int, seed: int) -> list[TrialRecord]:
    draw = OptunaSearcher(space, SearchSpec(sampler="random", seed=seed), Objective())
    told = ended(draw.ask(count), seed)
    running = [TrialRecord(t.number, t.params, TrialState.RUNNING) for t in draw.ask(3)]
    return told + running


def optuna_study(space: SearchSpace, known: list[TrialRecord], seed: int) -> optuna.Study:
    """The same history told to Optuna; failed trials keep their numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    for record in known:
        shown = [(n, p) for n, p in space if n in record.params]
        state, value, steps = State.RUNNING, None, {}
        if record.state is TrialState.FAILED:
            state = State.FAIL
        elif record.conclusive:
            state, value = State.COMPLETE, record.value
        elif record.state is TrialState.STOPPED:
            state = State.PRUNED
            if record.value is not None and record.rule is None:
                steps = {record.epochs: record.value}
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=value,
                intermediate_values=steps,
                params={
                    n: distribution(p).to_external_repr(to_number(p, record.params[n])) for n, p in shown
                },
                distributions={n: distribution(p) for n, p in shown},
            )
        )
    return study


@pytest.mark.parametrize("count", [20, 60, 250])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_draw_equals_that_of_optunas_sampler(count: int, seed: int) -> None:
    space, number = flat_space(), count + 3
    known = records(space, count, seed)
    study = optuna_study(space, known, derive(seed, number, "sampler"))
    expected = study.ask({name: distribution(p) for name, p in space}).params
    found = OptunaSearcher(space, SearchSpec(seed=seed, presets=False), Objective())
    found.replay(known)
    asked = found.ask(1)[0]
    assert asked.number == number
    numbers = {name: to_number(p, asked.params[name]) for name, p in space}
    assert numbers == pytest.approx({n: float(v) for n, v in expected.items()}, rel=1e-9)


def test_every_group_of_a_conditional_space_equals_that_of_optunas_sampler() -> None:
    space, seed = conditional_space(), 5
    known = records(space, 80, seed)
    history = History(space, Objective())
    for record in known:
        history.add(record)
    study = optuna_study(space, known, derive(seed, 83, "sampler"))
    suggest = TPE(space, SearchSpec(seed=seed)).fit(history)(83, 0)
    trial = study._storage.get_trial(study.ask()._trial_id)
    groups = [["depth", "method", "rate", "width"], ["damped"], ["momentum"], ["damping"]]
    for group in groups:
        dists = {name: distribution(space.parameters[name]) for name in group}
        assert isinstance(study.sampler, TPESampler)
        expected = study.sampler._sample(study, trial, dists)
        asked = {n: to_number(space.parameters[n], suggest(n, space.parameters[n])) for n in group}
        assert asked == pytest.approx({n: float(v) for n, v in expected.items()}, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 60))
def test_samples_and_densities_equal_those_of_optunas_estimator(seed: int, count: int) -> None:
    space = flat_space()
    dists = {name: distribution(p) for name, p in space}
    history = History(space, Objective())
    draw = OptunaSearcher(space, SearchSpec(sampler="random", seed=seed), Objective())
    for trial in draw.ask(count):
        history.add(TrialRecord(trial.number, trial.params, TrialState.FINISHED, value=1.0))
    cells = history.rows([o.number for o in history.window(0, 100)])
    parameters = _ParzenEstimatorParameters(1.0, True, False, default_weights, True)
    theirs = _ParzenEstimator(dict(zip(dists, cells.T, strict=True)), dists, parameters)
    ours = Parzen(dists, cells)
    expected = theirs.sample(np.random.RandomState(seed), 50)
    samples = ours.sample(np.random.RandomState(seed), 50)
    assert samples == pytest.approx(np.array(list(expected.values())).T, rel=1e-7)
    assert ours.log_density(samples) == pytest.approx(theirs.log_pdf(expected), rel=1e-6, abs=1e-6)


def test_model_starts_after_the_startup_trials() -> None:
    space, spec = flat_space(), SearchSpec(startup_trials=5)
    history = History(space, Objective())
    chance = Random(space, spec).draw
    for record in records(space, 20, 0):
        name = "a"
        drawn = TPE(space, spec).fit(history)(99, 0)(name, space.parameters[name])
        assert (drawn == chance(99, 0)(name, space.parameters[name])) == (len(history) < 5)
        history.add(record)


def test_window_is_bounded_and_keeps_the_best_and_the_newest() -> None:
    space = SearchSpace.compose({"x": Float(low=0.0, high=1.0, default=0.0)})
    history = History(space, Objective())
    for number in range(1000):
        value = float((number * 7919) % 1000)
        history.add(TrialRecord(number, {"x": value / 1000}, TrialState.FINISHED, value=value))
    window = history.window(BEST, LAST)
    numbers = [o.number for o in window]
    assert numbers == sorted(numbers)
    assert set(numbers) >= set(range(1000 - LAST, 1000))
    assert {o.value for o in window} >= {float(v) for v in range(BEST)}
    assert len(window) <= BEST + LAST


def test_trials_of_a_batch_differ_and_do_not_depend_on_its_size() -> None:
    def after(count: int) -> list[Trial]:
        found = OptunaSearcher(flat_space(), SearchSpec(), Objective())
        found.replay(records(flat_space(), 40, 0))
        return found.ask(count)

    assert after(8)[:3] == after(3)
    assert len({str(t.params) for t in after(8)}) == 8
