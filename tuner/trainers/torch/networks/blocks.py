"""Blocks: the parts that several networks are made of."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from tuner.trainers.torch.recipe import Recipe

ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def behind(recipe: Recipe, *norms: nn.Module) -> list[nn.Module]:
    """What follows a hidden layer's weights."""
    layers = [*norms, ACTIVATIONS[recipe.activation]()]
    return [*layers, nn.Dropout(recipe.dropout)] if recipe.dropout else layers


def hidden(recipe: Recipe, size: int) -> list[nn.Module]:
    """`depth` hidden layers of `width` units on so many numbers."""
    layers: list[nn.Module] = []
    for width in recipe.widths:
        layers.append(nn.Linear(size, width))
        size = width
        batch = [nn.BatchNorm1d(size)] if recipe.batch_norm else []
        layers += behind(recipe, *batch, *([nn.LayerNorm(size)] if recipe.layer_norm else []))
    return layers


def head(recipe: Recipe, size: int, outputs: int) -> list[nn.Module]:
    """The outputs of so many numbers, behind a layer of `dense_units` where there are any."""
    layers: list[nn.Module] = []
    if recipe.dense_width:
        layers += [nn.Linear(size, recipe.dense_width), *behind(recipe)]
        size = recipe.dense_width
    return [*layers, nn.Linear(size, outputs)]
