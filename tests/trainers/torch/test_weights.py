"""Weights of rows and classes: the plain loop, sessions, stacked and fused rows beside each other."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.trainers.torch.plain import alone
from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.seeds import derive
from tuner.core.trial import Params, Reading, Trial
from tuner.testing.trainer import blobs, line, study
from tuner.trainers.row_weights import row_weights
from tuner.trainers.torch import TorchTrainer
from tuner.trainers.torch.fused import FusedBatch
from tuner.trainers.torch.initialization import initialize
from tuner.trainers.torch.stacked import StackedBatch

BASE = {"width": 12, "batch_size": 16, "learning_rate": 0.01}


def weighed(data: Dataset) -> Dataset:
    """The same data with weights of rows, a few of them 0."""
    draw, splits = np.random.default_rng(0), {}
    for name in ("train", "validation"):
        split = getattr(data, name)
        weight = draw.choice([0.0, 0.5, 2.0], len(split)).astype(np.float32)
        splits[name] = dataclasses.replace(split, weight=weight / weight.mean())
    return dataclasses.replace(data, **splits)


def unequal() -> Dataset:
    """Blobs of which one is rare."""
    data = blobs()
    kept = np.flatnonzero((data.train.y != 0) | (np.arange(len(data.train)) % 5 == 0))
    train = dataclasses.replace(data.train, x=data.train.x[kept], y=data.train.y[kept])
    return dataclasses.replace(data, train=train)


def curve(batch: Any, params: Params) -> list[Reading]:
    batch.place(0, Trial(4, {**BASE, **params}, 0))
    found = []
    for _ in range(3):
        outcome = batch.advance()[0]
        assert isinstance(outcome, Reading), getattr(outcome, "traceback", outcome)
        found.append(outcome)
    return found


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"class_weight": "balanced"},
        {"class_weight": "balanced", "mixup": 0.4, "label_smoothing": 0.1},
        {"batch_size": "full", "optimizer": "sgd"},
        {"batch_size": 100, "class_weight": "none"},
    ],
    ids=str,
)
@pytest.mark.parametrize("loss", [None, "binary_cross_entropy"])
@pytest.mark.parametrize("rows", [False, True])
def test_sessions_stacked_and_fused_rows_weigh_alike(params: Params, loss: str | None, rows: bool) -> None:
    data = weighed(unequal()) if rows else unequal()
    more = {} if loss is None else {"loss": loss}
    job = Job(study(epochs=3, model="mlp", class_weight={"ant": 3.0}, **more), data)
    one = curve(alone(job), params)
    for batch in (FusedBatch(job), StackedBatch(job)):
        for mine, its in zip(one, curve(batch, params), strict=True):
            assert math.isfinite(mine.val_loss)
            for name in ("train_loss", "val_loss", "train_score", "val_score", "grad_norm"):
                assert its.get(name) == pytest.approx(mine.get(name), rel=2e-4, abs=1e-6), name


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_weighted_regression_is_alike_everywhere(loss: str) -> None:
    job = Job(study(epochs=3, model="mlp", loss=loss, score="mae"), weighed(line()))
    params: Params = {"optimizer": "momentum", "mixup": 0.3}
    one = curve(alone(job), params)
    for batch in (FusedBatch(job), StackedBatch(job)):
        for mine, its in zip(one, curve(batch, params), strict=True):
            for name in ("train_loss", "val_loss", "val_score", "grad_norm"):
                assert its.get(name) == pytest.approx(mine.get(name), rel=2e-4, abs=1e-6), name


def test_a_session_is_a_plain_weighted_loop() -> None:
    data, rate = weighed(unequal()), 0.05
    job = Job(study(epochs=3, model="mlp", class_weight="balanced"), data)
    params: Params = {"width": 8, "depth": 1, "batch_size": 32, "learning_rate": rate, "optimizer": "sgd"}
    found = curve(alone(job), params)

    counts = np.bincount(data.train.y)
    raw: Any = (len(data.train) / (len(counts) * counts))[data.train.y] * data.train.weight
    weight = torch.tensor(raw / raw.mean()).float()
    mean, spread = (f(data.train.x, axis=0, dtype=np.float64) for f in (np.mean, np.std))
    x, held = (torch.tensor((s.x - mean) / spread).float() for s in (data.train, data.validation))
    y, truth = (torch.tensor(s.y) for s in (data.train, data.validation))
    network = nn.Sequential(nn.Linear(x.shape[1], 8), nn.ReLU(), nn.Linear(8, len(data.classes)))
    initialize(network, "he_uniform", 1.0, torch.Generator().manual_seed(derive(0, 4, "initialization")))
    rule = torch.optim.SGD(network.parameters(), rate)
    order = torch.Generator().manual_seed(derive(0, 4, "order"))
    for reading in found:
        for rows in torch.split(torch.randperm(len(x), generator=order), 32):
            rule.zero_grad()
            each = functional.cross_entropy(network(x[rows]), y[rows], reduction="none")
            (each * weight[rows]).mean().backward()  # type: ignore[no-untyped-call]
            rule.step()
        with torch.no_grad():
            lost = functional.cross_entropy(network(held), truth, reduction="none").numpy()
        assert reading.val_loss == pytest.approx(np.average(lost, weights=data.validation.weight), rel=1e-4)


def test_weights_are_the_product_of_both_and_have_a_mean_of_one() -> None:
    data = weighed(unequal())
    assert row_weights(blobs(), None) is None
    assert row_weights(blobs(), "none") is None
    assert row_weights(data, None) is data.train.weight
    both = row_weights(data, {data.classes[1]: 4.0})
    assert both is not None
    assert data.train.weight is not None
    assert both.mean() == pytest.approx(1, abs=1e-5)
    raw = data.train.weight * np.where(data.train.y == 1, 4.0, 1.0)
    np.testing.assert_allclose(both, raw / raw.mean(), rtol=1e-5)
    balanced = row_weights(unequal(), "balanced")
    assert balanced is not None
    of_class = [balanced[unequal().train.y == c].sum() for c in range(len(data.classes))]
    assert of_class == pytest.approx([of_class[0]] * len(of_class), rel=1e-4)


def test_a_loss_of_ones_own_is_weighted_where_it_tells_of_every_sample(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from torch.nn.functional import cross_entropy\n"
        "def each(outputs, targets):\n    return cross_entropy(outputs, targets, reduction='none')\n"
        "def mean(outputs, targets):\n    return cross_entropy(outputs, targets)\n"
    )
    data = unequal()
    shipped = curve(alone(Job(study(epochs=3, model="mlp", class_weight="balanced"), data)), {})
    own = Job(study(epochs=3, model="mlp", class_weight="balanced", loss=f"{tmp_path}/own.py:each"), data)
    for mine, its in zip(shipped, curve(alone(own), {}), strict=True):
        assert its.val_loss == pytest.approx(mine.val_loss, rel=1e-5)
    mean = Job(study(epochs=3, model="mlp", class_weight="balanced", loss=f"{tmp_path}/own.py:mean"), data)
    batch = alone(mean)
    batch.place(0, Trial(4, BASE, 0))
    assert "returned a mean, but rows have weights" in getattr(batch.advance()[0], "error", "")


def test_weights_that_make_no_sense_are_told() -> None:
    validate = TorchTrainer().validate
    assert validate(study(class_weight={"wasp": 2.0}), blobs())[0].startswith(
        "trainer.class_weight: unknown class 'wasp'; known: "
    )
    assert validate(study(class_weight="balanced"), line()) == [
        "trainer.class_weight: is for the classes of one target, found regression; drop it"
    ]
    nothing = dict.fromkeys(blobs().classes, 0.0)
    assert "no class counts anything" in validate(study(class_weight=nothing), blobs())[0]
