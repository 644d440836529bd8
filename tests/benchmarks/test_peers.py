from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from torch import nn
from torch.nn import functional

from benchmarks import subjects
from benchmarks.peers import normalized
from benchmarks.peers import optuna_script as script
from benchmarks.throughput import OURS, PLAIN, Setting, course
from tuner.core.dataset import Task
from tuner.core.space import Choice, SearchSpace
from tuner.core.spec import StudySpec
from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.networks import build
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.schedule import learning_rate
from tuner.trainers.torch.update import TorchUpdate

WIDTHS = [16, 32, 64]


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    table = subjects.study("study", Path("data.npz"), WIDTHS, trials=1, seed=0)
    return StudySpec.parse(table).search_space()


@pytest.fixture(scope="module")
def drawn() -> list[optuna.trial.FrozenTrial]:
    """Configurations as the script draws them, at random."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for params in script.known_to_work(WIDTHS):
        study.enqueue_trial(params)
    study.optimize(lambda trial: float(bool(script.suggest(trial, WIDTHS)) - 1), n_trials=60)
    return study.trials


def test_the_script_draws_configurations_of_our_space(
    space: SearchSpace, drawn: list[optuna.trial.FrozenTrial]
) -> None:
    assert [space.faults(trial.params) for trial in drawn] == [[]] * len(drawn)


def test_the_script_searches_every_parameter_over_our_range(
    space: SearchSpace, drawn: list[optuna.trial.FrozenTrial]
) -> None:
    theirs = {name: each for trial in drawn for name, each in trial.distributions.items()}
    assert set(theirs) == set(space.parameters)
    for name, parameter in space:
        found: Any = theirs[name]
        if isinstance(parameter, Choice):
            assert set(found.choices) == set(parameter.choices)
        else:
            assert (found.low, found.high, found.log) == (parameter.low, parameter.high, parameter.log)


def test_both_try_the_same_configurations_first(space: SearchSpace) -> None:
    theirs = script.known_to_work(WIDTHS)
    assert [dict(params) for params in space.presets()] == theirs


def test_the_scripts_learning_rates_are_ours(drawn: list[optuna.trial.FrozenTrial]) -> None:
    for trial in drawn:
        recipe = Recipe.of(trial.params)
        for step in (0, 3, 17, 59, 99):
            rate = script.rate_at(trial.params, step, 100)
            assert rate == pytest.approx(learning_rate(recipe, step, 100), rel=1e-9)


def networks(params: dict[str, Any], batch_norm: bool = False) -> tuple[nn.Module, nn.Module]:
    """The script's and ours, with the same weights."""
    context = NetworkContext((64,), 10, Task.CLASSIFICATION, params=params)
    model = f"{normalized.__name__}:build" if batch_norm else "mlp"
    theirs, ours = script.network(params, 64, 10, batch_norm), build(model, params, context)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_scripts_network_is_ours(drawn: list[optuna.trial.FrozenTrial], batch_norm: bool) -> None:
    for trial in drawn[:10]:
        theirs, ours = networks(trial.params, batch_norm)
        assert [repr(layer) for layer in ours.children()] == [repr(layer) for layer in theirs.children()]


@pytest.mark.parametrize("fused", [None, True])
def test_the_scripts_steps_are_ours(drawn: list[optuna.trial.FrozenTrial], fused: bool | None) -> None:
    x = torch.rand(32, 64, generator=torch.Generator().manual_seed(0))
    y = torch.arange(32) % 10
    for trial in drawn:
        params = trial.params | {"dropout": 0.0, "learning_rate": 1e-3}
        torch.manual_seed(trial.number)
        theirs, ours = networks(params)
        rule, update = script.optimizer(params, theirs, fused), TorchUpdate(Recipe.of(params), ours, {}, {})
        for _ in range(3):
            script.update(params, theirs, rule, x, y, 1e-3)
            update.clear()
            loss = functional.cross_entropy(ours(x), y, label_smoothing=params["label_smoothing"])
            loss.backward()  # type: ignore[no-untyped-call]
            update.step(1e-3)
        for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("program", "batch_norm"), [(OURS, False), (PLAIN, True)])
def test_each_program_runs_a_small_study_whole(program: str, batch_norm: bool) -> None:
    setting = Setting("digits", (16,), trials=3, epochs=3, seconds=None, batch_norm=batch_norm)
    found = course(program, setting, seed=0)
    assert found.is_whole
    assert len(found.starts) == 3
    assert 5 <= len(found.epochs) <= 9
    assert 0 < found.startup_s < found.startup_s + found.seconds < found.ran.wall_s
    assert 0.1 < found.accuracy <= 1
