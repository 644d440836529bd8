"""Scaling of inputs: none, standard or min-max, fitted on the training split.

An array goes in, a shift and a factor come out, which a saved model applies to new rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tuner.errors import DataError, near

KINDS = ("none", "standard", "min-max")
"""What `Scaling.fit` knows."""


@dataclass(frozen=True)
class Scaling:
    """A linear map, ``(x - shift) * factor``.

    Attributes:
        kind: one of `KINDS`.
        shift: float32, (D,) for tables, (C, 1, 1) for images.
        factor: float32, shaped like `shift`; 0 for what never changes in the training split, so
            that it says nothing in any other split either.
    """

    kind: str
    shift: NDArray[np.float32]
    factor: NDArray[np.float32]

    @classmethod
    def fit(cls, kind: str, x: NDArray[Any]) -> Self:
        """Fit a scaling.

        Args:
            kind: ``"none"``; ``"standard"``: mean 0 and standard deviation 1; ``"min-max"``: 0 to 1.
            x: the training split, (N, D) for tables, scaled by column, or (N, C, H, W) for images,
                scaled by channel.

        Raises:
            DataError: the kind is unknown.
        """
        if kind not in KINDS:
            raise DataError(f"scaling: unknown name {kind!r}; {near(kind, KINDS)}")
        axes = (0, *range(2, x.ndim))
        low, high = (
            np.squeeze(f(x, axis=axes, keepdims=True), 0).astype(np.float64) for f in (np.min, np.max)
        )
        if kind == "none":
            return cls(kind, np.zeros(low.shape, np.float32), np.ones(low.shape, np.float32))
        shift, spread = low, high - low
        if kind == "standard":
            shift = np.squeeze(np.mean(x, axis=axes, keepdims=True, dtype=np.float64), 0)
            spread = np.squeeze(np.std(x, axis=axes, keepdims=True, dtype=np.float64), 0)
        moves = (high > low) & (spread >= np.finfo(np.float32).tiny)
        factor = np.divide(1.0, spread, out=np.zeros_like(spread), where=moves)
        return cls(kind, shift.astype(np.float32), factor.astype(np.float32))

    def apply(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Scale (N, D) or (N, C, H, W), as it was fitted."""
        scaled: NDArray[np.float32] = (np.asarray(x, np.float32) - self.shift) * self.factor
        return scaled

    def to_table(self) -> dict[str, Any]:
        """The scaling as a JSON-ready table that `from_table` reads back exactly."""
        return {"kind": self.kind, "shift": self.shift.tolist(), "factor": self.factor.tolist()}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """Read what `to_table` wrote."""
        shift, factor = (np.asarray(table[key], np.float32) for key in ("shift", "factor"))
        return cls(str(table["kind"]), shift, factor)
