"""cnn and conv1d: convolutions over the pixels of an image, and over the steps of a sequence."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from tuner.core.trial import Params
from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.networks.blocks import behind, head
from tuner.trainers.torch.networks.steps import StepConvolution, StepPooling, Steps
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.shipped import pooling_of


def cnn(params: Params, context: NetworkContext) -> nn.Module:
    """`depth` blocks of a convolution and 2x2 pooling, then a dense layer if there is one, and a linear one.

    The first block has `width` channels and each further one twice as many; an axis is pooled as
    long as it is longer than one pixel. Layer normalization goes over channels and pixels. `residual` adds to
    what a block makes of its inputs these inputs, through a 1x1 convolution (He et al. 2016, projections).
    """
    recipe = Recipe.of(params)
    channels, height, width = context.input_shape
    kind = nn.MaxPool2d if pooling_of("cnn", recipe.pooling) == "max" else nn.AvgPool2d
    layers: list[nn.Module] = []
    for block, base in enumerate(recipe.widths):
        more, kernel = base * 2**block, recipe.kernel_size
        norms: list[nn.Module] = [nn.BatchNorm2d(more)] if recipe.batch_norm else []
        norms += [nn.GroupNorm(1, more)] if recipe.layer_norm else []
        body = [
            nn.Conv2d(channels, more, kernel, padding=kernel // 2),
            *behind(recipe, *norms),
        ]
        layers += [Residual(body, nn.Conv2d(channels, more, 1))] if recipe.residual else body
        # What an even kernel leaves is one pixel larger.
        channels, height, width = more, height + 1 - kernel % 2, width + 1 - kernel % 2
        pool = (min(2, height), min(2, width))
        if pool != (1, 1):
            layers.append(kind(pool))
        height, width = height // pool[0], width // pool[1]
    return nn.Sequential(*layers, nn.Flatten(), *head(recipe, channels * height * width, context.outputs))


class Residual(nn.Module):
    """The sum of two ways."""

    def __init__(self, body: list[nn.Module], shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = nn.Sequential(*body), shortcut

    def forward(self, x: Tensor) -> Any:
        """Take (B, C, H, W)."""
        return self.body(x) + self.shortcut(x)


class Conv1d(nn.Module):
    """`depth` convolutions of `width` channels over the steps, then each channel's largest or mean number."""

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__()
        recipe = Recipe.of(params)
        self.steps = Steps(context, recipe.token_size)
        size = self.steps.size
        self.convolutions, self.behind = nn.ModuleList(), nn.ModuleList()
        for width in recipe.widths:
            self.convolutions.append(StepConvolution(size, width, recipe.kernel_size))
            size = width
            norms = [nn.LayerNorm(size)] if recipe.layer_norm else []
            self.behind.append(nn.Sequential(*behind(recipe, *norms)))
        self.pooling = StepPooling(pooling_of("conv1d", recipe.pooling))
        self.head = nn.Sequential(*head(recipe, size, context.outputs))

    def forward(self, x: Tensor) -> Any:
        """Take (B, T, F) or tokens (B, T)."""
        there, x = self.steps.there(x), self.steps.values(x)
        for convolution, rest in zip(self.convolutions, self.behind, strict=True):
            x = rest(convolution(x, there))
        return self.head(self.pooling(x, there))
