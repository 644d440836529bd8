"""What throughput and quality train: data sets of a fixed seed, and the study that both sides run.

How a study is run or timed is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from tuner import content
from tuner.starter.toml import study_toml

EPOCHS = 27
BATCHES = (16, 32, 64, 128)
NOT_SHARED = ("l1", "input_noise")
"""What torch.optim and torch.nn have no word for; left out of both sides' space."""


@dataclass(frozen=True)
class Arrays:
    """A training and a validation split, inputs scaled to 0..1."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    x_validation: NDArray[np.float32]
    y_validation: NDArray[np.int64]

    @classmethod
    def of(cls, x: NDArray[Any], y: NDArray[Any]) -> Arrays:
        """Four fifths and a fifth, stratified."""
        parts = train_test_split(x.astype("float32"), y, test_size=0.2, random_state=0, stratify=y)
        x, x_validation, y, y_validation = parts
        return cls(x, y.astype("int64"), x_validation, y_validation.astype("int64"))

    def write(self, path: Path) -> None:
        """As an NPZ file, whose names both sides read."""
        arrays = {"X": self.x, "y": self.y, "X_validation": self.x_validation}
        np.savez(path, **arrays, y_validation=self.y_validation)  # type: ignore[arg-type]


def digits() -> Arrays:
    """1,437 and 360 images of 8 x 8 pixels."""
    bunch = load_digits()
    return Arrays.of(bunch.data / 16, bunch.target)


def synthetic(rows: int = 5000, features: int = 784, classes: int = 10) -> Arrays:
    """Points of the size of MNIST's: each class has several smooth prototypes, mixed and made noisy."""
    chance = np.random.default_rng(0)
    side = round(features**0.5)
    styles = 4
    grid = np.linspace(0, 1, side)
    waves = chance.normal(size=(classes, styles, 6, 5))
    prototypes = np.zeros((classes, styles, side, side))
    for wave in range(waves.shape[2]):
        height, fx, fy, px, py = np.moveaxis(waves[:, :, wave], -1, 0)[..., None, None]
        prototypes += height * np.sin(6 * fx * grid[:, None] + 6 * px) * np.sin(6 * fy * grid + 6 * py)
    prototypes /= prototypes.std(axis=(2, 3), keepdims=True)
    y = chance.integers(classes, size=rows)
    shares = chance.dirichlet([0.6] * styles, size=rows)
    x = np.einsum("ns,nsd->nd", shares, prototypes.reshape(classes, styles, -1)[y])
    x += chance.normal(scale=NOISE, size=x.shape)
    low, high = x.min(), x.max()
    return Arrays.of((x - low) / (high - low), y)


NOISE = 1.0

DATA: Mapping[str, Callable[[], Arrays]] = {"digits": digits, "mnist-sized": synthetic}


def study(
    name: str,
    data: Path,
    widths: Sequence[int],
    *,
    trials: int,
    seed: int,
    epochs: int = EPOCHS,
    pruner: str = "asha-stop",
) -> dict[str, Any]:
    """The study's table: the shipped spaces, as far as the script of `peers` can say them.

    The script has no word for what follows the search, so nothing does here; and its
    SuccessiveHalvingPruner is our asha-stop.

    Weight decay is what torch.optim's own argument does: decoupled in adamw, l2 elsewhere.
    """
    names = ("optimization", "batch", "regularization", "initialization")
    space: dict[str, Any] = {}
    for each in names:
        space |= content.read(content.find("space", each))
    space = {key: table for key, table in space.items() if key not in NOT_SHARED}
    rules = space["optimizer"]["choices"]
    space["l2"] = {**space["l2"], "when": {"optimizer": [rule for rule in rules if rule != "adamw"]}}
    space["batch_size"] = {**space["batch_size"], "choices": list(BATCHES)}
    space["width"] = {"type": "choice", "choices": list(widths), "default": widths[len(widths) // 2]}
    choices = ["tanh", "relu", "gelu", "silu"]
    space["activation"] = {"type": "choice", "choices": choices, "default": "relu"}
    return {
        "name": name,
        "data": {"source": str(data), "task": "classification", "scaling": "none", "test": 0.0},
        "trainer": {"use": "torch", "model": "mlp", "epochs": epochs},
        "objective": {"metric": "val_loss"},
        "search": {"sampler": "tpe", "pruner": pruner, "min_epochs": 1, "reduction": 3, "seed": seed},
        "budget": {"trials": trials},
        "confirm": {"auto": False},
        "space": space,
    }


def write_study(table: Mapping[str, Any], path: Path) -> None:
    """As a file for `tune start`."""
    path.write_text(study_toml(table), encoding="utf-8")
