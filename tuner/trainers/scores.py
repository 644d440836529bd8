"""The scores: accuracy, precision, recall, f1, r2, rmse; scikit-learn's definitions in a few lines.

Every trainer's readings have these, after every epoch, and `judging.measures` must agree with them. Importing
`sklearn.metrics` would take 1.2 s of CPU in each process that trains; the tests compare both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Dataset, Task

FOR_TASK: Mapping[Task, tuple[str, ...]] = {
    Task.CLASSIFICATION: (
        "accuracy", "precision", "recall", "f1", "precision_macro", "recall_macro", "f1_macro",
    ),
    Task.REGRESSION: ("r2", "rmse"),
}  # fmt: skip
"""The scores of each task, the default one first."""


def score(name: str, truth: NDArray[Any], predicted: NDArray[Any], data: Dataset) -> float:
    """One score of N predictions.

    * precision, recall, f1: of two classes those of `Dataset.positive`; of more, means over the
      classes that occur in either (macro averages), which the names with ``_macro`` always are.
      0 / 0 counts as 0.
    * r2: 1 minus the share of the variance that is left; of a constant target 1 or 0.
    * rmse: in the target's own units.
    * r2 and rmse of T targets are the mean of each target's.

    Args:
        name: one of `FOR_TASK`.
        truth: (N,) class indices, or (N, T) standardized numbers.
        predicted: likewise.
        data: says what classes there are, and what a standardized unit is worth.
    """
    if data.task is Task.CLASSIFICATION:
        return _classification(name, truth, predicted, data)
    y, p = truth.astype(np.float64), predicted.astype(np.float64)
    squares = np.sum((y - p) ** 2, axis=0)
    if name == "rmse":
        return float(np.mean(np.sqrt(squares / len(y)) * data.target_scale))
    total = np.sum((y - y.mean(axis=0)) ** 2, axis=0)
    constant = np.where(squares == 0, 1.0, 0.0)
    return float(np.mean(np.where(total == 0, constant, 1 - squares / np.where(total == 0, 1, total))))


def _classification(name: str, truth: NDArray[Any], predicted: NDArray[Any], data: Dataset) -> float:
    if name == "accuracy":
        return int(np.count_nonzero(truth == predicted)) / len(truth)
    classes, kind = len(data.classes), name.removesuffix("_macro")
    hits = np.bincount(truth[truth == predicted], minlength=classes)
    true, called = np.bincount(truth, minlength=classes), np.bincount(predicted, minlength=classes)
    above, below = {"precision": (hits, called), "recall": (hits, true), "f1": (2 * hits, true + called)}[
        kind
    ]
    shares = above / np.maximum(below, 1)
    if classes == 2 and kind == name:
        return float(shares[data.positive])
    return float(np.mean(shares[true + called > 0]))
