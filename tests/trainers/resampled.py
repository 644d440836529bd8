"""What tests of averaged and redrawn training share: data that can be divided, and a trainer that counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.contracts.trainer import blobs
from tuner.core.dataset import Dataset, Resampling
from tuner.core.spec import DataSpec
from tuner.data import from_arrays
from tuner.trainers.function import Context


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


def nearest(params: Any, context: Context) -> Iterator[dict[str, Any]]:
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
