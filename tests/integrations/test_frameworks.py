"""The training functions of the examples pass the suite of trainers: paused and resumed bit for bit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuner import registry
from tuner.core.dataset import Dataset, Split, Task
from tuner.core.job import Job
from tuner.core.training import Trainer
from tuner.core.trial import Params
from tuner.testing.trainer import TrainerContract, study
from tuner.trainers.function import FunctionTrainer

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
os.environ.setdefault("KERAS_BACKEND", "torch")

# Libraries warn of what they will change; none of it is ours.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def rows(inputs: int, classes: int) -> Dataset:
    """A few rows that can be learned."""
    generator = np.random.default_rng(0)
    y = np.arange(60) % classes
    x = (generator.normal(size=(classes, inputs))[y] + generator.normal(size=(60, inputs))).astype(np.float32)
    names = tuple(str(label) for label in range(classes))
    return Dataset(Split(x[:40], y[:40]), Split(x[40:], y[40:]), Task.CLASSIFICATION, classes=names)


class FrameworkContract(TrainerContract):
    """The suite over an example's function; a subclass names it."""

    predicts = False
    package: str
    example: str
    function = "train"
    shape: tuple[int, int] | None = (64, 10)
    sizes: tuple[dict[str, Any], ...] = ({"hidden": 4, "rate": 0.01}, {"hidden": 6, "rate": 0.02})

    @pytest.fixture(autouse=True)
    def _package(self) -> None:
        pytest.importorskip(self.package, reason=f"{self.package} is not installed: it is not tested")

    def trainer(self) -> Trainer:
        return FunctionTrainer(registry.load(f"{EXAMPLES / self.example}:{self.function}"))

    def job(self) -> Job:
        data = None if self.shape is None else rows(*self.shape)
        return Job(study(epochs=3), data, rows=2)

    def params(self, number: int) -> Params:
        return self.sizes[number % len(self.sizes)]


class TestLightning(FrameworkContract):
    package, example = "lightning", "with_lightning.py"


class TestLightningBySteps(FrameworkContract):
    """A validation after every second batch, of three in an epoch, is a reading."""

    package, example = "lightning", "with_lightning.py"

    @pytest.fixture(autouse=True)
    def _by_steps(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        text = (EXAMPLES / "with_lightning.py").read_text()
        steps = "max_steps=2 * context.epochs, val_check_interval=2, check_val_every_n_epoch=None"
        # Of a part of an epoch Lightning has no mean of the training loss, but that of the last batch.
        logged = 'on_step=split == "train", on_epoch=split == "val"'
        text = text.replace("on_step=False, on_epoch=True", logged)
        text = text.replace("max_epochs=context.epochs", steps).replace("batch_size=128", "batch_size=16")
        self.example = str(tmp_path_factory.mktemp("example") / "by_steps.py")
        Path(self.example).write_text(text)


class TestKeras(FrameworkContract):
    package, example, function = "keras", "with_keras.py", "fit"
    shape = (784, 10)
    sizes: tuple[dict[str, Any], ...] = (
        {"units": 4, "layers": 1, "rate": 0.01},
        {"units": 6, "layers": 2, "rate": 0.02},
    )


class TestKerasBuild(TestKeras):
    """Of a network alone, which has said what its batches are."""

    sizes = tuple({**size, "batch_size": 16} for size in TestKeras.sizes)

    def trainer(self) -> Trainer:
        from tuner.integrations.keras_build import KerasBuild

        return FunctionTrainer(KerasBuild(registry.load(f"{EXAMPLES / self.example}:build")))


class TestSkorch(FrameworkContract):
    package, example = "skorch", "with_skorch.py"


class TestTransformers(FrameworkContract):
    package, example, shape = "transformers", "with_transformers.py", None
    sizes = ({"learning_rate": 1e-3, "width": 4}, {"learning_rate": 2e-3, "width": 8})


class TestTransformersBySteps(TestTransformers):
    """An evaluation after every third step, of four in an epoch, is a reading."""

    @pytest.fixture(autouse=True)
    def _by_steps(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        text = (EXAMPLES / "with_transformers.py").read_text()
        steps = 'eval_strategy="steps", eval_steps=3, logging_steps=3'
        text = text.replace('eval_strategy="epoch", logging_strategy="epoch"', steps)
        self.example = str(tmp_path_factory.mktemp("example") / "by_steps.py")
        Path(self.example).write_text(text)


class TestXGBoost(FrameworkContract):
    package, example, shape = "xgboost", "with_xgboost.py", (5, 2)
    sizes = ({"eta": 0.3, "max_depth": 2}, {"eta": 0.1, "max_depth": 3})


class TestLightGBM(FrameworkContract):
    package, example, shape = "lightgbm", "with_lightgbm.py", (5, 2)
    sizes = ({"learning_rate": 0.3, "min_data_in_leaf": 2}, {"learning_rate": 0.1, "min_data_in_leaf": 2})


class TestCatBoost(FrameworkContract):
    package, example, shape = "catboost", "with_catboost.py", (5, 2)
    sizes = ({"learning_rate": 0.3, "depth": 2}, {"learning_rate": 0.1, "depth": 3})


class TestFabric(FrameworkContract):
    package, example, function = "lightning_fabric", "with_fabric.py", "with_fabric"


class TestAccelerate(FrameworkContract):
    package, example, function = "accelerate", "with_fabric.py", "with_accelerate"
