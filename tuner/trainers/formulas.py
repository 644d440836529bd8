"""The shipped scores: scikit-learn's definitions in a few lines.

`judging.measures` must agree with them. Importing `sklearn.metrics` would take 1.2 s of CPU in each process
that trains; the tests compare both. Called after every epoch. A function takes the truth, what was
predicted, the data and the weights of the rows, (N,) or None; it returns `nan` where nothing can be said:
of a ranking when all rows are of one class.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Dataset

Weight = NDArray[np.floating] | None
"""What each row counts, (N,); None: all the same."""


def in_units(values: NDArray[Any], data: Dataset) -> NDArray[np.float64]:
    """Standardized targets, (N,) or (N, T), in their own units; (N,) of one target."""
    found = data.units.restored(values.astype(np.float64).reshape(len(values), -1))
    return found[:, 0] if found.shape[1] == 1 else found


def over_labels(
    function: Callable[..., float],
    truth: NDArray[Any],
    told: NDArray[Any],
    data: Dataset,
    weight: Weight,
    by_class: bool,
) -> float:
    """The mean over labels of a score of two classes, those left out of which the rows say nothing.

    Args:
        function: the score.
        truth: (N, L), 0 or 1.
        told: (N, L) predicted classes, or the probabilities of 1.
        data: knows the labels.
        weight: (N,).
        by_class: which of both `told` is.
    """
    if function is exact_match:
        return exact_match(truth, told, data, weight)
    found = []
    for i, pair in enumerate(data.labels.values()):
        one = replace(data, classes=pair, positive=1)
        each = told[:, i] if by_class else np.stack([1 - told[:, i], told[:, i]], axis=1)
        found.append(function(truth[:, i].astype(np.int64), each, one, weight))
    known = [each for each in found if not math.isnan(each)]
    return float(np.mean(known)) if known else math.nan


def exact_match(truth: NDArray[Any], predicted: NDArray[Any], _: Dataset, weight: Weight = None) -> float:
    """The share of the rows all of whose labels were predicted."""
    return float(_mean((truth == predicted).all(axis=1), weight))


def accuracy(truth: NDArray[Any], predicted: NDArray[Any], _: Dataset, weight: Weight = None) -> float:
    """The share of the rows whose class was predicted."""
    if weight is None:
        return int(np.count_nonzero(truth == predicted)) / len(truth)
    return float(_mean(truth == predicted, weight))


def by_class(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    data: Dataset,
    weight: Weight = None,
    *,
    kind: str,
    macro: bool = False,
) -> float:
    """Precision, recall or f1.

    Of two classes that of `Dataset.positive`; of more, the mean over the classes that occur in either. Of
    several labels the macro average is the one over the labels.
    """
    hits, true, called = _counts(truth, predicted, data, weight)
    above, below = {"precision": (hits, called), "recall": (hits, true), "f1": (2 * hits, true + called)}[
        kind
    ]
    shares = above / np.where(below > 0, below, 1)  # 0 / 0 counts as 0
    if len(data.classes) == 2 and not (macro and not data.labels):
        return float(shares[data.positive])
    return float(np.mean(shares[true + called > 0]))


def balanced_accuracy(
    truth: NDArray[Any], predicted: NDArray[Any], data: Dataset, weight: Weight = None
) -> float:
    """The mean recall of the classes that occur in the truth (Brodersen et al. 2010)."""
    hits, true, _ = _counts(truth, predicted, data, weight)
    return float(np.mean(hits[true > 0] / true[true > 0]))


def mcc(truth: NDArray[Any], predicted: NDArray[Any], data: Dataset, weight: Weight = None) -> float:
    """Matthews' correlation, of several classes by Gorodkin (2004, eq. 8); 0 where one side is constant."""
    hits, true, called = (each.astype(np.float64) for each in _counts(truth, predicted, data, weight))
    total = true.sum()
    below = (total**2 - called @ called) * (total**2 - true @ true)
    return float((hits.sum() * total - true @ called) / math.sqrt(below)) if below > 0 else 0.0


def roc_auc(truth: NDArray[Any], shares: NDArray[Any], data: Dataset, weight: Weight = None) -> float:
    """How often a row of a class is given a greater probability of it than a row of another one.

    Of two classes that of `Dataset.positive`; of more, the mean of each class against the rest, over those
    that some rows are of and some are not.
    """
    return _against_rest(_area, truth, shares, data, weight)


def average_precision(
    truth: NDArray[Any], shares: NDArray[Any], data: Dataset, weight: Weight = None
) -> float:
    """The precision at each threshold, weighted by the recall that it adds; of classes like `roc_auc`."""
    return _against_rest(_average_precision, truth, shares, data, weight)


def log_loss(truth: NDArray[Any], shares: NDArray[Any], _: Dataset, weight: Weight = None) -> float:
    """The mean negative log likelihood of the true class, clipped to the resolution of the floats."""
    own, tiny = shares[np.arange(len(truth)), truth], np.finfo(shares.dtype).eps
    return float(_mean(-np.log(np.clip(own, tiny, 1 - tiny), dtype=np.float64), weight))


def brier(truth: NDArray[Any], shares: NDArray[Any], _: Dataset, weight: Weight = None) -> float:
    """The squared error of the probabilities (Brier 1950), summed over classes; half of it for two."""
    away = shares.astype(np.float64)
    away[np.arange(len(truth)), truth] -= 1
    squares = (away**2).sum(axis=1)
    return float(_mean(squares / 2 if away.shape[1] == 2 else squares, weight))


def r2(truth: NDArray[Any], predicted: NDArray[Any], data: Dataset, weight: Weight = None) -> float:
    """1 minus the share of the variance that is left; of a constant target 1 or 0."""
    y, p, _ = _linear(truth, predicted, data)
    if weight is None:
        squares, total = np.sum((y - p) ** 2, axis=0), np.sum((y - y.mean(axis=0)) ** 2, axis=0)
    else:
        squares, total = _mean((y - p) ** 2, weight), _mean((y - _mean(y, weight)) ** 2, weight)
    constant = np.where(squares == 0, 1.0, 0.0)
    return float(np.mean(np.where(total == 0, constant, 1 - squares / np.where(total == 0, 1, total))))


def rmse(truth: NDArray[Any], predicted: NDArray[Any], data: Dataset, weight: Weight = None) -> float:
    """The root of the mean squared error in the target's own units; the mean of each target's."""
    y, p, scale = _linear(truth, predicted, data)
    return float(np.mean(np.sqrt(_mean((y - p) ** 2, weight)) * scale))


def mae(truth: NDArray[Any], predicted: NDArray[Any], data: Dataset, weight: Weight = None) -> float:
    """The mean absolute error in the target's own units; the mean of each target's."""
    y, p, scale = _linear(truth, predicted, data)
    return float(np.mean(_mean(np.abs(y - p), weight) * scale))


def mape(truth: NDArray[Any], predicted: NDArray[Any], data: Dataset, weight: Weight = None) -> float:
    """The mean of the absolute error's share of the target's size; huge where targets are 0."""
    y, p = in_units(truth, data), in_units(predicted, data)
    return float(np.mean(_mean(np.abs(y - p) / np.maximum(np.abs(y), np.finfo(np.float64).eps), weight)))


def quantile(
    truth: NDArray[Any], predicted: NDArray[Any], data: Dataset, weight: Weight = None, level: float = 0.5
) -> float:
    """The pinball loss of a quantile's prediction (Koenker and Bassett 1978), in the target's own units."""
    y, p, scale = _linear(truth, predicted, data)
    lost = np.where(y > p, level * (y - p), (1 - level) * (p - y))
    return float(np.mean(_mean(lost, weight) * scale))


def _linear(
    truth: NDArray[Any], predicted: NDArray[Any], data: Dataset
) -> tuple[NDArray[np.float64], NDArray[np.float64], Any]:
    """Both in numbers of which a difference has a unit, and that unit."""
    if data.target_log:
        return in_units(truth, data), in_units(predicted, data), 1.0
    return truth.astype(np.float64), predicted.astype(np.float64), data.target_scale


def _mean(values: NDArray[Any], weight: Weight) -> Any:
    """The mean over rows, (N,) or (N, T) to () or (T,)."""
    return np.mean(values, axis=0) if weight is None else np.average(values, axis=0, weights=weight)


def _counts(
    truth: NDArray[Any], predicted: NDArray[Any], data: Dataset, weight: Weight
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Of each class the rows that are hits, those that are of it, and those that are called so; (C,)."""
    classes, right = len(data.classes), truth == predicted
    hits = np.bincount(truth[right], None if weight is None else weight[right], classes)
    true, called = (np.bincount(each, weight, classes) for each in (truth, predicted))
    return hits, true, called


def _against_rest(
    measure: Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[Any]], float],
    truth: NDArray[Any],
    shares: NDArray[Any],
    data: Dataset,
    weight: Weight,
) -> float:
    classes = [data.positive] if shares.shape[1] == 2 else range(shares.shape[1])
    ones = np.ones(len(truth)) if weight is None else weight.astype(np.float64)
    found = [measure(ones * (truth == c), ones * (truth != c), shares[:, c]) for c in classes]
    known = [each for each in found if not math.isnan(each)]
    return float(np.mean(known)) if known and not np.isnan(shares).any() else math.nan


def steps(inside: NDArray[np.float64], outside: NDArray[np.float64], told: NDArray[Any]) -> Any:
    """What lies in and outside a class at each probability and above it, from the greatest down; (2, U)."""
    order = np.argsort(told)[::-1]
    last = np.append(np.flatnonzero(np.diff(told[order])), len(told) - 1)
    return np.cumsum(np.stack([inside[order], outside[order]]), axis=1)[:, last]


def _area(inside: NDArray[np.float64], outside: NDArray[np.float64], told: NDArray[Any]) -> float:
    hits, false = steps(inside, outside, told)
    if not hits[-1] or not false[-1]:
        return math.nan
    before = np.append(0, hits[:-1])
    return float((np.diff(false, prepend=0) * (hits + before)).sum() / (2 * hits[-1] * false[-1]))


def _average_precision(
    inside: NDArray[np.float64], outside: NDArray[np.float64], told: NDArray[Any]
) -> float:
    hits, false = steps(inside, outside, told)
    if not hits[-1] or not false[-1]:
        return math.nan
    called = hits + false
    precision = hits / np.where(called > 0, called, 1)
    return float((np.diff(hits, prepend=0) * precision).sum() / hits[-1])
