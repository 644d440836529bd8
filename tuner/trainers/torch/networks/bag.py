"""bag: the mean of a text's embedded tokens, whatever their order."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from tuner.core.trial import Params
from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.networks.blocks import hidden
from tuner.trainers.torch.networks.steps import MeanEmbedding
from tuner.trainers.torch.recipe import Recipe


class Bag(nn.Module):
    """The mean of the tokens' embeddings, then hidden layers: `depth` of `width` (Joulin et al. 2017)."""

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__()
        recipe = Recipe.of(params)
        layers = hidden(recipe, recipe.token_size)
        size = (recipe.token_size, *recipe.widths)[-1]
        self.mean = MeanEmbedding(context.vocabulary, recipe.token_size)
        self.head = nn.Sequential(*layers, nn.Linear(size, context.outputs))

    def forward(self, x: Tensor) -> Any:
        """Take tokens (B, T)."""
        return self.head(self.mean(x))
