from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainers.torch.plain import images
from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.training import Trainer
from tuner.core.trial import Params
from tuner.testing.trainer import TrainerContract, blobs, line, study
from tuner.trainers import resolve
from tuner.trainers.torch import TorchTrainer

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
