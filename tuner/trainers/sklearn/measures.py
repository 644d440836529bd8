"""Losses and scores of an estimator on a split.

Takes inputs scaled as those that the estimator was fitted on. Called after every epoch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Dataset, Task
from tuner.trainers.formulas import Weight
from tuner.trainers.scores import Score

LOSSES: Mapping[Task, str] = {Task.CLASSIFICATION: "cross_entropy", Task.REGRESSION: "mse"}
"""What the losses of a reading are."""


def measure(
    estimator: Any, x: NDArray[Any], y: NDArray[Any], data: Dataset, score: Score, weight: Weight = None
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
        score: what is measured beside the loss.
        weight: (N,) what each row counts; None: all the same.

    Returns:
        Both `nan` where predictions are no numbers.
    """
    if data.task is Task.CLASSIFICATION:
        predicted = estimator.predict(x)
        told = hasattr(estimator, "predict_proba")
        loss = np.average(row_losses(estimator, x, y) if told else predicted != y, weights=weight)
        if score.takes_probabilities(data.task):
            predicted = probabilities(estimator, x, len(data.classes))
        return float(loss), score.of(y, np.asarray(predicted), data, weight)
    predicted = np.asarray(estimator.predict(x), np.float64).reshape(y.shape)
    squares = (predicted - y) ** 2
    loss = (
        np.mean(squares)
        if weight is None
        else np.average(squares.reshape(len(y), -1).mean(1), weights=weight)
    )
    if not math.isfinite(loss):
        return float(loss), math.nan
    return float(loss), score.of(y, predicted, data, weight)


def probabilities(estimator: Any, x: NDArray[Any], classes: int) -> NDArray[np.float32]:
    """The probability of each class, (N, classes); none of one that was not seen in training."""
    found = np.asarray(estimator.predict_proba(x))
    whole = np.zeros((len(found), classes), np.float32)
    whole[:, estimator.classes_] = found
    return whole


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
