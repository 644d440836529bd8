"""WeightAverage: the mean of a trial's weights over its last steps, which is judged and kept in their place.

Used by `session`, whose tensors stay the same, and by `stacked_epoch`, whose rows' tensors are others in
each epoch. Compiled rows have the same in `fused.epoch_kernel`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tuner.fused.norms import norms_of


class WeightAverage:
    """An exponential moving average of tensors, as of PyTorch's `AveragedModel`.

    The running averages of batch normalization are averaged like weights, so that they fit these.

    Attributes:
        decay: what is left of the average at a step; 0: there is none.
        tensors: the average; none before the first step.
    """

    def __init__(self, decay: float, tensors: Sequence[Tensor] = ()) -> None:
        self.decay, self.tensors = decay, list(tensors)

    def copy(self) -> WeightAverage:
        """One that goes on independently."""
        return WeightAverage(self.decay, [tensor.clone() for tensor in self.tensors])

    @torch.no_grad()
    def follow(self, live: Sequence[Tensor]) -> None:
        """Take in what a step made of the tensors; the first one is the average as it is."""
        if not self.tensors:
            self.tensors = [tensor.detach().clone() for tensor in live]
            return
        for average, tensor in zip(self.tensors, live, strict=True):
            average.lerp_(tensor, 1 - self.decay)

    @contextmanager
    @torch.no_grad()
    def shown(self, live: Sequence[Tensor]) -> Iterator[None]:
        """Let the tensors be their average for a while."""
        own = [tensor.clone() for tensor in live[: len(self.tensors)]]
        for tensor, average in zip(live, self.tensors, strict=False):
            tensor.copy_(average)
        try:
            yield
        finally:
            for tensor, before in zip(live, own, strict=False):
                tensor.copy_(before)


def running_averages(module: nn.Module) -> list[Tensor]:
    """What batch normalization averages over batches, counts apart."""
    return [b for norm in norms_of(module) for b in norm.buffers() if b.is_floating_point()]
