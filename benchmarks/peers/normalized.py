"""The network of `optuna_script --batch-norm` as one of a user's own; copied beside its study."""

from __future__ import annotations

from typing import Any

from torch import nn

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


def build(params: Any, context: Any) -> nn.Module:
    """Two hidden layers."""
    layers: list[nn.Module] = []
    size, width = context.input_shape[0], params["width"]
    for _ in range(2):
        layers += [nn.Linear(size, width), nn.BatchNorm1d(width), ACTIVATIONS[params["activation"]]()]
        if params["dropout"]:
            layers.append(nn.Dropout(params["dropout"]))
        size = width
    return nn.Sequential(*layers, nn.Linear(size, context.outputs))
