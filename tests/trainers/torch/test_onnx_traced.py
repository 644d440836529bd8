"""Graphs that PyTorch's exporter wrote are taken again for networks that compute the same, no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tuner.trainers.torch import onnx_traced
from tuner.trainers.torch.onnx_graph import INPUT, graph_of
from tuner.trainers.torch.onnx_runtime import session_of


class Limited(nn.Module):
    def __init__(self, limit: float, width: int = 3) -> None:
        super().__init__()
        self.inner, self.outer, self.limit = nn.Linear(4, width), nn.Linear(width, 2), limit

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.outer(self.inner(x)).clamp(-self.limit, self.limit)
        return found


class Padded(nn.Module):
    def __init__(self, pad: int) -> None:
        super().__init__()
        self.table, self.outer, self.pad = nn.Embedding(9, 4), nn.Linear(4, 2), pad

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.outer((self.table(x) * (x != self.pad)[..., None]).sum(1))
        return found


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often PyTorch's exporter has run; no graph is known."""
    export, found = torch.onnx.export, list[int]()

    def counted(*args: Any, **more: Any) -> Any:
        found.append(1)
        return export(*args, **more)

    monkeypatch.setattr(torch.onnx, "export", counted)
    monkeypatch.setattr(onnx_traced, "_KNOWN", {})
    return found


TOKENS = torch.tensor([[1, 2, 0, 0]] * 2, dtype=torch.int32)
ROWS = torch.ones(2, 4)
FLOAT, WIDE = torch.randn(8, 4), 500 * torch.randn(8, 4)

PAIRS: list[tuple[str, Callable[[], list[nn.Module]], Tensor, Tensor]] = [
    ("padding", lambda: [Padded(3), Padded(5)], TOKENS, torch.tensor([[3, 5, 5, 1]], dtype=torch.int32)),
    ("number", lambda: [Limited(200.0), Limited(80.0)], ROWS, WIDE),
]


@pytest.mark.parametrize(("make", "x", "rows"), [pair[1:] for pair in PAIRS], ids=[pair[0] for pair in PAIRS])
def test_networks_that_differ_by_what_they_hold_alone_have_graphs_of_their_own(
    make: Callable[[], list[nn.Module]], x: Tensor, rows: Tensor, exports: list[int]
) -> None:
    """Before, the graph of the first one was taken for the other where no row showed the difference."""
    torch.manual_seed(0)
    first, second = make()
    second.load_state_dict(first.state_dict())
    for network in (first, second):
        (found,) = session_of(graph_of(network, x)).run(None, {INPUT: rows.numpy()})
        np.testing.assert_allclose(found, network(rows).detach().numpy(), 1e-5, 1e-5)
    assert len(exports) == 2


def test_networks_that_are_alike_but_for_weights_and_sizes_share_a_graph(exports: list[int]) -> None:
    torch.manual_seed(0)
    for width in (3, 3, 5):
        network = Limited(2.0, width)
        (found,) = session_of(graph_of(network, ROWS)).run(None, {INPUT: FLOAT.numpy()})
        np.testing.assert_allclose(found, network(FLOAT).detach().numpy(), 1e-5, 1e-5)
    assert len(exports) == 1


class Strange:
    """Of which nobody can say what equals it."""


def test_graph_of_what_cannot_be_compared_is_not_kept(exports: list[int]) -> None:
    network = Limited(2.0)
    network.own = Strange()  # type: ignore[assignment]
    graph_of(network, ROWS)
    assert exports
    assert not onnx_traced._KNOWN


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (1, 1.0, False),
        (0.5, 0.5, True),
        ("a", "b", False),
        ([1, {"a": (2,)}], [1, {"a": (2,)}], True),
        ([1, {"a": (2,)}], [1, {"a": (3,)}], False),
        ({1, 2}, {2, 1}, True),
        (np.arange(3), np.arange(3), True),
        (torch.zeros(2), torch.ones(2), False),
        (torch.relu, torch.tanh, False),
        (torch.relu, torch.relu, True),
        (nn.ReLU, nn.ReLU, True),
    ],
    ids=lambda each: getattr(each, "__name__", str(each)),  # the same in all processes that share the tests
)
def test_what_layers_hold_is_compared_by_value(one: Any, other: Any, is_same: bool) -> None:
    held = []
    for value in (one, other):
        network = nn.Sequential(nn.LSTM(2, 3), nn.MultiheadAttention(4, 2), nn.BatchNorm1d(3))
        if isinstance(value, Tensor):
            network.register_buffer("own", value, persistent=False)
        else:
            network.own = value
        network.parts = [network[0], network[2].weight]  # type: ignore[assignment]
        held.append(tuple(onnx_traced._held(network, network.state_dict())))
        hash(held[-1])
    assert (held[0] == held[1]) is is_same


def test_weights_that_are_shared_are_told_from_others() -> None:
    held = []
    for is_tied in (False, True):
        network = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
        if is_tied:
            network[1].weight = network[0].weight
        held.append(tuple(onnx_traced._held(network, network.state_dict())))
    assert held[0] != held[1]
