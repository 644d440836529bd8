from __future__ import annotations

import json
import math
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.contracts.trainer import TrainerContract, blobs, same, study, written_and_read
from tests.trainers.resampled import (
    FunctionContract,
    FusedContract,
    accuracy,
    curve,
    job,
    nearest,
    placed,
    reading,
    resampling,
    trial,
)
from tuner.core.dataset import Dataset
from tuner.core.ports import Exhausted, Failure, Job, Population, Trainer
from tuner.core.seeds import derive
from tuner.core.trial import Params, Reading, Trial
from tuner.errors import DataError
from tuner.trainers import AveragedTrainer, RedrawnTrainer, load_model
from tuner.trainers.averaged import MEMBERS, mean
from tuner.trainers.function import FunctionTrainer
from tuner.trainers.sklearn import SklearnTrainer
from tuner.trainers.torch import TorchTrainer

FOLDS, REPEATS = 3, 2


class TestFusedFoldsAndRepeats(FusedContract):
    def trainer(self) -> Trainer:
        return AveragedTrainer(TorchTrainer(), FOLDS, REPEATS)


class TestFoldsOfAFunction(FunctionContract):
    def trainer(self) -> Trainer:
        return AveragedTrainer(FunctionTrainer(nearest), FOLDS, REPEATS)


class TestRepeatsOfEstimators(TrainerContract):
    predicts = False

    def trainer(self) -> Trainer:
        return AveragedTrainer(SklearnTrainer(), 1, REPEATS)

    def job(self) -> Job:
        return Job(
            study(use="sklearn", model="sklearn.linear_model:SGDClassifier", epochs=3), blobs(), rows=2
        )

    def params(self, number: int) -> Params:
        return {"alpha": 0.001 * (number + 1)}


def member(trainer: Trainer, at: Job, fold: Dataset, repeat: int, one: Trial) -> Population:
    """A member by itself."""
    seed = derive(one.study_seed, repeat, "repeat") if repeat else one.study_seed
    return placed(trainer, replace(at, data=fold), replace(one, study_seed=seed))


NUMBERS = ("train_loss", "val_loss", "train_score", "val_score", "gap", "learning_rate", "grad_norm")


@pytest.mark.parametrize("rows", [1, 2])
def test_a_reading_is_the_mean_of_separate_runs_bit_for_bit(rows: int) -> None:
    at, one = job(rows), trial(5)
    together = placed(AveragedTrainer(TorchTrainer(), FOLDS, REPEATS), at, one)
    members = [
        member(TorchTrainer(), at, fold, repeat, one)
        for fold in resampling(at).folds(FOLDS)
        for repeat in range(REPEATS)
    ]
    for _ in range(3):
        found = reading(together.advance()[0])
        each = [reading(one.advance()[0]) for one in members]
        assert len({r.val_loss for r in each}) == len(each)
        for name in set(NUMBERS) - {"gap"}:
            assert found.get(name) == np.mean([r.get(name) for r in each])
        for name in ("val_loss", "val_score", "gap"):
            values = [r.get(name) for r in each]
            assert found.extras[f"{name}_se"] == np.std(values, ddof=1) / math.sqrt(len(values))


def test_seconds_are_those_of_all_members() -> None:
    readings = [Reading(1, 1.0, 2.0, seconds=s) for s in (0.5, 0.25)]
    assert mean(readings).seconds == 0.75


def test_a_member_that_diverges_makes_the_mean_diverge_without_a_warning() -> None:
    numbers = [(math.inf, 1.0), (-math.inf, 2.0), (math.nan, 3.0), (1e308, 1e308), (1e308, 1e308)]
    found = mean([Reading(1, a, b) for a, b in numbers], ("train_loss", "val_loss"))
    assert math.isnan(found.train_loss)
    assert math.isnan(mean([Reading(1, 1.0, 2.0)], ("val_loss",)).get("val_loss_se"))
    assert "train_loss_se" not in found.extras


def test_extras_are_averaged_where_all_members_have_them() -> None:
    found = mean([Reading(1, 1, 1, extras={"a": 1.0, "b": 1.0}), Reading(1, 1, 1, extras={"a": 2.0})], ("a",))
    assert found.extras == {"a": 1.5, "a_se": 0.5}


def test_rows_hold_trials_and_not_members() -> None:
    for inner, rows in ((TorchTrainer(), 3), (FunctionTrainer(nearest), 1)):
        population = AveragedTrainer(inner, FOLDS, REPEATS).populate(job(rows=3))
        assert population.capacity == rows


def test_a_failing_member_fails_the_trial_and_is_named() -> None:
    one = trial(learning_rate=0.1, breaks=2, above=0.0)  # about half of the members
    population = placed(AveragedTrainer(FunctionTrainer(nearest), 2, 8), job(), one)
    reading(population.advance()[0])
    failure = population.advance()[0]
    assert isinstance(failure, Failure)
    assert failure.error.startswith("fold 1 of 2, repeat ")
    assert failure.error.endswith("of 8: ValueError: no such setting")
    assert population.advance()[0] is failure
    assert population.snapshot(0) is None


def test_the_trial_is_over_when_a_member_has_nothing_more_to_train() -> None:
    population = placed(
        AveragedTrainer(FunctionTrainer(nearest), 1, 2), job(), trial(learning_rate=0.1, ends=1)
    )
    reading(population.advance()[0])
    assert population.advance()[0] == Exhausted()


def test_a_function_without_data_repeats_and_cannot_fold() -> None:
    spec = study(epochs=2)
    assert list(AveragedTrainer(FunctionTrainer(nearest), 1, 3).faults(spec, None)) == []
    (fault,) = AveragedTrainer(FunctionTrainer(nearest), 3).faults(spec, None)
    assert fault == "data.folds: there is no data to be folded; give [data] source or drop it"


def test_data_without_open_rows_is_refused() -> None:
    with pytest.raises(DataError, match="there are no open rows to be folded"):
        AveragedTrainer(TorchTrainer(), 3).populate(job(data=blobs()))


def test_each_member_has_its_model_and_says_of_which_mean_it_is_a_part(tmp_path: Path) -> None:
    at = job()
    population = placed(AveragedTrainer(TorchTrainer(), FOLDS, REPEATS), at, trial())
    readings = curve(population)
    assert population.save(0, tmp_path)
    best = at.spec.goal().best(readings)
    assert best is not None
    scores = []
    for index in range(FOLDS * REPEATS):
        folder = tmp_path / MEMBERS / str(index) if index else tmp_path
        model = load_model(folder)
        scores.append(accuracy(model, at, resampling(at).folds(FOLDS)[index // REPEATS].validation))
        assert model.description["member"] == {
            "index": index,
            "fold": index // REPEATS,
            "repeat": index % REPEATS,
            "folds": FOLDS,
            "repeats": REPEATS,
            "mean": {"epoch": best.epoch, "val_loss": best.val_loss},
        }
        assert json.loads((folder / "model.json").read_text())["best"]["val_score"] == pytest.approx(
            scores[-1]
        )
    if best.epoch == 3:
        assert np.mean(scores) == pytest.approx(best.val_score)


def test_a_snapshot_of_other_members_is_a_failure() -> None:
    two = placed(AveragedTrainer(TorchTrainer(), 1, 2), job(), trial())
    reading(two.advance()[0])
    snapshot = two.snapshot(0)
    assert snapshot is not None
    population = AveragedTrainer(TorchTrainer(), 1, 3).populate(job())
    population.place(0, trial(), written_and_read(snapshot))
    failure = population.advance()[0]
    assert isinstance(failure, Failure)
    assert "its checkpoint is of other members" in failure.error


def test_functions_that_yield_their_state_go_on_bit_for_bit() -> None:
    trainer = AveragedTrainer(FunctionTrainer(nearest), 2, 2)
    whole = placed(trainer, job(), trial())
    first = reading(whole.advance()[0])
    snapshot = whole.snapshot(0)
    assert snapshot is not None
    there = trainer.populate(job())
    there.place(0, trial(), written_and_read(snapshot))
    assert same([reading(there.advance()[0])], [reading(whole.advance()[0])])
    assert first.epoch == 1


def test_efforts_are_those_of_all_members_and_none_where_rows_share_a_state() -> None:
    at = job()
    efforts = AveragedTrainer(TorchTrainer(), FOLDS, REPEATS).efforts(at)
    assert efforts is not None
    each = [TorchTrainer().efforts(replace(at, data=fold)) for fold in resampling(at).folds(FOLDS)]
    assert efforts(trial()) == REPEATS * sum(one(trial()) for one in each if one is not None)
    assert AveragedTrainer(SklearnTrainer(), FOLDS).efforts(at) is None


def test_rows_train_side_by_side_in_threads_as_they_do_alone() -> None:
    trainer = AveragedTrainer(RedrawnTrainer(TorchTrainer()), 1, 2)
    trials = [trial(n) for n in range(4)]
    wanted = [curve(placed(trainer, job(4), each)) for each in trials]
    population = trainer.populate(job(4))
    curves: list[list[Reading]] = [[] for _ in trials]

    def train(row: int) -> None:
        population.place(row, trials[row])
        curves[row] += curve(population, row)

    threads = [threading.Thread(target=train, args=(row,)) for row in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(one, two) for one, two in zip(curves, wanted, strict=True))
