"""mlp: the layers that `mlp` lists, as modules."""

from __future__ import annotations

from torch import nn

from tuner.core.trial import Params
from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.embedding import CategoryEmbedding
from tuner.trainers.torch.mlp import EPSILON, Layer, layers
from tuner.trainers.torch.networks.blocks import ACTIVATIONS
from tuner.trainers.torch.recipe import Recipe


def mlp(params: Params, context: NetworkContext) -> nn.Module:
    """What `mlp.layers` says."""
    recipe = Recipe.of(params)
    return nn.Sequential(*(_module(layer, recipe, context) for layer in layers(recipe, context)))


def _module(layer: Layer, recipe: Recipe, context: NetworkContext) -> nn.Module:
    match layer.kind:
        case "flatten":
            return nn.Flatten()
        case "embedding":
            return CategoryEmbedding(layer.inputs, context.categories, recipe.embedding_size)
        case "linear":
            return nn.Linear(layer.inputs, layer.outputs)
        case "batch_norm":
            return nn.BatchNorm1d(layer.outputs, eps=EPSILON)
        case "norm":
            return nn.LayerNorm(layer.outputs, eps=EPSILON)
        case "activation":
            return ACTIVATIONS[recipe.activation]()
        case _:
            return nn.Dropout(recipe.dropout)
