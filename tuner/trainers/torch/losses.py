"""The losses: cross_entropy, binary_cross_entropy, mse, mae, huber; and what outputs mean under each.

Outputs are logits, or targets in standardized units; units of one's own are not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tuner.core.dataset import Task

FOR_TASK: Mapping[Task, tuple[str, ...]] = {
    Task.CLASSIFICATION: ("cross_entropy", "binary_cross_entropy"),
    Task.REGRESSION: ("mse", "mae", "huber"),
}
"""The losses of each task, the default one first."""

_REGRESSION: Mapping[str, Callable[..., Tensor]] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.huber_loss,
}


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss and what it makes of N rows.

    Attributes:
        name: one of `FOR_TASK`.
        units: C classes, or T targets.
    """

    name: str
    units: int

    @property
    def outputs(self) -> int:
        """How many numbers the network puts out: one logit where two classes need no second."""
        return 1 if self.name == "binary_cross_entropy" and self.units == 2 else self.units

    def targets(self, y: Tensor) -> Tensor:
        """Bring targets into the shape the loss takes.

        Args:
            y: (N,) class indices, or (N,) or (N, T) numbers.

        Returns:
            (N,) class indices for cross_entropy, else float (N, outputs): for
            binary_cross_entropy of more than two classes one-hot rows, so that each class is told
            from the rest.
        """
        if self.name == "cross_entropy":
            return y
        if self.name == "binary_cross_entropy" and self.outputs > 1:
            return functional.one_hot(y, self.units).float()
        return y.float().reshape(len(y), self.outputs)

    def soft(self, targets: Tensor) -> Tensor:
        """Targets as numbers (N, outputs) that can be mixed: class indices become one-hot rows."""
        return functional.one_hot(targets, self.units).float() if targets.ndim == 1 else targets

    def __call__(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """The mean over the rows (and over outputs, where a row has several losses); 0-d.

        With smoothing s a class's target y becomes (1 - s) y + s / C (Szegedy et al. 2016, sec. 7);
        each binary target counts as two classes.

        Args:
            outputs: (N, outputs).
            targets: what `targets` or `soft` returned, (N,) or (N, outputs).
            smoothing: ignored by regression.
        """
        if self.name == "cross_entropy":
            return functional.cross_entropy(outputs, targets, label_smoothing=smoothing)
        if self.name == "binary_cross_entropy":
            smoothed = targets * (1 - smoothing) + smoothing / 2 if smoothing else targets
            return functional.binary_cross_entropy_with_logits(outputs, smoothed)
        return _REGRESSION[self.name](outputs, targets)

    def smoothed(self, soft: Tensor, smoothing: Tensor) -> Tensor:
        """Soft targets (..., outputs) with as much smoothing as `__call__` gives them."""
        if self.name == "cross_entropy":
            return soft * (1 - smoothing) + smoothing / self.units
        return soft * (1 - smoothing) + smoothing / 2 if self.name == "binary_cross_entropy" else soft

    def each(self, outputs: Tensor, soft: Tensor) -> Tensor:
        """The loss of every sample, (...), whose mean is that of `__call__`.

        Args:
            outputs: (..., outputs).
            soft: numbers of the same shape; see `soft`.
        """
        if self.name == "cross_entropy":
            return -(soft * outputs.log_softmax(dim=-1)).sum(dim=-1)
        if self.name == "binary_cross_entropy":
            several = functional.binary_cross_entropy_with_logits(outputs, soft, reduction="none")
        else:
            several = _REGRESSION[self.name](outputs, soft, reduction="none")
        return several.mean(dim=-1)

    def indices(self, outputs: Tensor) -> Tensor:
        """The predicted class of each row, (N,)."""
        return (outputs[:, 0] > 0).long() if self.outputs == 1 else outputs.argmax(dim=1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """The probability of each class, (N, C); one-against-rest probabilities are made to sum to 1."""
        if self.name == "cross_entropy":
            return outputs.softmax(dim=1)
        shares = outputs.sigmoid()
        if self.outputs == 1:
            return torch.cat([1 - shares, shares], dim=1)
        return shares / shares.sum(dim=1, keepdim=True)
