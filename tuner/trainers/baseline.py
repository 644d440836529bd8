"""What always predicting the commonest class, or the mean, comes to; see `core.baseline`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.baseline import Baseline
from tuner.core.dataset import Dataset, Task
from tuner.core.spec import StudySpec
from tuner.trainers import scores, threshold
from tuner.trainers.plain_losses import TASKS, of_difference


def baseline(spec: StudySpec, data: Dataset | None) -> Baseline | None:
    """That of a study of the shipped trainers, or of one that says what the losses of its own are.

    None for others, whose numbers may mean anything.

    Args:
        spec: says which loss and score.
        data: of folds, the first one.
    """
    is_ours = spec.trainer.use in ("torch", "sklearn")
    if data is None or not (is_ours or data.task in TASKS.get(spec.trainer.loss or "", ())):
        return None
    score = threshold.score_of(spec, data.task)
    train, truth = data.train.y, data.validation.y
    if data.task is Task.MULTILABEL:
        shares = np.average(train, axis=0, weights=data.train.weight)  # (L,)
        constant = np.tile(shares, (len(truth), 1))
        if not score.takes_probabilities(data.task):
            constant = (constant > 0.5).astype(np.int64)
        own = np.log(np.maximum(np.where(truth == 1, shares, 1 - shares), 1e-12))
        losses = -own.mean(axis=1)
    elif data.task is Task.CLASSIFICATION:
        shares = np.bincount(train, data.train.weight, len(data.classes)) / len(train)
        constant = np.full_like(truth, int(shares.argmax()))
        if score.takes_probabilities(data.task):
            constant = np.tile(shares, (len(truth), 1))
        losses = _of_shares(spec, truth, shares)
    else:
        mean = np.average(train, axis=0, weights=data.train.weight).astype(train.dtype)
        constant = np.broadcast_to(mean, truth.shape).astype(truth.dtype)
        losses = of_difference(spec.trainer.loss, np.abs(truth - constant))
    loss = float(np.average(losses, weights=data.validation.weight))
    if spec.trainer.loss is not None and spec.trainer.loss not in TASKS:
        loss = math.nan
    try:
        found = score.of(truth, constant, data, data.validation.weight)
    except Exception:  # noqa: BLE001 - a function of one's own need not take what no model says
        found = math.nan
    made = replace(blank("constant", spec, data), val_loss=loss, val_score=found)
    # A loop of one's own may call anything its score.
    return made if is_ours or spec.trainer.score is not None else replace(made, score="", val_score=math.nan)


def blank(kind: str, spec: StudySpec, data: Dataset, left_out: str | None = None) -> Baseline:
    """One without numbers, and why it has none."""
    if kind != "constant":
        says = kind.replace("_", " ")
    elif data.task is Task.MULTILABEL:
        says = "the commoner value of each label"
    elif data.task is Task.CLASSIFICATION:
        counts = np.bincount(data.train.y, data.train.weight, len(data.classes))
        says = f"'{data.classes[int(counts.argmax())]}'"
    else:
        says = "the geometric mean" if data.target_log else "the mean"
    name, falls = spec.trainer.score_name or scores.DEFAULT[data.task], spec.trainer.score_falls
    return Baseline(says, name, math.nan, math.nan, len(data.validation), falls, kind, left_out)


def _of_shares(spec: StudySpec, truth: NDArray[Any], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The loss of each row, (N,)."""
    own = np.log(np.maximum(shares, 1e-12))
    if spec.trainer.loss == "binary_cross_entropy" and len(shares) > 2:
        others = np.log(np.maximum(1 - shares, 1e-12))
        return np.asarray((-(own + others.sum() - others) / len(shares))[truth])
    # Without probabilities the loss of an estimator is its share of errors, and this is not known yet.
    return np.full(len(truth), np.nan) if spec.trainer.use == "sklearn" else -own[truth]
