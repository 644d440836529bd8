"""What every trainer must do with models that it saves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tuner.core.dataset import Task
from tuner.testing.trainer.comparing import files_of
from tuner.testing.trainer.suite import TrainerSuite
from tuner.trainers import load_model


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
