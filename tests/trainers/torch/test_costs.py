"""Costs of a network as readings: in every kind of batch, and only where they are asked for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.trainers.torch.plain import images
from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.trial import CLOCKED, LAYER_NORMS, Reading, Trial
from tuner.figures.tradeoffs import SIZES
from tuner.testing.trainer import blobs, study
from tuner.trainers import open_batch
from tuner.trainers.sessions import SessionBatch
from tuner.trainers.torch import TorchTrainer
from tuner.trainers.torch.costs import IN_RUNTIME, NAMES, costs
from tuner.trainers.torch.fused import FusedBatch
from tuner.trainers.torch.stacked import StackedBatch

PARAMS: dict[str, Any] = {"width": 8, "depth": 1, "batch_size": 16, "dropout": 0.1}
PLAIN = NAMES[:3]
ALL = {"also": {"parameters": "minimize", "size_bytes": "minimize"}, "at_most": {"latency_ms": 1e6}}


def asking(objective: dict[str, Any]) -> StudySpec:
    return StudySpec.parse({**study(epochs=3).to_table(), "objective": objective})


KINDS = pytest.mark.parametrize(
    ("data", "rows", "kind"),
    [(blobs(), 1, SessionBatch), (blobs(), 2, FusedBatch), (images(), 2, StackedBatch)],
    ids=["alone", "fused", "stacked"],
)


@KINDS
def test_every_reading_has_what_was_asked_for_and_snapshots_go_on_with_it(
    data: Dataset, rows: int, kind: type
) -> None:
    batch = open_batch(TorchTrainer(), Job(asking(ALL), data, rows=rows))
    assert isinstance(batch, kind)
    batch.place(0, Trial(1, PARAMS, 0))
    first, second = (batch.advance()[0] for _ in range(2))
    assert isinstance(first, Reading)
    assert isinstance(second, Reading)
    assert set(second.extras) == set(PLAIN)
    assert set(first.extras) == {*PLAIN, *LAYER_NORMS}
    assert {name: first.extras[name] for name in PLAIN} == second.extras
    assert first.extras["size_bytes"] == 4 * first.extras["parameters"]
    assert first.extras["latency_ms"] > 0
    snapshot = batch.snapshot(0)
    batch.clear(0)
    batch.place(0, Trial(1, PARAMS, 0), snapshot)
    third = batch.advance()[0]
    assert isinstance(third, Reading)
    assert {n: third.extras[n] for n in NAMES[:2]} == {n: first.extras[n] for n in NAMES[:2]}


@KINDS
def test_they_change_nothing_else_and_are_missing_where_nobody_asks(
    data: Dataset, rows: int, kind: type
) -> None:
    found = []
    for spec in (asking({}), asking(ALL)):
        batch = open_batch(TorchTrainer(), Job(spec, data, rows=rows))
        batch.place(0, Trial(1, PARAMS, 0))
        reading = batch.advance()[0]
        assert isinstance(reading, Reading)
        found.append(reading)
    assert not set(found[0].extras) & set(NAMES)
    assert (found[0].train_loss, found[0].val_loss) == (found[1].train_loss, found[1].val_loss)


def test_parameters_and_bytes_are_counted_and_the_mode_stays() -> None:
    module = nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3), nn.Dropout())
    module[2].eval()
    found = costs(NAMES, module, torch.zeros(4, 5))
    assert found["parameters"] == 5 * 3 + 3 + 3 + 3
    assert found["size_bytes"] == 4 * (5 * 3 + 3 + 3 + 3 + 3 + 3) + 8
    assert (module.training, module[2].training) == (True, False)
    assert module[1].num_batches_tracked == 0, "a batch norm must not see what is measured"
    assert costs((), module, torch.zeros(4, 5)) == {}


@pytest.mark.parametrize(
    ("objective", "key"),
    [
        ({"also": {"latency": "minimize"}}, "objective.also: unknown name 'latency'"),
        ({"at_most": {"parameter": 9}}, "objective.at_most: unknown name 'parameter'"),
        ({"at_least": {"val_scores": 9}}, "objective.at_least: unknown name 'val_scores'"),
    ],
)
def test_numbers_that_no_reading_has_are_refused_with_the_near_names(
    objective: dict[str, Any], key: str
) -> None:
    [fault] = TorchTrainer().validate(asking(objective), blobs())
    assert fault.startswith(key)
    assert "did you mean" in fault


def test_size_and_latency_are_told_of_the_runtime_that_is_named() -> None:
    module = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 3))
    found = costs(IN_RUNTIME, module, torch.zeros(1, 64))
    assert set(found) == set(IN_RUNTIME)
    assert found["size_bytes[onnx]"] > 4 * (64 * 128 + 128 * 3)
    assert found["size_bytes[onnx]"] > 3 * found["size_bytes[onnx-int8]"]
    assert min(found.values()) > 0


def test_static_integers_are_fitted_to_training_rows_and_hold_convolutions_too() -> None:
    module = nn.Sequential(
        nn.Conv2d(1, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.Flatten(), nn.Linear(1024, 3)
    )
    names = ("size_bytes[onnx]", "size_bytes[onnx-int8]", "size_bytes[onnx-int8-static]")
    found = costs(names, module, torch.zeros(1, 1, 8, 8), None, torch.randn(300, 1, 8, 8))
    assert found[names[0]] > 3 * found[names[2]]
    assert found[names[1]] > 2 * found[names[2]]


@KINDS
def test_the_latency_in_a_runtime_may_be_a_constraint_of_a_study(
    data: Dataset, rows: int, kind: type
) -> None:
    limits = {
        "at_most": {
            "latency_ms[onnx-int8]": 1e6,
            "size_bytes[onnx]": 1e6,
            "latency_ms[onnx-int8-static]": 1e6,
        }
    }
    batch = open_batch(TorchTrainer(), Job(asking(limits), data, rows=rows))
    assert isinstance(batch, kind)
    batch.place(0, Trial(1, PARAMS, 0))
    reading = batch.advance()[0]
    assert isinstance(reading, Reading)
    assert all(reading.extras[name] > 0 for name in limits["at_most"])


def test_all_that_is_told_of_a_runtime_is_known_where_names_matter() -> None:
    assert {name for name in IN_RUNTIME if name.startswith("latency")} <= CLOCKED
    assert set(SIZES) >= {name for name in IN_RUNTIME if name.startswith("size")}
