"""A row's private random streams: order of an epoch, dropout, input noise, mixup.

The order and mixup come from generators, whose states are part of the row. Dropout and noise are
functions of (seed, step, layer, position in the batch, unit), which back ends compute, and have no
state. The order in which the generators are drawn from is part of a study's numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.fused.mersenne import Mersenne
from tuner.fused.recipe import Seeds


class RowRng:
    """The streams of one row."""

    def __init__(self, seeds: Seeds) -> None:
        self._order, self._partner = Mersenne(seeds.order), Mersenne(seeds.partner)
        self._mixing = np.random.default_rng(seeds.mixing)

    def order(self, samples: int) -> NDArray[np.int64]:
        """The order of the next epoch."""
        return self._order.permutation(samples)

    def mixing(self, alpha: float, sizes: list[int]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """What the next batches are mixed by: the share of each, and each position's partner in its batch."""
        shares = np.array([self._mixing.beta(alpha, alpha) for _ in sizes], np.float32)
        return shares, np.concatenate([self._partner.permutation(size) for size in sizes])

    def state(self) -> tuple[dict[str, NDArray[np.uint8]], dict[str, Any]]:
        """Where the generators stand: those of PyTorch's kind as bytes, numpy's own as a table for JSON."""
        states = {"order": self._order.state(), "partner": self._partner.state()}
        return states, dict(self._mixing.bit_generator.state)

    def restore(self, arrays: Mapping[str, NDArray[Any]], mixing: Mapping[str, Any]) -> None:
        """Put the generators where `state` found them."""
        for name, generator in (("order", self._order), ("partner", self._partner)):
            generator.restore(arrays[name])
        self._mixing.bit_generator.state = dict(mixing)
