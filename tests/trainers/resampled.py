"""What tests of folds, repeats and splits share: data that can be divided, and jobs and trials on it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tests.loaded import from_arrays
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Dataset, Resampling, Split
from tuner.core.job import Job, Resources
from tuner.core.spec import StudySpec
from tuner.core.training import Outcome, Trainer, TrialBatch
from tuner.core.trial import Params, Reading, Trial
from tuner.testing.trainer import TrainerContract, blobs, study
from tuner.trainers import Model, open_batch
from tuner.trainers.context import TrialContext
from tuner.trainers.function import FunctionTrainer
from tuner.trainers.torch import TorchTrainer


def divisible(rows: int = 90) -> Dataset:
    """Three noisy classes; other splits can be drawn of them."""
    made = blobs(rows)
    x = np.concatenate([made.train.x, made.validation.x])
    y = np.concatenate([made.train.y, made.validation.y])
    return from_arrays(x, y, DataSpec(source="memory", test=0.0), resampling=True)


@dataclasses.dataclass(frozen=True)
class Otherwise:
    """Another resampling, whose splits are changed."""

    resampling: Resampling
    change: Callable[[Dataset], Dataset]

    def draw(self, seed: int) -> Dataset:
        return self.change(self.resampling.draw(seed))

    def folds(self, count: int) -> tuple[Dataset, ...]:
        return tuple(map(self.change, self.resampling.folds(count)))


def nearest(params: Any, context: TrialContext) -> Iterator[dict[str, Any]]:
    """The distance to the middle and the seed's noise; cheap, and different for every seed and split."""
    data = context.data
    assert data is not None
    noise = np.random.default_rng(context.seed).normal(size=data.input_shape)
    epoch = int((context.resume() or {"epoch": 0})["epoch"])
    while epoch < params.get("ends", 99):
        epoch += 1
        if epoch == params.get("breaks") and noise.sum() > params.get("above", -np.inf):
            raise ValueError("no such setting")
        middle = data.train.x.mean(0) + noise * params["learning_rate"] / epoch
        far = [((split.x - middle) ** 2).mean() for split in (data.train, data.validation)]
        context.keep({"noise": noise})
        yield {
            "train_loss": float(far[0]),
            "val_loss": float(far[1]),
            "epochs": epoch,
            "state": {"epoch": epoch},
        }


class FusedContract(TrainerContract):
    """The contract, for the shipped network on data that can be divided."""

    predicts = False  # what is saved is judged on rows of its own
    division: Mapping[str, Any] = {}

    def trainer(self) -> Trainer:
        return TorchTrainer()

    def job(self) -> Job:
        return job(**self.division)

    def params(self, number: int) -> Params:
        return {"learning_rate": 0.003 * (number + 1), "batch_size": 16, "dropout": 0.1, "width": 8}

    def diverging_params(self) -> Params:
        return {"optimizer": "sgd", "learning_rate": 1e30}

    def broken_params(self) -> Params:
        return {"activation": "no such activation"}

    def judged_otherwise(self, data: Dataset) -> Dataset:
        return otherwise(data, super().judged_otherwise)


class FunctionContract(FusedContract):
    """The same for `nearest`."""

    def trainer(self) -> Trainer:
        return FunctionTrainer(nearest)

    def params(self, number: int) -> Params:
        return {"learning_rate": 0.1 * (number + 1)}

    def diverging_params(self) -> Params:
        return {"learning_rate": math.inf}

    def broken_params(self) -> Params:
        return {"learning_rate": 0.1, "breaks": 1}


def trial(number: int = 0, seed: int = 0, **params: float) -> Trial:
    return Trial(number, params or {"learning_rate": 0.01, "width": 8}, seed)


def job(
    rows: int = 2,
    threads: int = 1,
    data: Dataset | None = None,
    *,
    folds: int | None = None,
    reshuffle: bool = False,
    **trainer: Any,
) -> Job:
    spec = study(epochs=3, **trainer)
    table = {**spec.to_table(), "data": {"source": "memory", "folds": folds, "reshuffle": reshuffle}}
    return Job(StudySpec.parse(table), data or divisible(), rows, Resources(threads=threads))


def resampling(at: Job) -> Resampling:
    """What splits of a job's data are drawn from."""
    assert at.data is not None
    assert at.data.resampling is not None
    return at.data.resampling


def otherwise(data: Dataset, change: Callable[[Dataset], Dataset]) -> Dataset:
    """Data, of which every other split is changed."""
    assert data.resampling is not None
    return dataclasses.replace(data, resampling=Otherwise(data.resampling, change))


def placed(trainer: Trainer, at: Job, *trials: Trial) -> TrialBatch:
    batch = open_batch(trainer, at)
    for row, each in enumerate(trials):
        batch.place(row, each)
    return batch


def reading(outcome: Outcome) -> Reading:
    assert isinstance(outcome, Reading), outcome
    return outcome


def accuracy(model: Model, at: Job, split: Split) -> float:
    """The share of a split's rows that a saved model gets right."""
    assert at.data is not None
    return float(np.mean(model.predict(split.x) == np.asarray(at.data.classes)[split.y]))


def curve(batch: TrialBatch, row: int = 0) -> list[Reading]:
    """Three epochs of a row."""
    return [reading(batch.advance([row])[row]) for _ in range(3)]
