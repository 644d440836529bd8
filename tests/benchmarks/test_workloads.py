"""Both sides of the benchmark on real data search one space of the same networks."""

from __future__ import annotations

import json
import math
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch

from benchmarks.networks import made
from benchmarks.peers import networks_script as script
from benchmarks.subjects import Arrays
from benchmarks.workloads import WORKLOADS, best, reached_s, space, study
from tuner.core.space import Choice
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial
from tuner.search.distributions import distribution
from tuner.trainers.torch.context import context_of
from tuner.trainers.torch.networks import build


@pytest.mark.parametrize("name", WORKLOADS)
def test_networks_and_spaces_are_the_same_on_both_sides(name: str) -> None:
    workload = WORKLOADS[name]
    data = made(workload.kind, 60)
    spec = StudySpec.parse(study(workload, 10, 0))
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    inputs = torch.tensor(data.train.x)
    inputs[0] = data.vocabulary - 1 if data.vocabulary else inputs[0]
    for number in range(5):
        trial = drawn.ask()
        p = script.suggest(trial, workload.model)
        wanted = {
            n: optuna.distributions.CategoricalDistribution(parameter.choices)
            if isinstance(parameter, Choice)
            else distribution(parameter)
            for n, parameter in spec.search_space()
        }
        assert trial.distributions == wanted
        theirs = script.network(workload.model, p, inputs, 4)
        mine = build(workload.model, p, context_of(Trial(number, p, 0), data, 4))
        counts = [sum(each.numel() for each in module.parameters()) for module in (mine, theirs)]
        # Torch's GRU has as many; of series the last feature is an input, too.
        assert counts[0] == counts[1]
    assert set(space(workload.model)) == set(p)


def test_the_script_trains_and_logs_what_it_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    chance, threads = np.random.default_rng(0), torch.get_num_threads()
    x, y = chance.normal(size=(60, 5)).astype(np.float32), chance.integers(0, 3, 60)
    Arrays.of(x, y).write(tmp_path / "data.npz")
    storage = "sqlite:///study.db"
    optuna.create_study(study_name="script", storage=storage)
    begin = time.time()
    options = Namespace(data="data.npz", model="mlp", seed=0, storage=storage, until=begin + 1)
    try:
        script.work(options, 0)
    finally:
        torch.set_num_threads(threads)
    lines = [json.loads(line) for line in (tmp_path / "log0.jsonl").read_text().splitlines()]
    assert begin < lines[0][0] <= lines[-1][0]
    assert all(math.isfinite(loss) for _, loss in lines)


def test_moments_are_those_of_the_first_loss_that_is_no_larger() -> None:
    course = [(1.0, 3.0), (2.0, math.nan), (3.0, 1.0), (4.0, 2.0)]
    assert [reached_s(course, loss) for loss in (5.0, 2.0, 1.0, 0.5)] == [1.0, 3.0, 3.0, math.inf]
    assert [best(course, until) for until in (0.5, 2.5, 4.0)] == [math.inf, 3.0, 1.0]
