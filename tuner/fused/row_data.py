"""RowTargets: what rows learn from and are measured on, as arrays that kernels read.

Shared by all rows and threads, and never written to. Made by `trainers.torch.fused`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.fused.layout import Floats, padded
from tuner.fused.recipe import LossKind


@dataclass(frozen=True, slots=True)
class Targets:
    """What outputs are compared with.

    Attributes:
        labels: (N,) int64 classes, for cross-entropy; else empty.
        values: (N, outputs) float32, for the other losses; else (0, outputs).
        weights: (N,) float32, what each sample's loss is multiplied by; empty: nothing is.
        taught: (N, outputs) float32, a teacher's outputs; empty: there is none.
    """

    labels: NDArray[np.int64]
    values: Floats
    weights: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    taught: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    @classmethod
    def of(cls, targets: NDArray[Any], kind: LossKind, outputs: int) -> Targets:
        """Bring targets, (N,) classes for cross-entropy and else (N, outputs), into shape."""
        if kind is LossKind.CROSS_ENTROPY:
            return cls(np.array(targets, np.int64), np.zeros((0, outputs), np.float32))
        values = np.array(targets, np.float32).reshape(len(targets), outputs)
        return cls(np.zeros(0, np.int64), values)

    def weighed(self, weights: NDArray[Any] | None) -> Targets:
        """The same with these weights; None: without."""
        return replace(self, weights=np.array([] if weights is None else weights, np.float32))


@dataclass(frozen=True, slots=True)
class RowInputs:
    """Scaled inputs of the training split, of its sample and of the validation split.

    Each is padded with zeros, by `layout.padded`. Behind so many features come the codes of categories.
    """

    train: Floats
    sample: Floats
    validation: Floats
    features: int

    @classmethod
    def of(
        cls, train: NDArray[Any], sample: NDArray[Any], validation: NDArray[Any], *, codes: int = 0
    ) -> RowInputs:
        """Copy inputs of any shape (N, ...), the last of which are so many codes."""
        features = int(np.prod(train.shape[1:])) - codes
        return cls(padded(train), padded(sample), padded(validation), features)


@dataclass(frozen=True)
class RowTargets:
    """The targets of the three splits, and the loss that they are for.

    Attributes:
        kind: the loss.
        outputs: how many numbers the network puts out for a sample.
        train: targets of the training split.
        sample: of the part of it that the training loss is measured on.
        validation: of the validation split.
    """

    kind: LossKind
    outputs: int
    train: Targets = field(repr=False)
    sample: Targets = field(repr=False)
    validation: Targets = field(repr=False)

    @classmethod
    def of(
        cls,
        kind: LossKind,
        outputs: int,
        train: NDArray[Any],
        sample: NDArray[Any],
        validation: NDArray[Any],
    ) -> RowTargets:
        """Bring the targets of the splits into shape, see `Targets.of`."""
        return cls(kind, outputs, *(Targets.of(y, kind, outputs) for y in (train, sample, validation)))
