"""rnn: recurrent layers over the steps of a sequence."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from tuner.core.trial import Params
from tuner.fused.recurrence import Recurrence
from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.networks.blocks import head
from tuner.trainers.torch.networks.steps import Joined, LastStates, StepPooling, Steps
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.shipped import pooling_of


class Rnn(nn.Module):
    """`depth` recurrent layers of `width` units each way, then the last states, their mean or their largest.

    As in torch's own layers dropout is between and behind them; `activation` is that of the dense layer.
    """

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__()
        recipe = Recipe.of(params)
        self.steps = Steps(context, recipe.token_size)
        size, directions = self.steps.size, (False, True)[: 1 + recipe.bidirectional]
        self.layers, self.behind = nn.ModuleList(), nn.ModuleList()
        kind = pooling_of("rnn", recipe.pooling)
        self.join, self.is_last = Joined(), kind == "last"
        for layer, width in enumerate(recipe.widths):
            ends = self.is_last and layer == recipe.depth - 1
            units = (Recurrence(recipe.cell, size, width, back, ends) for back in directions)
            self.layers.append(nn.ModuleList(units))
            size = width * len(directions)
            norms = [nn.LayerNorm(size)] if recipe.layer_norm else []
            dropout = [nn.Dropout(recipe.dropout)] if recipe.dropout else []
            self.behind.append(nn.Sequential(*norms, *dropout))
        self.pooling = LastStates((recipe.width, *recipe.widths)[-1]) if self.is_last else StepPooling(kind)
        self.head = nn.Sequential(*head(recipe, size, context.outputs))

    def forward(self, x: Tensor) -> Any:
        """Take (B, T, F) or tokens (B, T)."""
        there, x = self.steps.there(x), self.steps.values(x)
        for units, behind in zip(self.layers, self.behind, strict=True):
            # Joined even if it is one: dropout goes by the order in memory.
            x = behind(self.join(*(unit(x, there) for unit in units)))  # type: ignore[attr-defined]
        return self.head(self.pooling(x) if self.is_last else self.pooling(x, there))
