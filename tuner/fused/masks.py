"""Masks: dropout whose zeros come from outside, so that every row has its own.

`replace_dropout` changes the network once, when its program is made; each forward pass is then given the
masks that `trainers.torch.batches` drew, in the order of the dropout calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
"""The layers that are replaced; the last three drop whole channels."""


@dataclass(frozen=True, slots=True)
class DropoutCall:
    """A call of a dropout layer.

    Attributes:
        layer: the layer's name in the network.
        shape: of a sample's mask.
    """

    layer: str
    shape: tuple[int, ...]


@dataclass(slots=True)
class DropoutMasks:
    """The masks of a forward pass in the order of the calls; without any, calls are noted instead."""

    calls: list[DropoutCall] = field(default_factory=list)
    _masks: Iterator[Tensor] | None = None

    @contextmanager
    def using(self, masks: Sequence[Tensor]) -> Iterator[None]:
        """Hand out these masks."""
        self._masks = iter(masks)
        try:
            yield
        finally:
            self._masks = None

    def apply(self, x: Tensor, call: DropoutCall) -> Tensor:
        """The sample (or batch) with the next mask on it."""
        if self._masks is None:
            self.calls.append(call)
            return x
        return x * next(self._masks)


class MaskedDropout(nn.Module):
    """Replaces a dropout layer; multiplies by a given mask."""

    def __init__(self, layer: str, whole_channels: bool, masks: DropoutMasks) -> None:
        super().__init__()
        self.layer, self.whole_channels, self.masks = layer, whole_channels, masks

    def forward(self, x: Tensor) -> Any:
        """Take (B, ...); in evaluation mode nothing happens."""
        if not self.training:
            return x
        shape = tuple(x.shape[1:])
        if self.whole_channels:
            shape = (*shape[:1], *(1 for _ in shape[1:]))
        return self.masks.apply(x, DropoutCall(self.layer, shape))


def dropout_rates(module: nn.Module) -> dict[str, float]:
    """The share that each dropout layer drops, by its name."""
    return {name: float(part.p) for name, part in module.named_modules() if isinstance(part, DROPOUTS)}


def replace_dropout(module: nn.Module) -> DropoutMasks:
    """Replace every dropout layer in place; one that is used under two names stays one.

    Returns:
        The masks that all of them use; those of an earlier call, if there was one.
    """
    earlier = (part.masks for part in module.modules() if isinstance(part, MaskedDropout))
    masks, placed = next(earlier, DropoutMasks()), {}
    for name, part in list(module.named_modules()):
        if isinstance(part, DROPOUTS):
            placed[part] = MaskedDropout(name, not isinstance(part, nn.Dropout), masks)
    for part in list(module.modules()):
        for name, child in part.named_children():
            if child in placed:
                setattr(part, name, placed[child])
    return masks
