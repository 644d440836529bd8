"""DataParallel: what the processes of one trial share while each of them trains on its part of every batch.

Each has the whole network and draws the whole epoch's random numbers, so that the batch is the one that a
single process would have. Gradients lie in a few flat tensors, see `TorchUpdate`, so one sum of each is
all that a step sends. With `sync_every` above 1 every process steps by itself on its part, and the weights
are averaged from time to time (local SGD, Stich 2019, algorithm 1); moments are each process's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, distributed

from tuner.core.job import Resources
from tuner.core.seeds import derive


class DataParallel:
    """The part of one process; of a single one everything, and nothing is sent."""

    def __init__(self, resources: Resources, sync_every: int = 1) -> None:
        """Take part as `resources.rank`.

        Args:
            resources: how many processes there are, and which one this is.
            sync_every: steps between averages of the weights; 1: gradients are averaged instead.
        """
        self._size, self._rank = resources.world_size, resources.rank or 0
        self._every, self._steps = sync_every, 0

    def seed(self, seed: int) -> int:
        """A seed of its own for what each process draws for its own rows, rank 0 like a single process."""
        return derive(seed, self._rank, "rank") if self._rank else seed

    def part(self, count: int) -> slice:
        """Which of a batch's rows are this process's, as even as can be."""
        return slice(count * self._rank // self._size, count * (self._rank + 1) // self._size)

    def least(self, count: int) -> int:
        """How many of so many rows the rank with the fewest has."""
        return count // self._size

    def share(self, part: slice, count: int) -> float:
        """What the mean loss of the part counts in the step."""
        return 1.0 if self._size == 1 or self._every > 1 else (part.stop - part.start) / count

    @torch.no_grad()
    def add_gradients(self, weights: Sequence[Tensor]) -> None:
        """Make the gradients of all parts the batch's."""
        if self._size > 1 and self._every == 1:
            for each in weights:
                distributed.all_reduce(each.grad)

    def follow(self, weights: Sequence[Tensor]) -> None:
        """After a step: average the weights if it is time."""
        self._steps += 1
        if self._every > 1 and self._steps % self._every == 0:
            self.average(weights)

    def end_epoch(self, weights: Sequence[Tensor], statistics: Sequence[Tensor]) -> None:
        """Make all processes' networks the same.

        Args:
            weights: trained tensors.
            statistics: what each has gathered on its own rows, such as running averages.
        """
        self._steps = 0
        if self._every > 1:
            self.average(weights)
        self.average(statistics)

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes."""
        if self._size > 1:
            for each in tensors:
                distributed.all_reduce(each.data)
                each.data.div_(self._size)

    def gathered(self, part: Tensor, count: int) -> Tensor:
        """All processes' rows, of which this one has `part`, as `part` divides `count` rows."""
        if self._size == 1:
            return part
        most = -(-count // self._size)
        padded = part.new_zeros((most, *part.shape[1:]))
        padded[: len(part)] = part
        found = [torch.empty_like(padded) for _ in range(self._size)]
        distributed.all_gather(found, padded)
        sizes = [count * (rank + 1) // self._size - count * rank // self._size for rank in range(self._size)]
        return torch.cat([rows[:size] for rows, size in zip(found, sizes, strict=True)])
