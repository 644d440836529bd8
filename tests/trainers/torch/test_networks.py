from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tuner.core.dataset import InputKind, Task
from tuner.core.trial import Params
from tuner.errors import PluginError, TrialError
from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.networks import ACTIVATIONS, build, cnn, mlp
from tuner.trainers.torch.shipped import taking

IMAGES = taking(InputKind.IMAGE)


def context(*shape: int, outputs: int = 3) -> NetworkContext:
    return NetworkContext(shape, outputs, Task.CLASSIFICATION)


def shapes(module: nn.Module, kind: type[nn.Module]) -> list[tuple[int, ...]]:
    layers = [m for m in module.modules() if isinstance(m, kind)]
    return [tuple(layer.get_parameter("weight").shape) for layer in layers]


def test_mlp_has_depth_hidden_layers_of_one_width() -> None:
    module = mlp({"width": 7, "depth": 3}, context(5))
    assert shapes(module, nn.Linear) == [(7, 5), (7, 7), (7, 7), (3, 7)]
    assert shapes(mlp({"depth": 0}, context(5)), nn.Linear) == [(3, 5)]


def test_cnn_doubles_its_channels_and_halves_its_maps() -> None:
    module = cnn({"width": 4, "depth": 3}, context(1, 8, 8))
    assert shapes(module, nn.Conv2d) == [(4, 1, 3, 3), (8, 4, 3, 3), (16, 8, 3, 3)]
    assert shapes(module, nn.Linear) == [(3, 16)]


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(IMAGES),
    st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 20)),
    st.integers(0, 4),
    st.sampled_from(sorted(ACTIVATIONS)),
    st.booleans(),
    st.sampled_from([0.0, 0.3]),
    st.integers(1, 4),
)
def test_shipped_networks_fit_any_image(
    name: str, shape: Any, depth: int, activation: str, layer_norm: bool, dropout: float, outputs: int
) -> None:
    params: Params = {
        "width": 3,
        "depth": depth,
        "activation": activation,
        "layer_norm": layer_norm,
        "dropout": dropout,
    }
    module = build(name, params, context(*shape, outputs=outputs))
    outcome = module(torch.randn(2, *shape))
    assert outcome.shape == (2, outputs)
    outcome.sum().backward()
    assert all(p.grad is not None for p in module.parameters())


@pytest.mark.parametrize("model", IMAGES)
def test_each_hidden_layer_is_normalized_activated_and_dropped(model: str) -> None:
    params: Params = {"depth": 3, "layer_norm": True, "dropout": 0.2, "activation": "gelu"}
    kinds = [type(m) for m in build(model, params, context(2, 6, 6)).modules()]
    norm = nn.LayerNorm if model == "mlp" else nn.GroupNorm
    assert [kinds.count(k) for k in (norm, nn.GELU, nn.Dropout)] == [3, 3, 3]


@pytest.mark.parametrize(
    ("params", "kinds"),
    [
        ({"batch_norm": True}, [nn.BatchNorm2d]),
        ({"batch_norm": True, "layer_norm": True}, [nn.BatchNorm2d, nn.GroupNorm]),
        ({"pooling": "mean"}, [nn.AvgPool2d]),
        ({}, [nn.MaxPool2d]),
    ],
)
def test_cnn_normalizes_and_pools_as_it_is_told(params: Params, kinds: list[type[nn.Module]]) -> None:
    known = (nn.BatchNorm2d, nn.GroupNorm, nn.AvgPool2d, nn.MaxPool2d)
    module = cnn({"depth": 1, **params}, context(1, 8, 8))
    found = [type(m) for m in module.modules() if isinstance(m, known)]
    assert found == [*kinds, *(() if {"pooling"} & {*params} or not params else (nn.MaxPool2d,))]


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5, 7])
def test_convolutions_may_be_of_any_size(kernel: int) -> None:
    module = cnn({"width": 4, "depth": 2, "kernel_size": kernel}, context(1, 9, 8))
    assert shapes(module, nn.Conv2d) == [(4, 1, kernel, kernel), (8, 4, kernel, kernel)]
    assert module(torch.randn(2, 1, 9, 8)).shape == (2, 3)


WELL_KNOWN: list[tuple[str, Params, tuple[int, ...], int, list[tuple[int, ...]]]] = [
    ("mlp", {"depth": 1, "width": 128}, (1, 28, 28), 10, [(128, 784), (10, 128)]),
    ("mlp", {"depth": 1, "width": 128}, (128,), 10, [(128, 128), (10, 128)]),
    ("mlp", {"depth": 1, "width": 10}, (8,), 1, [(10, 8), (1, 10)]),
    (
        "cnn",
        {"depth": 2, "width": 64, "dense_units": 1024},
        (3, 8, 8),
        10,
        [(64, 3, 3, 3), (128, 64, 3, 3), (1024, 512), (10, 1024)],
    ),
    ("cnn", {"depth": 1, "width": 4, "kernel_size": 1}, (3, 8, 8), 2, [(4, 3, 1, 1), (2, 64)]),
]


@pytest.mark.parametrize(("model", "params", "shape", "outputs", "matrices"), WELL_KNOWN, ids=str)
def test_settings_of_the_docs_make_the_well_known_networks(
    model: str, params: Params, shape: tuple[int, ...], outputs: int, matrices: list[tuple[int, ...]]
) -> None:
    module = build(model, params, context(*shape, outputs=outputs))
    assert [tuple(p.shape) for p in module.parameters() if p.ndim > 1] == matrices


def test_residual_block_is_the_sum_of_its_convolution_and_its_inputs_projected() -> None:
    module = cnn({"width": 4, "depth": 1, "residual": True}, context(2, 6, 6))
    x = torch.randn(3, 2, 6, 6)
    state = module.state_dict()
    body = nn.functional.conv2d(x, state["0.body.0.weight"], state["0.body.0.bias"], padding=1).relu()
    around = nn.functional.conv2d(x, state["0.shortcut.weight"], state["0.shortcut.bias"])
    torch.testing.assert_close(module[0](x), body + around)  # type: ignore[index]


def test_layer_norm_makes_inputs_scale_free() -> None:
    for model in IMAGES:
        module = build(model, {"layer_norm": True, "depth": 1}, context(2, 6, 6))
        x = torch.randn(4, 2, 6, 6)
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d) and layer.bias is not None:
                nn.init.zeros_(layer.bias)
        assert torch.allclose(module(x), module(100 * x), atol=1e-3)


def test_reference_that_leads_nowhere_or_builds_no_module_is_refused() -> None:
    with pytest.raises(PluginError, match="no such file"):
        build("./gone.py:build", {}, context(3))
    with pytest.raises(TrialError, match=r"gave a list; return a torch\.nn\.Module"):
        build(f"{__name__}:no_module", {}, context(3))


def no_module(params: Any, context: NetworkContext) -> Any:
    return [nn.Linear(1, 1)]
