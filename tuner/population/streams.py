"""A row's private random streams: order of an epoch, dropout, input noise, mixup.

The order and mixup come from generators, whose states are part of the row. Dropout and noise are
functions of (seed, step, layer, position in the batch, unit), which back ends compute, and have no
state. What is done with the numbers is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tuner.population.recipe import Seeds


class Streams:
    """The streams of one row."""

    def __init__(self, seeds: Seeds) -> None:
        self._order = torch.Generator().manual_seed(seeds.order)
        self._partner = torch.Generator().manual_seed(seeds.partner)
        self._mixing = np.random.default_rng(seeds.mixing)

    def order(self, samples: int) -> NDArray[np.int64]:
        """The order of the next epoch."""
        found: NDArray[np.int64] = torch.randperm(samples, generator=self._order).numpy()
        return found

    def mixing(self, alpha: float, sizes: list[int]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """What the next batches are mixed by: the share of each, and each position's partner in its batch."""
        shares = np.array([self._mixing.beta(alpha, alpha) for _ in sizes], np.float32)
        partners = [torch.randperm(size, generator=self._partner) for size in sizes]
        return shares, torch.cat(partners).numpy()

    def state(self) -> dict[str, Any]:
        """Where the generators stand; bytes and JSON-ready tables."""
        return {
            "order": self._order.get_state().numpy().tobytes(),
            "partner": self._partner.get_state().numpy().tobytes(),
            "mixing": self._mixing.bit_generator.state,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put the generators where `state` found them."""
        for name, generator in (("order", self._order), ("partner", self._partner)):
            generator.set_state(torch.frombuffer(bytearray(state[name]), dtype=torch.uint8))
        self._mixing.bit_generator.state = state["mixing"]
