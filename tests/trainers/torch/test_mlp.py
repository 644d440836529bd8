"""PlainMlp: the shipped `mlp` in numpy beside the module that PyTorch builds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tuner.core.dataset import Task
from tuner.core.trial import Params
from tuner.data import Scaling
from tuner.errors import TrialError
from tuner.fused import Layout
from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.mlp import PlainMlp, layers, tensors
from tuner.trainers.torch.networks import ACTIVATIONS, build
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.scaled_network import ScaledNetwork

NETWORKS: list[Params] = [
    *({"activation": name} for name in ACTIVATIONS),
    {"depth": 0},
    {"depth": 3, "layer_norm": True, "dropout": 0.2, "width": 7},
]

NORMALIZED: Params = {"batch_norm": True, "layer_norm": True, "dropout": 0.2}


def context(params: Params, *, images: bool = False, codes: bool = False) -> NetworkContext:
    shape = (2, 3, 4) if images else (6,)
    return NetworkContext(shape, 3, Task.CLASSIFICATION, params=params, categories=(40, 5) if codes else ())


def inputs(of: NetworkContext) -> Any:
    x = np.random.default_rng(0).normal(size=(50, *of.input_shape)).astype(np.float32)
    for place, count in enumerate(reversed(of.categories)):
        x[:, -1 - place] = np.arange(50) % count
    return x


@pytest.mark.parametrize("params", [*NETWORKS, NORMALIZED], ids=str)
@pytest.mark.parametrize("kind", ["table", "images", "codes"])
@pytest.mark.parametrize("scaling", ["standard", "quantile"])
def test_it_computes_what_the_module_computes(params: Params, kind: str, scaling: str) -> None:
    params = {**params, "embedding_size": 4}
    of = context(params, images=kind == "images", codes=kind == "codes")
    module, x = build("mlp", params, of), inputs(of)
    for name, tensor in module.named_buffers():
        if "running" in name:
            tensor.uniform_(0.5, 2.0)
    fitted = Scaling.fit(scaling, x, len(of.categories))
    weights = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    shift, factor, knots, levels = map(
        torch.tensor, (fitted.shift, fitted.factor, fitted.knots, fitted.levels)
    )
    curves = (knots, levels) if len(knots) else (None, None)
    wanted = ScaledNetwork(module, shift, factor, *curves).eval()(torch.tensor(x)).detach().numpy()
    assert np.allclose(PlainMlp.of(of, weights, fitted).outputs(x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("params", [*NETWORKS, NORMALIZED], ids=str)
@pytest.mark.parametrize("kind", ["table", "images", "codes"])
def test_its_tensors_are_those_of_the_module_and_of_a_row(params: Params, kind: str) -> None:
    params = {**params, "embedding_size": 4}
    of, recipe = context(params, images=kind == "images", codes=kind == "codes"), Recipe.of(params)
    network = layers(recipe, of)
    found = tensors(network)
    state = build("mlp", params, of).state_dict()
    assert {name: each.shape for name, each in found.items()} == {n: tuple(t.shape) for n, t in state.items()}
    tables = tuple(table for layer in network for table in layer.tables)
    features = int(np.prod(of.input_shape)) - len(tables)
    shape = (features, recipe.widths, of.outputs, recipe.layer_norm, tables, recipe.batch_norm)
    row = Layout(*shape)
    shapes = {name: array.shape for name, array in row.unpack(np.zeros(row.parameters, np.float32)).items()}
    kept = {each.row_name: each.shape for each in found.values() if not each.row_name.endswith("batches")}
    assert kept == shapes


def test_weights_of_another_network_are_refused() -> None:
    of = context({"width": 5})
    weights = {name: tensor.numpy() for name, tensor in build("mlp", {"width": 4}, of).state_dict().items()}
    with pytest.raises(TrialError, match="not those of the network"):
        PlainMlp.of(of, weights, Scaling.fit("none", inputs(of)))
