"""Losses and scores of an estimator on a split.

Takes inputs scaled as those that the estimator was fitted on. Called after every epoch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Dataset
from tuner.trainers.formulas import Weight
from tuner.trainers.scores import Score


def measure(
    estimator: Any, x: NDArray[Any], y: NDArray[Any], data: Dataset, score: Score, weight: Weight = None
) -> tuple[float, float]:
    """The loss and the score of a split.

    The loss of a classifier is the mean negative log likelihood of the true class, probabilities
    clipped to the resolution of their floats; without probabilities it is the share of errors. Of several
    labels it is the mean over them.
    That of a regressor is the mean squared error of the standardized target.

    Args:
        estimator: fitted.
        x: (N, D).
        y: (N,) class indices, (N, L) labels, or (N,) or (N, T) standardized targets.
        data: knows the task and the target's units.
        score: what is measured beside the loss.
        weight: (N,) what each row counts; None: all the same.

    Returns:
        Both `nan` where predictions are no numbers.
    """
    if data.task.is_of_classes:
        said: NDArray[Any] = np.asarray(estimator.predict(x)).astype(np.int64)
        told = hasattr(estimator, "predict_proba")
        losses = row_losses(estimator, x, y) if told else (said != y).reshape(len(y), -1).mean(axis=1)
        if score.takes_probabilities(data.task):
            said = probabilities(estimator, x, len(data.classes))
        return float(np.average(losses, weights=weight)), score.of(y, said, data, weight)
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
    """The probability of each class, (N, classes); none of one that was not seen in training.

    Of several labels, which have no common classes, that of 1 for each, (N, L).
    """
    if not classes:
        # Only `MultiOutputClassifier`, and the dummy, come here.
        each = getattr(estimator, "estimators_", None)
        known = estimator.classes_ if each is None else [one.classes_ for one in each]
        pairs = zip(estimator.predict_proba(x), known, strict=True)
        return np.stack([shares @ (own == 1) for shares, own in pairs], axis=1).astype(np.float32)
    found = np.asarray(estimator.predict_proba(x))
    whole = np.zeros((len(found), classes), np.float32)
    whole[:, estimator.classes_] = found
    return whole


def row_losses(estimator: Any, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """The negative log likelihood of each row's class, (N,); of several labels the mean over them.

    Args:
        estimator: one with `predict_proba`.
        x: (N, D).
        y: (N,) class indices, or (N, L) labels.
    """
    if y.ndim == 2:
        ones = probabilities(estimator, x, 0).astype(np.float64)
        least = float(np.finfo(np.float32).eps)
        right = np.clip(np.where(y == 1, ones, 1 - ones), least, 1 - least)
        return np.asarray(-np.log(right).mean(axis=1))
    shares = np.asarray(estimator.predict_proba(x))  # (N, classes seen in training)
    columns = np.searchsorted(estimator.classes_, y)
    known = np.isin(y, estimator.classes_)
    rows = np.arange(len(y))[known]
    true = np.zeros(len(y), shares.dtype)
    true[known] = shares[rows, columns[known]]
    tiny = np.finfo(shares.dtype).eps
    return np.asarray(-np.log(np.clip(true, tiny, 1 - tiny), dtype=np.float64))
