"""Losses that take arrays: the shipped ones by numpy, one of one's own by PyTorch, imported for it alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Task
from tuner.trainers.plain_losses import TASKS, PlainLoss


@dataclass(frozen=True, slots=True)
class TensorLoss:
    """A loss of one's own, which takes tensors, as one of arrays.

    Attributes:
        loss: of `losses`.
    """

    loss: Any

    def targets(self, y: NDArray[Any]) -> NDArray[Any]:
        """See `PlainLoss`."""
        return self._found(self.loss.targets, y)

    def rows(self, outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
        """See `PlainLoss`."""
        return np.asarray(self._found(self.loss.rows, outputs, targets), np.float64)

    def indices(self, outputs: NDArray[Any]) -> NDArray[np.int64]:
        """See `PlainLoss`."""
        return self._found(self.loss.indices, outputs)

    def probabilities(self, outputs: NDArray[Any]) -> NDArray[np.float32]:
        """See `PlainLoss`."""
        return self._found(self.loss.probabilities, outputs)

    def logits(self, shares: NDArray[Any]) -> NDArray[np.float32]:
        """See `PlainLoss`."""
        return self._found(self.loss.logits, shares)

    @staticmethod
    def _found(function: Any, *arrays: NDArray[Any]) -> NDArray[Any]:
        import torch

        with torch.no_grad():
            found: NDArray[Any] = function(*map(torch.tensor, arrays)).numpy()
        return found


def build(name: str, units: int, task: Task, folder: Path | None = None) -> PlainLoss | TensorLoss:
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
