"""Losses that take arrays: the shipped ones by numpy, one of one's own by PyTorch, imported for it alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Task
from tuner.trainers.torch.plain_losses import TASKS, PlainLoss


class ArrayLoss(Protocol):
    """What a loss makes of arrays, outputs being (N, outputs)."""

    def targets(self, y: NDArray[Any]) -> NDArray[Any]:
        """Class indices (N,), labels (N, L) or numbers (N,) or (N, T), as the loss takes them."""

    def rows(self, outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
        """The loss of every row, (N,)."""

    def indices(self, outputs: NDArray[Any]) -> NDArray[np.int64]:
        """The predicted class of each row, (N,), or 0 or 1 of each label, (N, L)."""

    def probabilities(self, outputs: NDArray[Any]) -> NDArray[np.float32]:
        """The probability of each class, (N, C), or that a label is 1, (N, L)."""

    def logits(self, shares: NDArray[Any]) -> NDArray[np.float32]:
        """Outputs that have these probabilities."""


@dataclass(frozen=True, slots=True)
class TensorLoss:
    """A loss of one's own, which takes tensors, as one of arrays.

    Attributes:
        loss: of `losses`.
    """

    loss: Any

    def targets(self, y: NDArray[Any]) -> NDArray[Any]:
        """See `ArrayLoss`."""
        return self._found(self.loss.targets, y)

    def rows(self, outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
        """See `ArrayLoss`."""
        return np.asarray(self._found(self.loss.rows, outputs, targets), np.float64)

    def indices(self, outputs: NDArray[Any]) -> NDArray[np.int64]:
        """See `ArrayLoss`."""
        return self._found(self.loss.indices, outputs)

    def probabilities(self, outputs: NDArray[Any]) -> NDArray[np.float32]:
        """See `ArrayLoss`."""
        return self._found(self.loss.probabilities, outputs)

    def logits(self, shares: NDArray[Any]) -> NDArray[np.float32]:
        """See `ArrayLoss`."""
        return self._found(self.loss.logits, shares)

    @staticmethod
    def _found(function: Any, *arrays: NDArray[Any]) -> NDArray[Any]:
        import torch

        with torch.no_grad():
            found: NDArray[Any] = function(*map(torch.tensor, arrays)).numpy()
        return found


def build(name: str, units: int, task: Task, folder: Path | None = None) -> ArrayLoss:
    """The loss of a name or a reference; see `losses.build`."""
    if name in TASKS:
        return PlainLoss(name, units, task)
    from tuner.trainers.torch import losses

    return TensorLoss(losses.build(name, units, task, folder))


def fault(name: str | None, task: Task) -> str | None:
    """Why a study of a task cannot have a loss; None where it can."""
    if name is None or task in TASKS.get(name, ()):
        return None
    from tuner.trainers.torch import losses

    return losses.fault(name, task)
