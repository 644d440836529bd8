"""Part: one of several inputs out of the rows that hold all of them side by side, see `Dataset.parts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from tuner.core.dataset import InputPart
from tuner.fused.row_layer import RowLayer


class Part(RowLayer):
    """Rows (B, D) to what one input is alone, (B, *shape), tokens as whole numbers."""

    def __init__(self, part: InputPart, start: int) -> None:
        super().__init__()
        self.part, self.start = part, start

    def rows(self, _: Mapping[str, Tensor], /, *inputs: Tensor) -> Tensor:
        """(K, B, D), to (K, B, *shape)."""
        (x,) = inputs
        own = x[..., self.start : self.start + self.part.size].reshape(*x.shape[:-1], *self.part.shape)
        return own.to(torch.int32) if self.part.vocabulary else own


def layers_of(parts: Sequence[InputPart]) -> list[Part]:
    """A layer for each input, in their order."""
    starts = accumulate((part.size for part in parts), initial=0)
    return [Part(part, start) for part, start in zip(parts, starts, strict=False)]


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Inputs (B, *shape) each, side by side in rows, (B, D)."""
    return torch.cat([part.flatten(1).float() for part in parts], dim=1)


def by_name(module: nn.Module, parts: Sequence[InputPart]) -> nn.Module:
    """The same network, which gets rows (B, D) as a dictionary of its inputs by name."""
    layers = layers_of(parts)

    def split(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[dict[str, Tensor]]:
        return ({layer.part.name: layer(given[0]) for layer in layers},)

    module.register_forward_pre_hook(split)
    return module
