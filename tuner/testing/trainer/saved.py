"""What every trainer must do with the state of a trial that is to go on elsewhere, and with its model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tuner.core.dataset import Task
from tuner.core.training import Snapshot
from tuner.core.trial import Trial
from tuner.testing.trainer.comparing import (
    as_reading,
    content,
    files_of,
    same,
    untimed_files,
    written_and_read,
)
from tuner.testing.trainer.suite import TrainerSuite
from tuner.trainers import load_model


class SnapshotContract(TrainerSuite):
    """A trial goes on from its snapshot bit for bit."""

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
                curve.append(as_reading(there.advance()[last]))
            assert same(curve, wanted), epochs
            folders = [tmp_path / f"{epochs}-{name}" for name in ("whole", "parts")]
            for folder, batch, row in zip(folders, (whole, there), (0, last), strict=True):
                folder.mkdir()
                batch.save(row, folder)
            assert untimed_files(folders[0]) == untimed_files(folders[1])
            if self.predicts and job.data is not None and files_of(folders[0]):
                one, two = (load_model(folder).predict(job.data.validation.x) for folder in folders)
                assert np.array_equal(one, two)

    def test_snapshot_that_was_placed_is_handed_out_again(self) -> None:
        trial = self.trial(3)
        snapshot = self.kept(trial, 1)
        batch = self.batch()
        batch.place(batch.capacity - 1, trial, snapshot)
        again = batch.snapshot(batch.capacity - 1)
        assert again is not None
        assert content(again) == content(snapshot)

    def test_snapshot_stays_as_it_is_while_training_goes_on(self) -> None:
        batch = self.batch()
        batch.place(0, self.trial(0))
        batch.advance()
        snapshot = batch.snapshot(0)
        if snapshot is None:
            pytest.skip("this trainer keeps no state")
        before = content(snapshot)
        batch.advance()
        batch.clear(0)
        assert content(snapshot) == before

    def test_an_empty_row_has_no_snapshot(self) -> None:
        assert self.batch().snapshot(0) is None

    def kept(self, trial: Trial, epochs: int) -> Snapshot:
        """The trial's state after some epochs, written and read again."""
        batch = self.batch()
        batch.place(0, trial)
        for _ in range(epochs):
            as_reading(batch.advance()[0])
        snapshot = batch.snapshot(0)
        if snapshot is None:
            pytest.skip("this trainer keeps no state")
        assert snapshot.epoch == epochs
        return written_and_read(snapshot)


class SavedModelContract(TrainerSuite):
    """A saved model is that of the best epoch, and predicts from what lies in its folder."""

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
        best = job.spec.primary_objective().best(curve)
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
        assert files_of(first) == files_of(second)
