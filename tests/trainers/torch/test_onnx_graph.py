"""The shipped networks as ONNX graphs give what they give, and never go through PyTorch's exporter."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from tuner.core.dataset import Task
from tuner.trainers.torch import onnx_graph
from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.networks import build

LENGTHS = np.array([6, 1, 3, 6])


def context(kind: str, params: dict[str, Any]) -> NetworkContext:
    shape = {"tokens": (6,), "series": (6, 4), "masked": (6, 5)}[kind]
    vocabulary = 12 if kind == "tokens" else 0
    classes = ("a", "b", "c")
    return NetworkContext(
        shape, 3, Task.CLASSIFICATION, classes, (), params, (), vocabulary, kind == "masked"
    )


def inputs(kind: str) -> torch.Tensor:
    rng, there = np.random.default_rng(0), np.arange(6) < LENGTHS[:, None]
    if kind == "tokens":
        return torch.tensor(np.where(there, rng.integers(1, 12, (4, 6)), 0).astype(np.int32))
    x = rng.normal(size=(4, 6, 4)).astype(np.float32)
    if kind == "series":
        return torch.tensor(x)
    return torch.tensor(np.concatenate([x * there[..., None], there[..., None]], axis=2, dtype=np.float32))


CASES: list[tuple[str, dict[str, Any]]] = [
    ("rnn", {"cell": "gru", "bidirectional": True, "depth": 2, "layer_norm": True, "dense_units": 5}),
    ("rnn", {"cell": "lstm", "bidirectional": True, "pooling": "max"}),
    ("rnn", {"cell": "rnn", "pooling": "mean", "depth": 2}),
    ("conv1d", {"kernel_size": 2, "pooling": "max", "layer_norm": True, "depth": 2}),
    ("conv1d", {"kernel_size": 3, "pooling": "mean"}),
    ("transformer", {"heads": 3, "pooling": "mean", "depth": 2, "activation": "silu"}),
    ("transformer", {"heads": 1, "pooling": "max", "activation": "gelu"}),
]


@pytest.mark.parametrize(("family", "params"), [*CASES, ("bag", {"depth": 2, "batch_norm": True})])
@pytest.mark.parametrize("kind", ["tokens", "series", "masked"])
def test_a_network_of_sequences_is_written_down_as_it_computes(
    family: str, params: dict[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if family == "bag" and kind != "tokens":
        return
    monkeypatch.setattr(onnx_graph, "traced", None)
    params = {"width": 8, "token_size": 6} | params
    network, x = build(family, params, context(kind, params)).eval(), inputs(kind)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        expected = network(x).numpy()
    session = onnxruntime.InferenceSession(
        onnx_graph.graph_of(network, x), providers=["CPUExecutionProvider"]
    )
    found = session.run(None, {onnx_graph.INPUT: x.numpy()})[0]
    assert found == pytest.approx(expected, abs=1e-5)


class Doubled(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


OWN = [
    Doubled(3, 3),
    nn.Linear(3, 3, bias=False),
    nn.LeakyReLU(0.2),
    nn.GELU("tanh"),
    nn.Conv2d(3, 4, 3, stride=2),
    nn.Conv2d(4, 4, 3, groups=2),
    nn.Conv2d(3, 4, 3, padding="same"),
    nn.MaxPool2d(3, stride=2),
    nn.AvgPool2d(2, ceil_mode=True),
    nn.GroupNorm(2, 4),
    nn.LayerNorm((3, 3)),
    nn.BatchNorm2d(3, track_running_stats=False),
    nn.Flatten(0),
]


@pytest.mark.parametrize("layer", OWN, ids=str)
def test_what_is_not_written_down_just_so_is_left_to_pytorch(
    layer: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_graph, "traced", lambda network, x, names: b"traced")
    for network in (nn.Sequential(layer), nn.Sequential(nn.ReLU(), nn.Sequential(layer))):
        assert onnx_graph.graph_of(network, torch.ones(2, 3, 8, 8)) == b"traced"
    assert onnx_graph.graph_of(nn.Sequential(nn.ReLU(), nn.Flatten()), torch.ones(2, 3)) != b"traced"
