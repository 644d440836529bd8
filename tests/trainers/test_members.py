"""Folds, repeats and splits of their own, by any trainer."""

from __future__ import annotations

import json
import math
import pickle
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.loaded import from_arrays
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
from tuner.artifacts import MEMBERS
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Dataset
from tuner.core.job import Job, Member
from tuner.core.seeds import derive
from tuner.core.training import Exhausted, Failure, Trainer, TrialBatch
from tuner.core.trial import Params, Reading, Trial
from tuner.errors import DataError
from tuner.testing.trainer import TrainerContract, blobs, same, study, written_and_read
from tuner.trainers import epoch_cost, load_members, load_model, open_batch, validate, why_unfused
from tuner.trainers.function import FunctionTrainer
from tuner.trainers.members import mean
from tuner.trainers.sklearn import SklearnTrainer
from tuner.trainers.torch import TorchTrainer

FOLDS, REPEATS = 3, 2
BOTH: dict[str, Any] = {"folds": FOLDS, "repeats": REPEATS}
APART: dict[str, Any] = {"reshuffle": True}


class TestFusedFoldsAndRepeats(FusedContract):
    division = BOTH


class TestFoldsOfAFunction(FunctionContract):
    division = BOTH


class TestFusedOnSplitsOfTheirOwn(FusedContract):
    division = APART


class TestAFunctionOnSplitsOfItsOwn(FunctionContract):
    division = APART


class TestRepeatsOfEstimators(TrainerContract):
    predicts = False

    def trainer(self) -> Trainer:
        return SklearnTrainer()

    def job(self) -> Job:
        spec = study(use="sklearn", model="sklearn.linear_model:SGDClassifier", epochs=3, repeats=REPEATS)
        return Job(spec, blobs(), rows=2)

    def params(self, number: int) -> Params:
        return {"alpha": 0.001 * (number + 1)}


def member(trainer: Trainer, at: Job, fold: Dataset, repeat: int, one: Trial) -> TrialBatch:
    """A member by itself."""
    seed = derive(one.study_seed, repeat, "repeat") if repeat else one.study_seed
    alone = Job(study(epochs=3), fold, at.rows, at.resources)
    return placed(trainer, alone, replace(one, study_seed=seed))


NUMBERS = ("train_loss", "val_loss", "train_score", "val_score", "gap", "learning_rate", "grad_norm")


@pytest.mark.parametrize("rows", [1, 2])
def test_a_reading_is_the_mean_of_separate_runs_bit_for_bit(rows: int) -> None:
    at, one = job(rows, **BOTH), trial(5)
    together = placed(TorchTrainer(), at, one)
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
    for trainer, rows in ((TorchTrainer(), 3), (FunctionTrainer(nearest), 1)):
        assert open_batch(trainer, job(rows=3, **BOTH)).capacity == rows


def test_a_failing_member_fails_the_trial_and_is_named() -> None:
    one = trial(learning_rate=0.1, breaks=2, above=0.0)  # about half of the members
    batch = placed(FunctionTrainer(nearest), job(folds=2, repeats=8), one)
    reading(batch.advance()[0])
    failure = batch.advance()[0]
    assert isinstance(failure, Failure)
    assert failure.error.startswith("fold 1 of 2, repeat ")
    assert failure.error.endswith("of 8: ValueError: no such setting")
    assert batch.advance()[0] is failure
    assert batch.snapshot(0) is None


def test_the_trial_is_over_when_a_member_has_nothing_more_to_train() -> None:
    batch = placed(FunctionTrainer(nearest), job(repeats=2), trial(learning_rate=0.1, ends=1))
    reading(batch.advance()[0])
    assert batch.advance()[0] == Exhausted()


def test_what_cannot_be_divided_is_told() -> None:
    function = FunctionTrainer(nearest)
    assert validate(function, study(epochs=2, repeats=3), None) == []
    folds = validate(function, job(folds=3).spec, None)
    assert folds == ["data.folds: there is no data to be folded; give [data] source or drop it"]
    split = validate(function, job(reshuffle=True).spec, None)
    assert split == ["data.reshuffle: there is no data to be split; give [data] source or drop it"]


@pytest.mark.parametrize("division", [{"folds": 3}, {"reshuffle": True}])
def test_data_without_open_rows_is_refused(division: dict[str, int]) -> None:
    with pytest.raises(DataError, match="there are no open rows to be divided"):
        open_batch(TorchTrainer(), job(data=blobs(), **division))  # type: ignore[arg-type]


def test_each_member_has_its_model_and_says_of_which_mean_it_is_a_part(tmp_path: Path) -> None:
    at = job(**BOTH)
    batch = placed(TorchTrainer(), at, trial())
    readings = curve(batch)
    assert batch.save(0, tmp_path)
    best = at.spec.primary_objective().best(readings)
    assert best is not None
    scores = []
    for index in range(FOLDS * REPEATS):
        folder = tmp_path / MEMBERS / str(index) if index else tmp_path
        model = load_members(folder)[0]
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
    two = placed(TorchTrainer(), job(repeats=2), trial())
    reading(two.advance()[0])
    snapshot = two.snapshot(0)
    assert snapshot is not None
    batch = open_batch(TorchTrainer(), job(repeats=3))
    batch.place(0, trial(), written_and_read(snapshot))
    failure = batch.advance()[0]
    assert isinstance(failure, Failure)
    assert "its checkpoint is of other members" in failure.error


def test_functions_that_yield_their_state_go_on_bit_for_bit() -> None:
    trainer, at = FunctionTrainer(nearest), job(folds=2, repeats=2)
    whole = placed(trainer, at, trial())
    first = reading(whole.advance()[0])
    snapshot = whole.snapshot(0)
    assert snapshot is not None
    there = open_batch(trainer, at)
    there.place(0, trial(), written_and_read(snapshot))
    assert same([reading(there.advance()[0])], [reading(whole.advance()[0])])
    assert first.epoch == 1


def test_an_epoch_costs_what_its_members_do_and_nothing_is_known_where_rows_share_a_state() -> None:
    at = job(**BOTH)
    cost = epoch_cost(TorchTrainer(), at)
    assert cost is not None
    each = [TorchTrainer().epoch_cost(Job(study(), fold, rows=2)) for fold in resampling(at).folds(FOLDS)]
    assert cost(trial()) == REPEATS * sum(one(trial()) for one in each if one is not None)
    assert epoch_cost(SklearnTrainer(), job(folds=FOLDS)) is None


def test_rows_train_side_by_side_in_threads_as_they_do_alone() -> None:
    trainer, at = TorchTrainer(), job(4, reshuffle=True, repeats=2)
    trials = [trial(n) for n in range(4)]
    wanted = [curve(placed(trainer, at, each)) for each in trials]
    batch = open_batch(trainer, at)
    curves: list[list[Reading]] = [[] for _ in trials]

    def train(row: int) -> None:
        batch.place(row, trials[row])
        curves[row] += curve(batch, row)

    threads = [threading.Thread(target=train, args=(row,)) for row in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(one, two) for one, two in zip(curves, wanted, strict=True))


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("trainer", [TorchTrainer(), FunctionTrainer(nearest)])
def test_a_trial_trains_as_on_a_dataset_that_is_its_split(rows: int, trainer: Trainer) -> None:
    at, one = job(rows, reshuffle=True), trial(7)
    split = resampling(at).draw(derive(one.study_seed, one.number, "split"))
    plain = placed(trainer, Job(study(epochs=3), split, rows), one)
    assert same(curve(placed(trainer, at, one)), curve(plain))


def test_trials_have_different_splits_and_repeats_of_one_have_too() -> None:
    at = job(reshuffle=True, repeats=2)
    found = [at.data_for(member) for number in range(3) for member in at.members(trial(number))]
    rows = {data.validation.x.tobytes() for data in found if data is not None}
    assert len(rows) == len(found) == 6


def test_trials_of_one_repeat_share_a_split_and_those_of_the_next_have_another() -> None:
    drawn: list[int] = []

    def noted(data: Dataset) -> Dataset:
        drawn.append(len(data.train))
        return data

    at = replace(job(rows=4, data=otherwise(divisible(), noted)), shared_split=2)
    batch = placed(TorchTrainer(), at, *map(trial, range(4)))
    found = batch.advance()
    assert len(drawn) == 2
    for row, number in ((0, 0), (3, 3)):
        split = resampling(at).draw(derive(at.spec.search.seed, number // 2, "split"))
        alone = placed(TorchTrainer(), Job(study(epochs=3), split, 2), trial(number))
        assert same([reading(found[row])], [reading(alone.advance()[0])])


def test_a_row_on_a_shared_split_goes_on_after_others_took_its_place() -> None:
    at = replace(job(), shared_split=2)
    batch = placed(TorchTrainer(), at, trial(0))
    batch.advance()
    snapshot = batch.snapshot(0)
    whole = reading(batch.advance()[0])
    batch.clear(0)
    batch.place(0, trial(5))
    batch.advance()
    batch.clear(0)
    batch.place(1, trial(0), snapshot)
    assert same([reading(batch.advance()[1])], [whole])


def test_a_shared_split_of_data_that_cannot_be_divided_is_the_studys_own() -> None:
    at = replace(job(data=blobs()), shared_split=2)
    assert at.data_for(trial(3)) is at.data


def test_the_same_split_is_the_same_object_and_a_sent_job_draws_it_again() -> None:
    at = job(reshuffle=True)
    data = at.data_for(trial(1))
    assert data is not None
    assert at.data_for(trial(1)) is data
    for number in range(2, 40):
        at.data_for(trial(number))
    sent = pickle.loads(pickle.dumps(at))
    for again in (at, sent):
        found = again.data_for(trial(1))
        assert found is not None
        assert found is not data
        assert np.array_equal(found.train.x, data.train.x)


def test_members_are_folds_by_repeats() -> None:
    found = job(**BOTH).members(trial(4))
    assert [(one.number, one.fold) for one in found] == [(4, 0), (4, 0), (4, 1), (4, 1), (4, 2), (4, 2)]
    seeds = [0, derive(0, 1, "repeat")]
    assert [one.study_seed for one in found] == seeds * FOLDS
    assert job().members(trial(4)) == (Member(4, trial(4).params, 0),)


def test_a_split_that_cannot_be_trained_on_is_a_failure() -> None:
    def refuse(data: Dataset) -> Dataset:
        raise DataError("the training split has one class only")

    at = job(data=otherwise(divisible(), refuse), reshuffle=True)
    batch = placed(TorchTrainer(), at, trial())
    failure = batch.advance()[0]
    assert isinstance(failure, Failure)
    assert failure.error == "its split cannot be trained on: the training split has one class only"
    assert batch.snapshot(0) is None


def test_a_saved_model_predicts_the_split_it_was_judged_on(tmp_path: Path) -> None:
    at = job(reshuffle=True)
    batch = open_batch(TorchTrainer(), at)
    batch.place(1, trial(3))
    best = at.spec.primary_objective().best(curve(batch, 1))
    assert best is not None
    assert batch.save(1, tmp_path)
    judged = at.data_for(trial(3))
    assert judged is not None
    assert accuracy(load_model(tmp_path), at, judged.validation) == pytest.approx(best.val_score)


def test_what_needs_the_same_data_for_all_rows_trains_one_at_a_time() -> None:
    at = job(reshuffle=True)
    assert why_unfused(TorchTrainer(), at.spec, at.data, "cpu") is None
    assert why_unfused(SklearnTrainer(), study(use="sklearn"), at.data, "cpu") == (
        "the trainer 'sklearn' does not fuse trials"
    )
    pixels = np.random.default_rng(0).normal(size=(40, 1, 8, 8))
    images = from_arrays(pixels, np.arange(40) % 2, DataSpec(source="memory"), resampling=True)
    assert why_unfused(TorchTrainer(), study(model="cnn"), images, "cpu") is None
    spec = job(reshuffle=True, model="cnn").spec
    told = why_unfused(TorchTrainer(), spec, images, "cpu")
    assert told == "data.reshuffle gives every trial a split of its own"
    assert open_batch(SklearnTrainer(), job(rows=3, reshuffle=True)).capacity == 1
