"""Small studies and data to test trainers with."""

from __future__ import annotations

from typing import Any

import numpy as np

from tuner.core.dataset import Dataset, Split, Task
from tuner.core.spec import StudySpec


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
