"""The shipped losses in numpy beside those that train with PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tuner import registry
from tuner.core.dataset import Task
from tuner.trainers.plain_losses import TASKS, PlainLoss
from tuner.trainers.torch import array_losses, losses

CASES = [(name, task, units) for name, tasks in TASKS.items() for task in tasks for units in (2, 4)]


def data(task: Task, units: int) -> tuple[Any, Any]:
    draw = np.random.default_rng(units)
    y: Any = draw.normal(size=(60, units)).astype(np.float32)
    if task is Task.CLASSIFICATION:
        y = draw.integers(0, units, 60)
    elif task is Task.MULTILABEL:
        y = draw.integers(0, 2, (60, units)).astype(np.float32)
    return y, (3 * draw.normal(size=(60, units))).astype(np.float32)


@pytest.mark.parametrize(("name", "task", "units"), CASES)
def test_they_are_what_torch_computes(name: str, task: Task, units: int) -> None:
    plain, its = PlainLoss(name, units, task), losses.build(name, units, task)
    y, outputs = data(task, units)
    assert plain.outputs == its.outputs
    outputs = outputs[:, : plain.outputs]
    tensor = torch.tensor(outputs)
    targets = its.targets(torch.tensor(y))
    assert np.array_equal(plain.targets(y), targets.numpy())
    rows = its.rows(tensor.double(), targets).numpy()
    assert np.allclose(plain.rows(outputs, plain.targets(y)), rows, rtol=1e-5, atol=1e-6)
    if task.is_of_classes:
        assert np.array_equal(plain.indices(outputs), its.indices(tensor).numpy())
        shares = its.probabilities(tensor).numpy()
        assert np.allclose(plain.probabilities(outputs), shares, rtol=1e-5, atol=1e-7)
        assert np.allclose(
            plain.logits(shares), its.logits(torch.tensor(shares)).numpy(), rtol=1e-4, atol=1e-5
        )


def test_huge_outputs_stay_finite() -> None:
    outputs = np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32)
    y = np.array([0, 0])
    for name in ("cross_entropy", "binary_cross_entropy"):
        loss = PlainLoss(name, 2, Task.CLASSIFICATION)
        some = outputs[:, : loss.outputs]
        assert np.isfinite(loss.rows(some, loss.targets(y))).all()
        assert np.isfinite(loss.probabilities(some)).all()


def test_every_shipped_loss_is_there_with_its_tasks() -> None:
    points = registry.registered(losses.GROUP)
    assert {name: point.load().tasks for name, point in points.items()} == dict(TASKS)


def test_a_loss_of_ones_own_takes_arrays() -> None:
    loss = array_losses.build("torch.nn.functional:cross_entropy", 4, Task.CLASSIFICATION)
    y, outputs = data(Task.CLASSIFICATION, 4)
    plain = PlainLoss("cross_entropy", 4, Task.CLASSIFICATION)
    assert np.allclose(loss.rows(outputs, loss.targets(y)), plain.rows(outputs, y), rtol=1e-5, atol=1e-6)
    assert np.array_equal(loss.indices(outputs), plain.indices(outputs))
