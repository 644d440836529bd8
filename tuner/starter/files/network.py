"""A network of your own: `build` gets a trial's parameters and returns an untrained network.

`tuner` trains it with the recipe that is searched: optimizer, learning rate, batch size and so on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import nn


def build(params: Mapping[str, Any], context: Any) -> nn.Module:
    """Stack `layers` hidden layers of `units` units.

    Args:
        params: the trial's parameters, e.g. those of search_spaces/mine.toml.
        context: `input_shape` of one row, `outputs` (how many numbers come out), `classes`, ...
    """
    size = math.prod(context.input_shape)
    parts: list[nn.Module] = [nn.Flatten()]
    for _ in range(params["layers"]):
        parts += [nn.Linear(size, params["units"]), _nonlinearity(params)]
        size = params["units"]
    return nn.Sequential(*parts, nn.Linear(size, context.outputs))


def _nonlinearity(params: Mapping[str, Any]) -> nn.Module:
    if params["nonlinearity"] == "leaky_relu":
        # `slope` is there only under this nonlinearity: `when` in search_spaces/mine.toml says so.
        return nn.LeakyReLU(params["slope"])
    return nn.Tanh() if params["nonlinearity"] == "tanh" else nn.ReLU()
