from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainers.torch.plain import images
from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.training import Trainer
from tuner.core.trial import Params, Reading
from tuner.testing.trainer import TrainerContract, blobs, line, study
from tuner.trainers import load_model, resolve
from tuner.trainers.torch import TorchTrainer
from tuner.trainers.torch.fused import FusedBatch, FusedTrial

NETWORK = """
import random
from torch import nn

class Net(nn.Module):
    def __init__(self, inputs, hidden, outputs, broken):
        super().__init__()
        self.hidden, self.out = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)
        self.drop, self.broken = nn.Dropout(0.2), broken

    def forward(self, x):
        if self.broken:
            raise ValueError("no such\\nsetting")
        return self.out(self.drop(self.hidden(x).relu()))

def build(params, context):
    hidden = 8 + random.randint(0, 8)
    return Net(context.input_shape[0], 16, context.outputs, params.get("broken", False))
"""


class OneByOne(TorchTrainer):
    """The reference alone, however many rows are asked for."""

    def why_unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
        return "as this test wants it"


class TestMlpOnTables(TrainerContract):
    def trainer(self) -> Trainer:
        return resolve("torch")

    def job(self) -> Job:
        return Job(study(use="torch", epochs=3), blobs(), rows=2)

    def params(self, number: int) -> Params:
        return {"learning_rate": 0.003 * (number + 1), "batch_size": 16, "dropout": 0.1, "input_noise": 0.1}

    def diverging_params(self) -> Params:
        return {"optimizer": "sgd", "learning_rate": 1e30}

    def broken_params(self) -> Params:
        return {"activation": "no such activation"}


class TestNormalizedMlp(TestMlpOnTables):
    """Compiled rows with and without batch normalization."""

    def params(self, number: int) -> Params:
        return {**super().params(number), "batch_norm": number != 1, "ema": 0.5 * (number % 2)}

    def test_these_rows_are_compiled(self) -> None:
        batch = self.batch()
        assert isinstance(batch, FusedBatch)
        batch.place(0, self.trial(0, self.params(0)))
        assert isinstance(batch._rows[0], FusedTrial)

    def test_kept_model_is_the_one_that_was_judged(self, tmp_path: Path) -> None:
        batch, trial, data = self.batch(), self.trial(0, {**self.params(0), "batch_norm": True}), blobs()
        batch.place(0, trial)
        readings = [batch.advance()[0] for _ in range(3)]
        assert batch.save(0, tmp_path)
        truth = np.asarray(data.classes)[data.validation.y]
        best = min(reading.val_loss for reading in readings if isinstance(reading, Reading))
        for model in (load_model(tmp_path), load_model(tmp_path)):
            assert model.losses(data.validation.x, truth).mean() == pytest.approx(best, rel=1e-5)
            outputs = model.module(torch.tensor(data.validation.x))  # PyTorch's own from here on
        assert outputs.shape == (len(truth), 3)
        steps = model.module.network[1].num_batches_tracked
        epoch = next(r.epoch for r in readings if isinstance(r, Reading) and r.val_loss == best)
        assert steps == epoch * -(-len(data.train) // 16)


class TestMlpOnRegression(TestMlpOnTables):
    def job(self) -> Job:
        return Job(study(metric="val_score", epochs=3), line(), rows=3)


class TestNetworkOfOnesOwn(TrainerContract):
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = tmp_path.parent / f"{tmp_path.name}-study"
        folder.mkdir()
        (folder / "net.py").write_text(NETWORK)
        monkeypatch.chdir(folder)

    def trainer(self) -> Trainer:
        return TorchTrainer()

    def job(self) -> Job:
        return Job(study(model="./net.py:build", epochs=3), blobs(), rows=2)

    def params(self, number: int) -> Params:
        return {"learning_rate": 0.003 * (number + 1)}

    def broken_params(self) -> Params:
        return {"broken": True}


class TestReferenceMlpOnTables(TestMlpOnTables):
    def trainer(self) -> Trainer:
        return OneByOne()


class TestReferenceCnnOnImages(TestReferenceMlpOnTables):
    def job(self) -> Job:
        return Job(study(metric="val_score", epochs=3), images(), rows=2)

    def params(self, number: int) -> Params:
        return {
            "learning_rate": 0.003 * (number + 1),
            "width": 4,
            "mixup": 0.2,
            "image_shift": 1,
            "image_flip": True,
        }
