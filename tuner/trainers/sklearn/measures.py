"""Losses and scores of an estimator on a split.

Takes inputs as the estimator was fitted on them; what it was fitted with is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from tuner.core.dataset import Dataset, Task

SCORES: Mapping[Task, tuple[str, ...]] = {
    Task.CLASSIFICATION: ("accuracy", "precision", "recall", "f1"),
    Task.REGRESSION: ("r2", "rmse"),
}
"""The scores of each task, the default one first."""

LOSSES: Mapping[Task, str] = {Task.CLASSIFICATION: "cross_entropy", Task.REGRESSION: "mse"}
"""What the losses of a reading are."""

_CLASSIFIED: Mapping[str, Callable[..., float]] = {
    "accuracy": metrics.accuracy_score,
    "precision": partial(metrics.precision_score, average="macro", zero_division=0),
    "recall": partial(metrics.recall_score, average="macro", zero_division=0),
    "f1": partial(metrics.f1_score, average="macro", zero_division=0),
}


def measure(
    estimator: Any, x: NDArray[Any], y: NDArray[Any], data: Dataset, score: str
) -> tuple[float, float]:
    """The loss and the score of a split.

    The loss of a classifier is the mean negative log likelihood of the true class, probabilities
    clipped to the resolution of their floats; without probabilities it is the share of errors.
    That of a regressor is the mean squared error of the standardized target.

    Args:
        estimator: fitted.
        x: (N, D).
        y: (N,) class indices, or (N,) or (N, T) standardized targets.
        data: knows the task and the target's units.
        score: one of `SCORES`; macro averages over classes, rmse in the target's units.

    Returns:
        Both `nan` where predictions are no numbers.
    """
    if data.task is Task.CLASSIFICATION:
        predicted = estimator.predict(x)
        told = hasattr(estimator, "predict_proba")
        loss = np.mean(row_losses(estimator, x, y)) if told else np.mean(predicted != y)
        return float(loss), float(_CLASSIFIED[score](y, predicted))
    predicted = np.asarray(estimator.predict(x), np.float64).reshape(y.shape)
    loss = np.mean((predicted - y) ** 2)
    if not math.isfinite(loss):
        return float(loss), math.nan
    if score == "r2":
        return float(loss), float(metrics.r2_score(y, predicted))
    scale = data.target_scale
    return float(loss), float(metrics.root_mean_squared_error(y * scale, predicted * scale))


def row_losses(estimator: Any, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """The negative log likelihood of each row's class, (N,).

    Args:
        estimator: one with `predict_proba`.
        x: (N, D).
        y: (N,) class indices.
    """
    probabilities = np.asarray(estimator.predict_proba(x))  # (N, classes seen in training)
    columns = np.searchsorted(estimator.classes_, y)
    known = np.isin(y, estimator.classes_)
    rows = np.arange(len(y))[known]
    true = np.zeros(len(y), probabilities.dtype)
    true[known] = probabilities[rows, columns[known]]
    tiny = np.finfo(probabilities.dtype).eps
    return np.asarray(-np.log(np.clip(true, tiny, 1 - tiny), dtype=np.float64))
