"""transformer: a small encoder of self-attention over the steps of a sequence."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from tuner.core.trial import Params
from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.networks.blocks import ACTIVATIONS
from tuner.trainers.torch.networks.steps import Attention, Positions, StepPooling, Steps
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.shipped import pooling_of

WIDER = 4
"""How much wider the inner layer is; as in Vaswani et al. 2017."""


class Transformer(nn.Module):
    """`depth` layers of an encoder (Vaswani et al. 2017) with `heads` heads, normalized first, then a mean.

    `width` is rounded up to a multiple of the number of heads.
    """

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__()
        recipe = Recipe.of(params)
        width = -(-recipe.width // recipe.heads) * recipe.heads
        self.steps = Steps(context, width)
        self.project = nn.Identity() if context.vocabulary else nn.Linear(self.steps.size, width)
        self.positions, self.dropout = Positions(), nn.Dropout(recipe.dropout)
        self.layers = nn.ModuleList(EncoderLayer(recipe, width) for _ in range(recipe.depth))
        self.norm, self.pooling = nn.LayerNorm(width), StepPooling(pooling_of("transformer", recipe.pooling))
        self.head = nn.Linear(width, context.outputs)

    def forward(self, x: Tensor) -> Any:
        """Take (B, T, F) or tokens (B, T)."""
        there = self.steps.there(x)
        x = self.dropout(self.positions(self.project(self.steps.values(x))))
        for layer in self.layers:
            x = layer(x, there)
        return self.head(self.pooling(self.norm(x), there))


class EncoderLayer(nn.Module):
    """`nn.TransformerEncoderLayer` with ``norm_first`` and without dropout within the attention."""

    def __init__(self, recipe: Recipe, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.dropout = Attention(width, recipe.heads), nn.Dropout(recipe.dropout)
        inner = [nn.Linear(width, WIDER * width), ACTIVATIONS[recipe.activation]()]
        outer = [nn.Dropout(recipe.dropout), nn.Linear(WIDER * width, width), nn.Dropout(recipe.dropout)]
        self.inner = nn.Sequential(*inner, *outer)

    def forward(self, x: Tensor, there: Tensor) -> Any:
        """Take (B, T, width) and (B, T, 1)."""
        x = x + self.dropout(self.attention(self.first(x), there))
        return x + self.inner(self.second(x))
