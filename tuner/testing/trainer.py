"""What every trainer must do; a suite that third parties can run on their own.

Derive a test class, say which trainer it is and what it is given, and pytest runs the rest::

    class TestMyTrainer(TrainerContract):
        def trainer(self) -> Trainer:
            return MyTrainer()

        def job(self) -> Job:
            return Job(study(use="my_package:MyTrainer", epochs=3), blobs(), rows=2)

        def params(self, number: int) -> Params:
            return {"learning_rate": 0.01 * (number + 1)}
"""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

from tuner.core.dataset import Dataset, Split, Task
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, Failure, Outcome, Snapshot, Trainer, TrialBatch
from tuner.core.trial import Params, Reading, Trial
from tuner.trainers import load_model, open_batch


def study(metric: str = "val_loss", **trainer: Any) -> StudySpec:
    """A study with this `[trainer]` section and one parameter of no meaning."""
    return StudySpec.parse(
        {
            "objective": {"metric": metric},
            "trainer": {"epochs": 3, **trainer},
            "space": {"learning_rate": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.1}},
        }
    )


def blobs(rows: int = 90, seed: int = 0) -> Dataset:
    """Three noisy classes in five dimensions, on scales that differ."""
    generator = np.random.default_rng(seed)
    y = np.arange(rows + rows // 3) % 3
    centers = generator.normal(size=(3, 5)) * 1.5
    x = (centers[y] + generator.normal(size=(len(y), 5))) * (1.0, 10.0, 0.1, 1.0, 3.0)
    return _dataset(x, y, rows, Task.CLASSIFICATION, classes=("ant", "bee", "cat"))


def line(rows: int = 90, seed: int = 0) -> Dataset:
    """A noisy linear target, standardized; a unit of it was 20, and 100 was its mean."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows + rows // 3, 4))
    y = x @ (0.8, -0.5, 0.3, 0.0) + 0.1 * generator.normal(size=len(x))
    return _dataset(x, y.astype(np.float32), rows, Task.REGRESSION, target_shift=100.0, target_scale=20.0)


def _dataset(x: Any, y: Any, rows: int, task: Task, **more: Any) -> Dataset:
    x = x.astype(np.float32)
    features = tuple(f"x{i}" for i in range(x.shape[1]))
    return Dataset(Split(x[:rows], y[:rows]), Split(x[rows:], y[rows:]), task, features=features, **more)


class TrainerContract:
    """Derive from it; what `trainer`, `job` and `params` return is put to the test.

    Attributes:
        predicts: whether a saved model can predict by itself, from what lies in its folder.
    """

    predicts = True

    def trainer(self) -> Trainer:
        """A new trainer."""
        raise NotImplementedError

    def job(self) -> Job:
        """A job with at least two epochs; `rows` may be any number."""
        raise NotImplementedError

    def params(self, number: int) -> Params:
        """Configurations that train well; those of two numbers differ."""
        raise NotImplementedError

    def broken_params(self) -> Params | None:
        """A configuration whose trial raises; None where there is none."""
        return None

    def diverging_params(self) -> Params | None:
        """A configuration whose losses become `nan` or `inf`; None where there is none."""
        return None

    def judged_otherwise(self, data: Dataset) -> Dataset:
        """The same data with another validation split."""
        validation = Split(data.validation.x * 2 + 1, np.roll(data.validation.y, 1))
        return dataclasses.replace(data, validation=validation)

    def batch(self, job: Job | None = None) -> TrialBatch:
        """A fresh, empty batch."""
        return open_batch(self.trainer(), job or self.job())

    def trial(self, number: int, params: Params | None = None) -> Trial:
        """A trial under its number."""
        params = self.params(number) if params is None else params
        return Trial(number, params, self.job().spec.search.seed)

    def curve(self, batch: TrialBatch, trial: Trial, row: int = 0) -> list[Reading]:
        """Train one trial to its end, whatever its neighbours do, and clear its row."""
        batch.place(row, trial)
        curve = self.train(batch, row)
        batch.clear(row)
        return curve

    def train(self, batch: TrialBatch, row: int = 0) -> list[Reading]:
        """Train the trial of a row to its end, and leave it there."""
        curve: list[Reading] = []
        while len(curve) < self.job().spec.trainer.epochs:
            outcome = batch.advance()[row]
            if isinstance(outcome, Exhausted):
                break
            curve.append(_reading(outcome))
        assert curve, "a trial needs at least one reading"
        return curve

    def test_valid_job_has_no_faults(self) -> None:
        job = self.job()
        assert list(self.trainer().validate(job.spec, job.data)) == []

    def test_batch_starts_empty(self) -> None:
        batch = self.batch()
        assert batch.capacity >= 1
        assert dict(batch.advance()) == {}

    def test_every_occupied_row_answers_and_no_other(self) -> None:
        batch = self.batch()
        rows = range(batch.capacity)
        for row in rows:
            batch.place(row, self.trial(row))
        assert sorted(batch.advance()) == list(rows)
        batch.clear(0)
        assert sorted(batch.advance()) == list(rows)[1:]

    def test_epochs_are_counted_from_one_and_losses_are_finite(self) -> None:
        curve = self.curve(self.batch(), self.trial(0))
        assert [reading.epoch for reading in curve] == list(range(1, len(curve) + 1))
        assert all(math.isfinite(r.train_loss) and math.isfinite(r.val_loss) for r in curve)
        assert all(reading.seconds >= 0 for reading in curve)

    def test_objective_is_measured(self) -> None:
        goal = self.job().spec.goal()
        assert goal.best(self.curve(self.batch(), self.trial(0))) is not None

    def test_same_trial_gives_the_same_readings_in_a_fresh_population(self) -> None:
        trial = self.trial(3)
        assert same(self.curve(self.batch(), trial), self.curve(self.batch(), trial))

    def test_configuration_matters(self) -> None:
        batch = self.batch()
        assert not same(self.curve(batch, self.trial(0)), self.curve(batch, self.trial(1)))

    def test_readings_do_not_depend_on_trials_before_or_on_the_row(self) -> None:
        trial = self.trial(3)
        alone = self.curve(self.batch(), trial)
        batch = self.batch()
        last = batch.capacity - 1
        batch.place(last, self.trial(1))
        batch.advance()
        batch.clear(last)
        assert same(self.curve(batch, trial, last), alone)

    def test_readings_do_not_depend_on_neighbours(self) -> None:
        trial = self.trial(3)
        alone = self.curve(self.batch(), trial)
        batch = self.batch(dataclasses.replace(self.job(), rows=3))
        last = batch.capacity - 1
        for row in range(last):
            batch.place(row, self.trial(row))
        assert same(self.curve(batch, trial, last), alone)

    def test_readings_do_not_depend_on_the_global_random_generators(self) -> None:
        trial = self.trial(3)
        quiet = self.curve(self.batch(), trial)
        batch = self.batch()
        _disturb(1)
        batch.place(0, trial)
        _disturb(2)
        curve = []
        for seed, _ in enumerate(quiet):
            curve.append(_reading(batch.advance()[0]))
            _disturb(seed)
        assert same(curve, quiet)

    def test_cleared_row_starts_its_next_trial_at_epoch_one(self) -> None:
        batch = self.batch()
        batch.place(0, self.trial(0))
        batch.advance()
        batch.clear(0)
        batch.place(0, self.trial(1))
        assert _reading(batch.advance()[0]).epoch == 1

    def test_trial_that_raises_is_a_value_and_the_batch_goes_on(self) -> None:
        broken = self.broken_params()
        if broken is None:
            pytest.skip("no configuration raises")
        batch = self.batch(dataclasses.replace(self.job(), rows=2))
        last = batch.capacity - 1
        if last:
            batch.place(0, self.trial(0))
        batch.place(last, self.trial(1, broken))
        outcome: Outcome = Exhausted()
        for _ in range(self.job().spec.trainer.epochs):
            outcomes = batch.advance()
            outcome = outcomes[last]
            if isinstance(outcome, Failure):
                break
            if last:
                assert isinstance(outcomes[0], Reading)
        assert isinstance(outcome, Failure)
        assert outcome.error.strip()
        assert "\n" not in outcome.error
        assert outcome.traceback.strip()
        assert batch.snapshot(last) is None
        batch.clear(last)
        assert same(self.curve(batch, self.trial(2), last), self.curve(self.batch(), self.trial(2)))

    def test_divergence_is_a_value(self) -> None:
        diverging = self.diverging_params()
        if diverging is None:
            pytest.skip("no configuration diverges")
        curve = self.curve(self.batch(), self.trial(0, diverging))
        assert not all(math.isfinite(r.train_loss) and math.isfinite(r.val_loss) for r in curve)

    def test_there_is_no_model_before_the_first_epoch(self, tmp_path: Path) -> None:
        batch = self.batch()
        batch.place(0, self.trial(0))
        assert batch.save(0, tmp_path) is False
        assert list(tmp_path.iterdir()) == []

    def test_saved_model_is_the_best_epochs(self, tmp_path: Path) -> None:
        batch, job = self.batch(), self.job()
        batch.place(0, self.trial(0))
        curve = self.train(batch)
        if not batch.save(0, tmp_path):
            pytest.skip("this trainer keeps no model")
        model = load_model(tmp_path)
        assert model.description["trainer"]
        assert model.module is not None
        if not self.predicts or job.data is None:
            return
        predicted = np.asarray(model.predict(job.data.validation.x))
        assert len(predicted) == len(job.data.validation)
        best = job.spec.goal().best(curve)
        assert best is not None
        if job.data.task is Task.CLASSIFICATION:
            truth = np.asarray(job.data.classes)[job.data.validation.y]
            if job.spec.trainer.score in (None, "accuracy"):
                assert np.mean(predicted == truth) == pytest.approx(best.val_score)
        else:
            target = job.data.validation.y * job.data.target_scale + job.data.target_shift
            if job.spec.trainer.loss in (None, "mse"):
                error = np.mean(((predicted - target) / job.data.target_scale) ** 2)
                assert error == pytest.approx(best.val_loss, rel=1e-3)

    def test_model_can_be_saved_after_a_later_trial_was_placed_elsewhere(self, tmp_path: Path) -> None:
        batch = self.batch(dataclasses.replace(self.job(), rows=2))
        batch.place(0, self.trial(0))
        batch.advance()
        if batch.capacity > 1:
            batch.place(1, self.trial(1))
        batch.advance()
        first, second = tmp_path / "first", tmp_path / "second"
        first.mkdir()
        second.mkdir()
        assert batch.save(0, first) == batch.save(0, second)
        assert _bytes(first) == _bytes(second)

    def test_only_the_rows_that_are_named_are_trained(self) -> None:
        batch = self.batch(dataclasses.replace(self.job(), rows=3))
        last = batch.capacity - 1
        for row in range(last + 1):
            batch.place(row, self.trial(row))
        assert dict(batch.advance(rows=[])) == {}
        first = batch.advance(rows=[last])
        assert list(first) == [last]
        assert _reading(first[last]).epoch == 1
        alone = self.curve(self.batch(), self.trial(last))
        assert same([_reading(first[last])], alone[:1])
        if last:
            batch.clear(last)
            assert sorted(batch.advance(rows={0, last})) == [0]

    def test_rows_that_are_not_named_stay_as_they_are(self) -> None:
        batch = self.batch(dataclasses.replace(self.job(), rows=2))
        if batch.capacity < 2:
            pytest.skip("this batch has one row")
        for row in (0, 1):
            batch.place(row, self.trial(row))
        batch.advance(rows=[1])
        alone = self.curve(self.batch(), self.trial(0))
        assert same(self.train(batch, 0), alone)

    def test_snapshot_goes_on_bit_for_bit_in_any_row_beside_any_neighbours(self, tmp_path: Path) -> None:
        trial, job = self.trial(3), dataclasses.replace(self.job(), rows=3)
        whole = self.batch(job)
        whole.place(0, trial)
        wanted = self.train(whole)
        for epochs in range(1, len(wanted) + 1):
            there = self.batch(job)
            last = there.capacity - 1
            for row in range(last):
                there.place(row, self.trial(row))
                there.advance()
            there.place(last, trial, self.kept(trial, epochs))
            curve = wanted[:epochs]
            while len(curve) < len(wanted):
                curve.append(_reading(there.advance()[last]))
            assert same(curve, wanted), epochs
            folders = [tmp_path / f"{epochs}-{name}" for name in ("whole", "parts")]
            for folder, batch, row in zip(folders, (whole, there), (0, last), strict=True):
                folder.mkdir()
                batch.save(row, folder)
            assert _untimed(folders[0]) == _untimed(folders[1])
            if self.predicts and job.data is not None and _bytes(folders[0]):
                one, two = (load_model(folder).predict(job.data.validation.x) for folder in folders)
                assert np.array_equal(one, two)

    def test_snapshot_that_was_placed_is_handed_out_again(self) -> None:
        trial = self.trial(3)
        snapshot = self.kept(trial, 1)
        batch = self.batch()
        batch.place(batch.capacity - 1, trial, snapshot)
        again = batch.snapshot(batch.capacity - 1)
        assert again is not None
        assert _content(again) == _content(snapshot)

    def test_snapshot_stays_as_it_is_while_training_goes_on(self) -> None:
        batch = self.batch()
        batch.place(0, self.trial(0))
        batch.advance()
        snapshot = batch.snapshot(0)
        if snapshot is None:
            pytest.skip("this trainer keeps no state")
        before = _content(snapshot)
        batch.advance()
        batch.clear(0)
        assert _content(snapshot) == before

    def test_an_empty_row_has_no_snapshot(self) -> None:
        assert self.batch().snapshot(0) is None

    def kept(self, trial: Trial, epochs: int) -> Snapshot:
        """The trial's state after some epochs, written and read again."""
        batch = self.batch()
        batch.place(0, trial)
        for _ in range(epochs):
            _reading(batch.advance()[0])
        snapshot = batch.snapshot(0)
        if snapshot is None:
            pytest.skip("this trainer keeps no state")
        assert snapshot.epoch == epochs
        return written_and_read(snapshot)

    def test_data_is_left_as_it_was(self) -> None:
        job = self.job()
        if job.data is None:
            pytest.skip("this job has no data")
        arrays = [part for split in (job.data.train, job.data.validation) for part in (split.x, split.y)]
        before = [array.tobytes() for array in arrays]
        self.curve(self.batch(job), self.trial(0))
        assert [array.tobytes() for array in arrays] == before

    def test_validation_split_is_only_measured(self) -> None:
        job = self.job()
        if job.data is None:
            pytest.skip("this job has no data")
        other = dataclasses.replace(job, data=self.judged_otherwise(job.data))
        trial = self.trial(0)
        one, two = self.curve(self.batch(job), trial), self.curve(self.batch(other), trial)
        assert [r.train_loss for r in one] == [r.train_loss for r in two]
        assert [r.val_loss for r in one] != [r.val_loss for r in two]

    def test_nothing_but_the_given_data_is_read(self) -> None:
        job = self.job()
        if job.data is None:
            pytest.skip("this job has no data")
        table = job.spec.to_table()
        gone = {**table.get("data", {}), "source": "gone.csv", "target": "y"}
        nowhere = StudySpec.parse({**table, "data": gone})
        trial = self.trial(0)
        there = self.curve(self.batch(dataclasses.replace(job, spec=nowhere)), trial)
        assert same(there, self.curve(self.batch(job), trial))


def same(one: Sequence[Reading], two: Sequence[Reading]) -> bool:
    """Whether two curves agree bit by bit, their seconds apart."""
    return [_numbers(r) for r in one] == [_numbers(r) for r in two]


def written_and_read(snapshot: Snapshot) -> Snapshot:
    """The snapshot as it comes back from a file of safetensors and one of JSON."""
    arrays = safetensors.numpy.load(safetensors.numpy.save(dict(snapshot.arrays)))
    return Snapshot(snapshot.epoch, arrays, json.loads(json.dumps(dict(snapshot.facts))))


def _content(snapshot: Snapshot) -> tuple[Any, ...]:
    # The text of an estimator has names of its own in it.
    named = [(n, a) for n, a in sorted(snapshot.arrays.items()) if not n.endswith("estimators")]
    arrays = {n: (a.dtype, a.shape, a.tobytes()) for n, a in named}
    return snapshot.epoch, arrays, json.dumps(dict(snapshot.facts))


def _numbers(reading: Reading) -> tuple[str, ...]:
    # As text, so that `nan` equals `nan`; repr of a float is exact.
    values = dataclasses.replace(reading, seconds=0.0)
    return tuple(f"{field.name}={getattr(values, field.name)!r}" for field in dataclasses.fields(values))


def _reading(outcome: Outcome) -> Reading:
    assert isinstance(outcome, Reading), getattr(outcome, "traceback", outcome)
    return outcome


def _disturb(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _untimed(folder: Path) -> dict[str, bytes]:
    """What `_bytes` finds, without the best epoch's seconds."""
    found = _bytes(folder)
    for name in found:
        if name.endswith("model.json"):
            table = json.loads(found[name])
            table["best"].pop("seconds", None)
            found[name] = json.dumps(table).encode()
    return found


def _bytes(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".skops")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
