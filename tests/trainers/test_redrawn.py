from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.contracts.trainer import TrainerContract, blobs, same, study
from tests.trainers.resampled import Otherwise, divisible, nearest
from tuner.core.dataset import Dataset
from tuner.core.ports import Failure, Job, Population, Trainer
from tuner.core.seeds import derive
from tuner.core.spec import DataSpec
from tuner.core.trial import Params, Reading, Trial
from tuner.data import from_arrays
from tuner.errors import DataError
from tuner.trainers import RedrawnTrainer, load_model
from tuner.trainers.function import FunctionTrainer
from tuner.trainers.redrawn import own_split
from tuner.trainers.sklearn import SklearnTrainer
from tuner.trainers.torch import TorchTrainer


class TestFusedOnSplitsOfTheirOwn(TrainerContract):
    predicts = False  # a model is judged on the split of its trial

    def trainer(self) -> Trainer:
        return RedrawnTrainer(TorchTrainer())

    def job(self) -> Job:
        return Job(study(use="torch", epochs=3), divisible(), rows=2)

    def params(self, number: int) -> Params:
        return {"learning_rate": 0.003 * (number + 1), "batch_size": 16, "dropout": 0.1, "width": 8}

    def diverging_params(self) -> Params:
        return {"optimizer": "sgd", "learning_rate": 1e30}

    def broken_params(self) -> Params:
        return {"activation": "no such activation"}

    def judged_otherwise(self, data: Dataset) -> Dataset:
        assert data.resampling is not None
        return replace(data, resampling=Otherwise(data.resampling, super().judged_otherwise))


class TestAFunctionOnSplitsOfItsOwn(TestFusedOnSplitsOfTheirOwn):
    def trainer(self) -> Trainer:
        return RedrawnTrainer(FunctionTrainer(nearest))

    def params(self, number: int) -> Params:
        return {"learning_rate": 0.1 * (number + 1)}

    def broken_params(self) -> Params:
        return {"learning_rate": 0.1, "breaks": 1}

    def diverging_params(self) -> Params:
        return {"learning_rate": math.inf}


def trial(number: int = 0, seed: int = 0) -> Trial:
    return Trial(number, {"learning_rate": 0.01, "width": 8}, seed)


def job(rows: int = 2, threads: int = 1) -> Job:
    return Job(study(epochs=3), divisible(), rows=rows, threads=threads)


def curve(population: Population, row: int = 0) -> list[Reading]:
    found = [population.advance([row])[row] for _ in range(3)]
    assert all(isinstance(each, Reading) for each in found), found
    return [each for each in found if isinstance(each, Reading)]


@pytest.mark.parametrize("rows", [1, 2])
def test_a_trial_trains_as_on_a_dataset_that_is_its_split(rows: int) -> None:
    at, one = job(rows), trial(7)
    assert at.data is not None
    assert at.data.resampling is not None
    population = RedrawnTrainer(TorchTrainer()).populate(at)
    population.place(0, one)
    split = at.data.resampling.draw(derive(one.study_seed, one.number, "split"))
    plain = TorchTrainer().populate(replace(at, data=split))
    plain.place(0, one)
    assert same(curve(population), curve(plain))


def test_trials_have_different_splits_and_repeats_of_one_have_too() -> None:
    seeds = [own_split(trial(number, seed)) for number in range(20) for seed in range(5)]
    assert len(set(seeds)) == len(seeds)


def test_trials_may_share_a_split() -> None:
    drawn: list[int] = []

    def noted(data: Dataset) -> Dataset:
        drawn.append(len(data.train))
        return data

    at = job(rows=4)
    assert at.data is not None
    assert at.data.resampling is not None
    at = replace(at, data=replace(at.data, resampling=Otherwise(at.data.resampling, noted)))
    population = RedrawnTrainer(TorchTrainer(), seed=lambda one: one.number % 2).populate(at)
    for row in range(4):
        population.place(row, trial(row))
    assert len(drawn) == 2


def test_threads_do_not_change_what_comes_out() -> None:
    found = []
    for threads in (1, 3):
        population = RedrawnTrainer(TorchTrainer()).populate(job(rows=4, threads=threads))
        for row in range(4):
            population.place(row, trial(row))
        found.append(population.advance())
    one, two = ([each for each in outcomes.values() if isinstance(each, Reading)] for outcomes in found)
    assert len(one) == 4
    assert same(one, two)


def test_a_split_that_cannot_be_trained_on_is_a_failure() -> None:
    def refuse(data: Dataset) -> Dataset:
        raise DataError("the training split has one class only")

    at = job()
    assert at.data is not None
    assert at.data.resampling is not None
    at = replace(at, data=replace(at.data, resampling=Otherwise(at.data.resampling, refuse)))
    population = RedrawnTrainer(TorchTrainer()).populate(at)
    population.place(0, trial())
    failure = population.advance()[0]
    assert isinstance(failure, Failure)
    assert failure.error == "its split cannot be trained on: the training split has one class only"
    assert population.snapshot(0) is None


def test_a_saved_model_predicts_the_split_it_was_judged_on(tmp_path: Path) -> None:
    at = job()
    assert at.data is not None
    assert at.data.resampling is not None
    population = RedrawnTrainer(TorchTrainer()).populate(at)
    population.place(1, trial(3))
    best = at.spec.goal().best(curve(population, 1))
    assert best is not None
    assert population.save(1, tmp_path)
    judged = at.data.resampling.draw(own_split(trial(3))).validation
    predicted = load_model(tmp_path).predict(judged.x)
    assert np.mean(predicted == np.asarray(at.data.classes)[judged.y]) == pytest.approx(best.val_score)


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
