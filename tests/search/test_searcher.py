from __future__ import annotations

import logging
import statistics
import warnings
from dataclasses import replace
from typing import Any

import optuna
import pytest
import torch
from optuna.samplers import GPSampler

from tuner.core.space import Choice, Float, Int, SearchSpace
from tuner.core.spec import SearchSpec
from tuner.core.trial import Objective, Trial, TrialRecord, TrialState
from tuner.errors import SpecError
from tuner.search import OptunaSearcher, cma, gp
from tuner.testing.searcher import SearcherContract, conditional_space, ended, small_space

MINIMIZE = Objective("val_loss", minimize=True)


def searcher(space: SearchSpace, objective: Objective = MINIMIZE, **spec: Any) -> OptunaSearcher:
    return OptunaSearcher(space, SearchSpec(**spec), objective)


class _Contract(SearcherContract):
    sampler: str
    startup_trials = 6

    def searcher(self, space: SearchSpace, seed: int = 0) -> OptunaSearcher:
        return searcher(
            space, sampler=self.sampler, seed=seed, startup_trials=self.startup_trials, grid_points=4
        )


class TestTPE(_Contract):
    sampler = "tpe"


class TestSamplerOfOptuna(_Contract):
    sampler = "optuna.samplers:TPESampler"


class QuickGP(GPSampler):
    """Searches from fewer starts; how well it chooses is not tested with it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._n_local_search, self._n_preliminary_samples, self._n_qmc_samples_qei = 3, 16, 8


class TestGP(_Contract):
    sampler = "gp"
    startup_trials = 2
    trials = 12
    takes_any_space = False

    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gp, "GPSampler", QuickGP)


class TestCMAES(_Contract):
    sampler = "cmaes"


class TestNSGA2(_Contract):
    sampler = "nsga2"
    trials = 100


class TestQMC(_Contract):
    sampler = "qmc"


class TestRandom(_Contract):
    sampler = "random"


class TestGrid(_Contract):
    sampler = "grid"
    takes_any_space = False


def valley(dimensions: int) -> SearchSpace:
    """A bowl with its lowest point off the middle and off the default."""
    return SearchSpace.compose({f"x{i}": Float(low=0.0, high=1.0, default=1.0) for i in range(dimensions)})


def depth(trial: Trial) -> float:
    return sum((float(v) - 0.3) ** 2 for v in trial.params.values())


def lowest(trials: int, seed: int, sign: float = 1.0, dimensions: int = 5, **spec: Any) -> float:
    found = searcher(valley(dimensions), Objective("val_loss", sign > 0), seed=seed, **spec)
    best = 9.0
    for _ in range(trials // 5):
        batch = found.ask(5)
        values = [depth(t) for t in batch]
        best = min(best, *values)
        found.tell(
            [
                TrialRecord(t.number, t.params, TrialState.FINISHED, value=sign * v, epochs=1)
                for t, v in zip(batch, values, strict=True)
            ]
        )
    return best


@pytest.mark.parametrize(("sampler", "trials"), [("tpe", 80), ("cmaes", 120), ("nsga2", 200)])
def test_sampler_that_learns_goes_deeper_than_chance(sampler: str, trials: int) -> None:
    learned = [lowest(trials, seed, sampler=sampler) for seed in range(5)]
    chance = [lowest(trials, seed, sampler="random") for seed in range(5)]
    assert statistics.median(learned) < 0.7 * statistics.median(chance)


def test_gaussian_process_goes_deeper_than_chance() -> None:
    learned = lowest(15, 0, dimensions=2, sampler="gp", startup_trials=5)
    assert learned < 0.5 * lowest(15, 0, dimensions=2, sampler="random")


def test_objective_to_maximize_is_searched_in_the_same_way() -> None:
    assert lowest(40, 0, sampler="tpe") == lowest(40, 0, sign=-1.0, sampler="tpe")


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2", "gp"])
def test_trials_that_fit_a_changed_space_are_learned_from(sampler: str) -> None:
    def after(sign: float) -> list[Trial]:
        found = searcher(narrow, sampler=sampler, startup_trials=4)
        found.replay([replace(r, value=sign * float(r.params["x0"])) for r in history])
        return found.ask(2)

    narrow = SearchSpace.compose(
        {"x0": Float(low=0.0, high=0.7, default=0.5), "new": Float(low=0.0, high=1.0, default=0.5)}
    )
    trials = searcher(valley(2), sampler="random").ask(60)
    history = [TrialRecord(t.number, t.params, TrialState.FINISHED, epochs=1) for t in trials]
    assert after(1.0) != after(-1.0)


def test_cmaes_learns_anew_from_states_that_are_no_longer_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cma, "KEPT", 2)
    first = searcher(valley(2), sampler="cmaes")
    records: dict[int, TrialRecord] = {}
    for number in (70, 3, 40, 41, 12):
        trials = first.ask(20)
        told = [TrialRecord(t.number, t.params, TrialState.PAUSED, depth(t), epochs=1) for t in trials]
        records |= {r.number: r for r in told}
        if number in records:
            told.append(replace(records[number], state=TrialState.FINISHED, value=9.0))
        first.tell(told)
        records |= {r.number: r for r in told}
    second = searcher(valley(2), sampler="cmaes")
    second.replay([records[number] for number in sorted(records)])
    assert first.ask(5) == second.ask(5)


def test_presets_follow_the_default_configuration() -> None:
    trials = searcher(conditional_space()).ask(3)
    assert [t.params for t in trials[:2]] == list(conditional_space().presets())
    assert trials[1].params["method"] == "sgd"
    assert trials[1].params["rate"] == 1.0
    assert type(trials[1].params["rate"]) is float
    without = searcher(conditional_space(), presets=False, seed=1).ask(2)
    assert without[0].params == trials[0].params
    assert without[1].params != trials[1].params


def test_preset_that_is_already_stored_is_passed_over() -> None:
    presets = list(conditional_space().presets())
    found = searcher(conditional_space())
    found.replay([TrialRecord(0, presets[1], TrialState.FAILED)])
    assert found.ask(1)[0] == Trial(1, presets[0], 0)


def test_grid_comes_whole_after_the_default_configuration() -> None:
    space = SearchSpace.compose(
        {"a": Int(low=1, high=9, default=2), "b": Choice(choices=("u", "v"), default="v", try_first=("u",))}
    )
    trials = searcher(space, sampler="grid", grid_points=3).ask(100)
    assert trials[0].params == {"a": 2, "b": "v"}
    grid = [t.params for t in trials[1:]]
    assert sorted(map(str, grid)) == sorted(str({"a": a, "b": b}) for a in (1, 5, 9) for b in ("u", "v"))
    assert grid != list(space.grid(3))


def test_grid_that_is_too_large_is_refused_with_its_size() -> None:
    parameters = {f"x{i}": Float(low=0.0, high=1.0, default=0.0) for i in range(7)}
    branch = {"kind": Choice(choices=("flat", "deep"), default="flat")}
    deep = {"y": Int(low=1, high=9, default=1, when={"kind": ("deep",)})}
    space = SearchSpace.compose({**parameters, **branch, **deep})
    with pytest.raises(
        SpecError, match=r"468,750 configurations with grid_points = 5.*lower search.grid_points"
    ):
        searcher(space, sampler="grid")


def test_trial_told_again_replaces_what_was_known() -> None:
    def after(*records: list[TrialRecord]) -> list[Trial]:
        found = searcher(conditional_space(), startup_trials=3)
        trials = found.ask(12)
        for told in records:
            found.tell(told)
        assert len(trials) == 12
        return found.ask(1)

    trials = searcher(conditional_space(), startup_trials=3).ask(12)
    assert after(ended(trials, seed=1), ended(trials)) == after(ended(trials))
    assert after(ended(trials, seed=1)) != after(ended(trials))


def test_almost_equal_floats_count_as_the_same_configuration() -> None:
    found = searcher(small_space(), sampler="random")
    found.replay([TrialRecord(0, {"a": "y", "c": 0.5 - 1e-15}, TrialState.FINISHED, value=1.0)])
    assert {"a": "y", "c": 0.5} not in [t.params for t in found.ask(10)]
    assert len(found.ask(10)) == 0


def test_optuna_and_torch_are_left_as_they_were() -> None:
    threads, verbosity = torch.get_num_threads(), optuna.logging.get_verbosity()
    before = list(warnings.filters)
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("optuna").addHandler(handler)
    try:
        torch.set_num_threads(2)
        found = searcher(conditional_space(), sampler="gp", startup_trials=4)
        found.tell(ended(found.ask(20)))
        found.ask(2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
        logging.getLogger("optuna").removeHandler(handler)
    assert optuna.logging.get_verbosity() == verbosity
    assert warnings.filters == before
    assert records == []
