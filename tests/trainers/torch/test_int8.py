"""8-bit integers of many rows at once, beside onnxruntime with one row at a time, as models are served."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.trainers.torch import plain
from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.training import TrialBatch
from tuner.core.trial import Trial
from tuner.testing.trainer import blobs
from tuner.trainers.torch import int8, onnx_runtime
from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.fused import FusedBatch
from tuner.trainers.torch.int8 import Int8Network
from tuner.trainers.torch.networks import build
from tuner.trainers.torch.networks.blocks import ACTIVATIONS
from tuner.trainers.torch.onnx_graph import graph_of
from tuner.trainers.torch.onnx_runtime import quantized, session_of

ROWS = 40
PARAMS: dict[str, Any] = {"width": 8, "depth": 2, "batch_size": 16, "quantization": "int8"}


def one_by_one(network: nn.Module, x: Tensor) -> NDArray[Any]:
    """What onnxruntime's own dynamic quantization says of each row by itself."""
    session = session_of(quantized(graph_of(network, x[:2])))
    return np.concatenate([session.run(None, {"rows": row})[0] for row in np.split(x.numpy(), len(x))])


def spread_out(size: int) -> Tensor:
    """Rows of all magnitudes, with zeros only, without negative numbers and without positive ones."""
    x = torch.randn(ROWS, size) * torch.logspace(-3, 4, ROWS)[:, None]
    x[3], x[4], x[5] = 0, x[4].abs(), -x[5].abs()
    return x


@pytest.mark.parametrize("has_vnni", [True, False], ids=["8 bits", "7 bits"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_many_rows_have_the_integers_of_each_row_by_itself(
    activation: str, has_vnni: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (int8, onnx_runtime):
        monkeypatch.setattr(module, "has_vnni", lambda: has_vnni)
    int8._session.cache_clear()
    torch.manual_seed(0)
    for width, norm in ((3, nn.Identity), (30, nn.LayerNorm), (64, nn.BatchNorm1d), (600, nn.Identity)):
        network = nn.Sequential(
            nn.Linear(13, width), norm(width), ACTIVATIONS[activation](), nn.Linear(width, 9),
            ACTIVATIONS[activation](), nn.Linear(9, 5),
        ).eval()  # fmt: skip
        x = spread_out(13)
        np.testing.assert_array_equal(Int8Network(network, x)(x).numpy(), one_by_one(network, x))
    int8._session.cache_clear()


def test_weights_of_each_epoch_are_those_that_are_rounded() -> None:
    torch.manual_seed(0)
    network, x = nn.Sequential(nn.Linear(13, 8), nn.ReLU(), nn.Linear(8, 3)).eval(), spread_out(13)
    for _ in range(3):
        with torch.no_grad():
            for each in network.parameters():
                each.add_(torch.randn_like(each))
        np.testing.assert_array_equal(Int8Network(network, x)(x).numpy(), one_by_one(network, x))


NETWORKS: list[tuple[str, dict[str, Any], Dataset]] = [
    ("cnn", {"batch_norm": True, "residual": True, "dense_units": 6}, plain.images()),
    ("rnn", {"cell": "gru", "dense_units": 6}, plain.texts()),
    ("rnn", {"cell": "lstm", "bidirectional": True}, plain.series()),
    ("conv1d", {"layer_norm": True}, plain.series()),
    ("bag", {}, plain.texts()),
    ("transformer", {}, plain.texts()),
]


@pytest.mark.parametrize(
    ("model", "more", "data"), NETWORKS, ids=lambda each: each if isinstance(each, str) else ""
)
def test_so_it_is_in_other_networks_but_for_the_last_bits_of_single_precision(
    model: str, more: dict[str, Any], data: Dataset
) -> None:
    params = {"width": 8, "depth": 2, **more}
    context = NetworkContext(
        data.input_shape, 3, data.task, vocabulary=data.vocabulary, masked=data.masked, params=params
    )
    torch.manual_seed(0)
    network, x = build(model, params, context).eval(), torch.from_numpy(data.validation.x)
    np.testing.assert_allclose(
        Int8Network(network, x)(x).numpy(), one_by_one(network, x), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("populate", [plain.alone, FusedBatch], ids=["alone", "fused"])
def test_trial_that_diverges_is_told_so(populate: Callable[[Job], TrialBatch]) -> None:
    rows = populate(Job(plain.study(model="mlp"), blobs()))
    rows.place(0, Trial(7, {**PARAMS, "optimizer": "sgd", "learning_rate": 1e30}, 5))
    assert not np.isfinite(plain.reading(rows).val_loss)


@pytest.mark.parametrize("populate", [plain.alone, FusedBatch], ids=["alone", "fused"])
def test_seconds_of_an_epoch_hold_those_of_its_judging(
    populate: Callable[[Job], TrialBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, took = Int8Network.forward, list[float]()

    def timed(network: Int8Network, x: Tensor) -> Tensor:
        begin = time.perf_counter()
        time.sleep(0.05)
        found = forward(network, x)
        took.append(time.perf_counter() - begin)
        return found

    monkeypatch.setattr(Int8Network, "forward", timed)
    rows = populate(Job(plain.study(model="mlp"), blobs()))
    rows.place(0, Trial(7, {**PARAMS, "learning_rate": 0.01}, 5))
    reading = plain.reading(rows)
    assert took
    assert reading.seconds >= sum(took)


def test_graphs_that_hold_weights_are_not_kept() -> None:
    int8._session.cache_clear()
    x = torch.randn(2, 3, 8, 8)
    Int8Network(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)).eval(), x)
    assert int8._session.cache_info().currsize == 0
    Int8Network(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)).eval(), x)
    assert int8._session.cache_info().currsize == 1
