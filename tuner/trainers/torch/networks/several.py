"""several: a network for each of several inputs, and layers that take what all of them found."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from tuner.core.trial import Params
from tuner.trainers.torch.context import NetworkContext, builder
from tuner.trainers.torch.input_parts import layers_of
from tuner.trainers.torch.networks.blocks import behind, head
from tuner.trainers.torch.networks.steps import Joined
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.shipped import own_params


class Several(nn.Module):
    """Each input through the network of its kind to `width` numbers, then the outputs of all of them.

    The parameters are those of these networks, see `own_params`; `dense_units` is one more layer of them all.
    """

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__()
        recipe, size = Recipe.of(params), 0
        self.inputs = nn.ModuleList(layers_of(context.parts))
        self.networks, self.join = nn.ModuleList(), Joined()
        for part in context.parts:
            model, own = own_params(part.kind, params)
            outputs = Recipe.of(own).width
            alone = NetworkContext(
                part.shape, outputs, context.task, params=own, vocabulary=part.vocabulary, masked=part.masked
            )
            self.networks.append(builder(model)(own, alone))
            size += outputs
        self.head = nn.Sequential(*behind(recipe), *head(recipe, size, context.outputs))

    def forward(self, x: Tensor) -> Any:
        """Take (B, D), see `Dataset.parts`."""
        each = zip(self.inputs, self.networks, strict=True)
        return self.head(self.join(*[network(part(x)) for part, network in each]))
