"""FirstWeights: the first weights of an `mlp` without PyTorch, those that `initialization` draws.

Both are drawn from the same numbers; normal ones, and what follows from them, may differ in their last bits.
"""

from __future__ import annotations

import math

import numpy as np

from tuner.fused.layout import Floats
from tuner.fused.mersenne import Mersenne

SMALL = 0.01
"""The standard deviation of small_normal at gain 1."""

EMBEDDING_DEVIATION = 0.1
"""Of the first embeddings, whatever the recipe draws weights from."""


class FirstWeights:
    """The weights of a network's layers, in their order.

    See `initialization.initialize` for the distributions.
    """

    def __init__(self, init: str, gain: float, seed: int) -> None:
        self._init, self._gain, self._stream = init, gain, Mersenne(seed)

    def embedding(self, shape: tuple[int, ...]) -> Floats:
        """A table of embeddings, (categories, size)."""
        return self._normal(shape, EMBEDDING_DEVIATION)

    def linear(self, shape: tuple[int, ...]) -> Floats:
        """A matrix, (fan_out, fan_in)."""
        gain, (fan_out, fan_in) = self._gain, shape
        match self._init:
            case "small_normal":
                return self._normal(shape, SMALL * gain)
            case "xavier_uniform":
                return self._uniform(shape, math.sqrt(3.0) * gain * math.sqrt(2.0 / (fan_in + fan_out)))
            case "xavier_normal":
                return self._normal(shape, gain * math.sqrt(2.0 / (fan_in + fan_out)))
            case "he_uniform":
                bound = math.sqrt(3.0) * (math.sqrt(2.0) / math.sqrt(fan_in))
                return self._uniform(shape, bound) * np.float32(gain)
            case "he_normal":
                return self._normal(shape, math.sqrt(2.0) / math.sqrt(fan_in)) * np.float32(gain)
            case _:
                return self._orthogonal(shape) * np.float32(gain)

    def _uniform(self, shape: tuple[int, ...], bound: float) -> Floats:
        low, high = np.float32(-bound), np.float32(bound)
        found = self._stream.uniform(math.prod(shape)).reshape(shape)
        # PyTorch multiplies and adds in one instruction, which rounds once.
        return (found.astype(np.float64) * (high - low) + low).astype(np.float32)

    def _normal(self, shape: tuple[int, ...], deviation: float) -> Floats:
        return self._stream.normal(math.prod(shape)).reshape(shape) * np.float32(deviation)

    def _orthogonal(self, shape: tuple[int, ...]) -> Floats:
        """With signs by which it is spread evenly over all such matrices (Mezzadri 2007)."""
        drawn, is_wide = self._stream.normal(math.prod(shape)).reshape(shape), shape[0] < shape[1]
        q, r = np.linalg.qr(drawn.T if is_wide else drawn)
        q *= np.sign(np.diag(r))
        return np.ascontiguousarray(q.T if is_wide else q)
