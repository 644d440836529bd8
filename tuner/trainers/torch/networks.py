"""The networks: mlp, cnn, or any other function build(params, context) -> nn.Module.

InputTensors come scaled, and outputs are what the loss takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from tuner import registry
from tuner.core.dataset import Task
from tuner.core.trial import Params
from tuner.errors import TrialError
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.ties import tie


@dataclass(frozen=True, slots=True)
class NetworkContext:
    """What a network must fit.

    Attributes:
        input_shape: (D,) for tables, (C, H, W) for images, without the batch.
        outputs: how many numbers it puts out for each row: one per class, one per target, a
            single logit for binary cross-entropy of two classes.
        task: classification or regression.
        classes: the classes' names in the order of their indices.
        features: the columns' names, for tables.
        params: the trial's parameters, fixed ones included.
    """

    input_shape: tuple[int, ...]
    outputs: int
    task: Task
    classes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    params: Params = field(default_factory=dict)


Builder = Callable[[Params, NetworkContext], nn.Module]

ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def mlp(params: Params, context: NetworkContext) -> nn.Module:
    """`depth` hidden layers of `width` units; a linear model at depth 0. Images are flattened."""
    recipe = Recipe.of(params)
    size = math.prod(context.input_shape)
    layers: list[nn.Module] = [nn.Flatten()] if len(context.input_shape) > 1 else []
    for _ in range(recipe.depth):
        layers.append(nn.Linear(size, recipe.width))
        size = recipe.width
        layers += _behind(recipe, nn.LayerNorm(size) if recipe.layer_norm else None)
    return nn.Sequential(*layers, nn.Linear(size, context.outputs))


def cnn(params: Params, context: NetworkContext) -> nn.Module:
    """`depth` blocks of a 3x3 convolution and 2x2 max-pooling, then one linear layer.

    The first block has `width` channels and each further one twice as many; an axis is pooled as
    long as it is longer than one pixel. Layer normalization goes over channels and pixels.
    """
    recipe = Recipe.of(params)
    channels, height, width = context.input_shape
    layers: list[nn.Module] = []
    for block in range(recipe.depth):
        more = recipe.width * 2**block
        layers.append(nn.Conv2d(channels, more, kernel_size=3, padding=1))
        channels = more
        layers += _behind(recipe, nn.GroupNorm(1, channels) if recipe.layer_norm else None)
        pool = (min(2, height), min(2, width))
        if pool != (1, 1):
            layers.append(nn.MaxPool2d(pool))
        height, width = height // pool[0], width // pool[1]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, context.outputs))


def _behind(recipe: Recipe, norm: nn.Module | None) -> list[nn.Module]:
    """What follows a hidden layer's weights."""
    layers = [norm] if norm is not None else []
    layers.append(ACTIVATIONS[recipe.activation]())
    if recipe.dropout:
        layers.append(nn.Dropout(recipe.dropout))
    return layers


GROUP = "tuner.networks"
"""The entry points that networks are registered under."""

SHIPPED = ("mlp", "cnn")
"""The networks whose parameters and first weights are the recipe's."""


def builder(model: str, folder: Path | None = None) -> Builder:
    """Find the function that builds a network.

    Args:
        model: a name or a reference.
        folder: what relative file references start from; the working folder.

    Raises:
        PluginError: the reference leads nowhere.
    """
    found: Builder = registry.load(model, GROUP, folder)
    return found


def build(model: str, params: Params, context: NetworkContext, folder: Path | None = None) -> nn.Module:
    """Build a network on the CPU.

    Raises:
        PluginError: the reference leads nowhere.
        TrialError: what was built is no module, or its weights are tied in a way that training would undo.
    """
    module: Any = builder(model, folder)(params, context)
    if not isinstance(module, nn.Module):
        raise TrialError(f"{model}: gave a {type(module).__name__}; return a torch.nn.Module")
    try:
        tie(module)
    except TrialError as error:
        raise TrialError(f"{model}: {error}") from error
    return module
