"""RowLayer: a layer that says itself what it makes of K rows at once; alone it is one row.

So it has one implementation, which `layers` calls for rows side by side and torch for a network alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Generator, Tensor, nn

Draw = Callable[[Tensor], None]
"""Draws the first weights of a matrix, or of a kernel, in place."""


class RowLayer(nn.Module):
    """A layer without layers in it, whose outputs follow from its own tensors and its inputs."""

    def rows(self, own: Mapping[str, Tensor], /, *inputs: Tensor) -> Tensor:
        """Compute rows, each by itself.

        Args:
            own: the layer's parameters and buffers by name, (K, *shape).
            inputs: (K, B, ...) each.
        """
        raise NotImplementedError

    def forward(self, *inputs: Tensor) -> Any:
        """Take (B, ...) each."""
        own = {name: tensor[None] for name, tensor in self.tensors().items()}
        return self.rows(own, *(x[None] for x in inputs))[0]

    def initialize(self, draw: Draw, generator: Generator, /) -> None:
        """Draw first weights, by `draw` or in a way of its own from the generator."""

    def tensors(self) -> dict[str, Tensor]:
        """The parameters and the buffers by name."""
        return dict(self.named_parameters()) | dict(self.named_buffers())
