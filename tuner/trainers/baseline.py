"""What always predicting the commonest class, or the mean, comes to; see `core.baseline`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.baseline import Baseline
from tuner.core.dataset import Dataset, Task
from tuner.core.spec import StudySpec
from tuner.trainers import scores, threshold

_LOSSES = ("cross_entropy", "binary_cross_entropy", "mse", "mae", "huber")
"""The losses that a constant prediction is known of."""


def baseline(spec: StudySpec, data: Dataset | None) -> Baseline | None:
    """That of a study of the shipped trainers; None for others, whose numbers may mean anything.

    Args:
        spec: says which loss and score.
        data: of folds, the first one.
    """
    if data is None or spec.trainer.use not in ("torch", "sklearn"):
        return None
    score = threshold.score_of(spec, data.task)
    train, truth = data.train.y, data.validation.y
    if data.task is Task.MULTILABEL:
        shares = np.average(train, axis=0, weights=data.train.weight)  # (L,)
        constant = np.tile(shares, (len(truth), 1))
        if not score.takes_probabilities(data.task):
            constant = (constant > 0.5).astype(np.int64)
        own = np.log(np.maximum(np.where(truth == 1, shares, 1 - shares), 1e-12))
        says, losses = "the commoner value of each label", -own.mean(axis=1)
    elif data.task is Task.CLASSIFICATION:
        shares = np.bincount(train, data.train.weight, len(data.classes)) / len(train)
        commonest = int(shares.argmax())
        constant = np.full_like(truth, commonest)
        if score.takes_probabilities(data.task):
            constant = np.tile(shares, (len(truth), 1))
        says, losses = f"'{data.classes[commonest]}'", _of_shares(spec, truth, shares)
    else:
        mean = np.average(train, axis=0, weights=data.train.weight).astype(train.dtype)
        constant = np.broadcast_to(mean, truth.shape).astype(truth.dtype)
        says = "the geometric mean" if data.target_log else "the mean"
        losses = _of_difference(spec.trainer.loss or "mse", np.abs(truth - constant))
    loss = float(np.average(losses, weights=data.validation.weight))
    if spec.trainer.loss is not None and spec.trainer.loss not in _LOSSES:
        loss = math.nan
    try:
        found = score.of(truth, constant, data, data.validation.weight)
    except Exception:  # noqa: BLE001 - a function of one's own need not take what no model says
        found = math.nan
    name, falls = spec.trainer.score_name or scores.DEFAULT[data.task], spec.trainer.score_falls
    return Baseline(says, name, loss, found, len(truth), falls)


def _of_shares(spec: StudySpec, truth: NDArray[Any], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The loss of each row, (N,)."""
    own = np.log(np.maximum(shares, 1e-12))
    if spec.trainer.loss == "binary_cross_entropy" and len(shares) > 2:
        others = np.log(np.maximum(1 - shares, 1e-12))
        return np.asarray((-(own + others.sum() - others) / len(shares))[truth])
    # Without probabilities the loss of an estimator is its share of errors, and this is not known yet.
    return np.full(len(truth), np.nan) if spec.trainer.use == "sklearn" else -own[truth]


def _of_difference(loss: str, away: NDArray[Any]) -> NDArray[Any]:
    """The loss of each row, (N,)."""
    each = away**2
    if loss == "mae":
        each = away
    elif loss == "huber":
        each = np.where(away > 1, away - 0.5, 0.5 * away**2)
    return np.asarray(each.reshape(len(each), -1).mean(axis=1))
