from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.contracts.trainer import blobs, same, study
from tests.trainers.resampled import (
    FunctionContract,
    FusedContract,
    accuracy,
    curve,
    divisible,
    job,
    nearest,
    otherwise,
    placed,
    reading,
    resampling,
    trial,
)
from tuner.core.dataset import Dataset
from tuner.core.ports import Failure, Job, Trainer
from tuner.core.seeds import derive
from tuner.core.spec import DataSpec
from tuner.data import from_arrays
from tuner.errors import DataError
from tuner.trainers import RedrawnTrainer, load_model
from tuner.trainers.function import FunctionTrainer
from tuner.trainers.redrawn import own_split
from tuner.trainers.sklearn import SklearnTrainer
from tuner.trainers.torch import TorchTrainer


class TestFusedOnSplitsOfTheirOwn(FusedContract):
    def trainer(self) -> Trainer:
        return RedrawnTrainer(TorchTrainer())


class TestAFunctionOnSplitsOfItsOwn(FunctionContract):
    def trainer(self) -> Trainer:
        return RedrawnTrainer(FunctionTrainer(nearest))


@pytest.mark.parametrize("rows", [1, 2])
def test_a_trial_trains_as_on_a_dataset_that_is_its_split(rows: int) -> None:
    at, one = job(rows), trial(7)
    population = placed(RedrawnTrainer(TorchTrainer()), at, one)
    split = resampling(at).draw(derive(one.study_seed, one.number, "split"))
    plain = placed(TorchTrainer(), replace(at, data=split), one)
    assert same(curve(population), curve(plain))


def test_trials_have_different_splits_and_repeats_of_one_have_too() -> None:
    seeds = [own_split(trial(number, seed)) for number in range(20) for seed in range(5)]
    assert len(set(seeds)) == len(seeds)


def test_trials_may_share_a_split() -> None:
    drawn: list[int] = []

    def noted(data: Dataset) -> Dataset:
        drawn.append(len(data.train))
        return data

    at = job(rows=4, data=otherwise(divisible(), noted))
    placed(RedrawnTrainer(TorchTrainer(), seed=lambda one: one.number % 2), at, *map(trial, range(4)))
    assert len(drawn) == 2


def test_threads_do_not_change_what_comes_out() -> None:
    found = []
    for threads in (1, 3):
        population = placed(
            RedrawnTrainer(TorchTrainer()), job(rows=4, threads=threads), *map(trial, range(4))
        )
        found.append([reading(outcome) for outcome in population.advance().values()])
    one, two = found
    assert len(one) == 4
    assert same(one, two)


def test_a_split_that_cannot_be_trained_on_is_a_failure() -> None:
    def refuse(data: Dataset) -> Dataset:
        raise DataError("the training split has one class only")

    at = job(data=otherwise(divisible(), refuse))
    population = placed(RedrawnTrainer(TorchTrainer()), at, trial())
    failure = population.advance()[0]
    assert isinstance(failure, Failure)
    assert failure.error == "its split cannot be trained on: the training split has one class only"
    assert population.snapshot(0) is None


def test_a_saved_model_predicts_the_split_it_was_judged_on(tmp_path: Path) -> None:
    at = job()
    population = RedrawnTrainer(TorchTrainer()).populate(at)
    population.place(1, trial(3))
    best = at.spec.goal().best(curve(population, 1))
    assert best is not None
    assert population.save(1, tmp_path)
    judged = resampling(at).draw(own_split(trial(3))).validation
    assert accuracy(load_model(tmp_path), at, judged) == pytest.approx(best.val_score)


def test_what_needs_the_same_data_for_all_rows_trains_one_at_a_time() -> None:
    at = job()
    fused, estimators = RedrawnTrainer(TorchTrainer()), RedrawnTrainer(SklearnTrainer())
    assert fused.unfused(at.spec, at.data, "cpu") is None
    assert estimators.unfused(at.spec, at.data, "cpu") == "estimators of scikit-learn train one at a time"
    pixels = np.random.default_rng(0).normal(size=(40, 1, 8, 8))
    images = from_arrays(pixels, np.arange(40) % 2, DataSpec(source="memory"), resampling=True)
    assert TorchTrainer().unfused(study(model="cnn"), images, "cpu") is None
    assert (
        fused.unfused(study(model="cnn"), images, "cpu")
        == "data.reshuffle gives every trial a split of its own"
    )
    assert estimators.populate(job(rows=3)).capacity == 1


def test_there_must_be_something_to_draw_from() -> None:
    trainer = RedrawnTrainer(FunctionTrainer(nearest))
    (fault,) = trainer.faults(study(), None)
    assert fault == "data.reshuffle: there is no data to be split; give [data] source or drop it"
    with pytest.raises(DataError, match="there are no open rows to be divided"):
        trainer.populate(Job(study(), blobs()))
