"""The shipped losses in numpy: what rows are trained on, and what a network's outputs mean.

A twin of `torch.losses`, which trains with PyTorch, for what has to do without it; the tests hold one to the
other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Dataset, Task
from tuner.core.spec import StudySpec

_TINY = np.finfo(np.float32).tiny

DEFAULT: Mapping[Task, str] = {
    Task.CLASSIFICATION: "cross_entropy",
    Task.MULTILABEL: "binary_cross_entropy",
    Task.REGRESSION: "mse",
}
"""The loss of a study that names none."""

TASKS: Mapping[str, tuple[Task, ...]] = {
    "cross_entropy": (Task.CLASSIFICATION,),
    "binary_cross_entropy": (Task.CLASSIFICATION, Task.MULTILABEL),
    "mse": (Task.REGRESSION,),
    "mae": (Task.REGRESSION,),
    "huber": (Task.REGRESSION,),
}
"""The shipped losses, and what each is for."""


@dataclass(frozen=True, slots=True)
class PlainLoss:
    """A shipped loss.

    Attributes:
        name: one of `TASKS`.
        units: C classes, L labels or T targets.
        task: what is predicted.
    """

    name: str
    units: int
    task: Task

    @property
    def outputs(self) -> int:
        """How many numbers the network puts out: one logit where two classes need no second."""
        return 1 if self._is_binary and self.units == 2 and self.task is Task.CLASSIFICATION else self.units

    @property
    def _is_binary(self) -> bool:
        return self.name == "binary_cross_entropy"

    def targets(self, y: NDArray[Any]) -> NDArray[Any]:
        """Class indices (N,), labels (N, L) or numbers (N,) or (N, T), as the loss takes them."""
        if self.task is Task.CLASSIFICATION and not self._is_binary:
            return y
        if self.task is Task.CLASSIFICATION and self.outputs > 1:
            return np.asarray(y[:, None] == np.arange(self.units), np.float32)
        return np.asarray(y, np.float32).reshape(len(y), self.outputs)

    def rows(self, outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
        """The loss of every row, (N,), of outputs (N, outputs)."""
        z = np.asarray(outputs, np.float64)
        if self.name == "cross_entropy":
            z = z - z.max(axis=1, keepdims=True)
            chosen = np.take_along_axis(z, targets[:, None], axis=1)[:, 0]
            lost: NDArray[np.float64] = np.log(np.exp(z).sum(axis=1)) - chosen
            return lost
        if not self._is_binary:
            return of_difference(self.name, np.abs(z - targets))
        each: NDArray[np.float64] = np.maximum(z, 0) - z * targets + np.log1p(np.exp(-np.abs(z)))
        return np.asarray(each.mean(axis=1))

    def indices(self, outputs: NDArray[Any]) -> NDArray[np.int64]:
        """The predicted class of each row, (N,), or 0 or 1 of each label, (N, L)."""
        if self.task is Task.MULTILABEL:
            return (outputs > 0).astype(np.int64)
        found = outputs[:, 0] > 0 if self.outputs < self.units else outputs.argmax(axis=1)
        return found.astype(np.int64)

    def probabilities(self, outputs: NDArray[Any]) -> NDArray[np.float32]:
        """The probability of each class, (N, C), or that a label is 1, (N, L).

        One-against-rest probabilities are made to sum to 1.
        """
        if not self._is_binary:
            shares = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)
        shares = np.asarray(0.5 * np.tanh(0.5 * outputs) + 0.5, np.float32)
        if self.task is Task.MULTILABEL:
            return shares
        if self.outputs == 1:
            return np.concatenate([1 - shares, shares], axis=1)
        return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)

    def logits(self, shares: NDArray[Any]) -> NDArray[np.float32]:
        """Outputs that have these probabilities; of two classes that of the second."""
        of = shares[:, 1:] if self.outputs < self.units else shares
        found = np.log(np.maximum(of, _TINY))
        return np.asarray(found - np.log(np.maximum(1 - of, _TINY)) if self._is_binary else found, np.float32)


def of_difference(loss: str | None, away: NDArray[Any]) -> NDArray[Any]:
    """The loss of each row, (n,), of absolute differences, (n,) or (n, T); `nan` of a loss of one's own."""
    each = away**2
    if loss == "mae":
        each = away
    elif loss == "huber":
        each = np.where(away > 1, away - 0.5, 0.5 * away**2)
    elif loss not in (None, "mse"):
        each = np.full_like(away, math.nan)
    return np.asarray(each.reshape(len(each), -1).mean(axis=1))


def name_of(spec: StudySpec, task: Task) -> str:
    """The loss that a study names, or the task's default."""
    return spec.trainer.loss or DEFAULT[task]


def of(spec: StudySpec, data: Dataset) -> PlainLoss:
    """The loss of a study that names a shipped one."""
    return PlainLoss(name_of(spec, data.task), data.outputs, data.task)
