"""Measures of predictions as functions of sums over rows, which give each row's influence.

An interval needs each row's part of a score, which scikit-learn does not give; the values equal
scikit-learn's, as tests check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.judging.intervals import (
    ANY,
    BELOW_ONE,
    OF_SHARES,
    POSITIVE,
    SHARE,
    Interval,
    Numbers,
    Transform,
    influences,
    of_share,
    of_sums,
)

BY_CLASS = ("precision", "recall", "f1")
"""Scores of one class. Their names stand for the positive one's where it is named, else for the mean over
classes, as with ``_macro`` behind them they always do."""

_SHARES = ("accuracy", "balanced_accuracy", *BY_CLASS, *(f"{name}_macro" for name in BY_CLASS))
_OF_NUMBERS = ("r2", "rmse", "mae", "mape", "quantile")

GROUPS = 100
"""A score of one's own is computed anew without each of so many groups of rows."""

MEASURES = (*_SHARES, "mcc", *_OF_NUMBERS)
"""The scores that can be measured of predictions, with scikit-learn's definitions."""

SCALES: Mapping[str, Transform] = {
    **dict.fromkeys((*_SHARES, "roc_auc", "average_precision", "exact_match"), SHARE),
    **dict.fromkeys(("rmse", "mae", "mape", "quantile", "log_loss", "brier"), POSITIVE),
    "r2": BELOW_ONE,
    "mcc": OF_SHARES,
}
"""The scale of each."""

BINS = 15
"""Of probabilities, in `calibration_error`."""

_PADS = np.array([[1.0, 1.0], [0.5, 1.0], [0.0, 1.0]])
"""A hit, a row between, and a miss of a plain share."""


@dataclass(frozen=True)
class Measure:
    """One measure of m models on the same n rows.

    Attributes:
        sums: what is summed over rows, (m, n, k).
        of: the measure from the sums, (..., k) to (...).
        scale: what it can be.
        pads: of a share or a correlation: a hit, a row between, and a miss, as rows of sums, (3, k).
    """

    sums: Numbers
    of: Callable[[Numbers], Numbers]
    scale: Transform
    pads: Numbers | None = None

    def weighed(self, weight: NDArray[Any] | None) -> Measure:
        """The same of rows that count differently, (n,); None: of these."""
        return self if weight is None else replace(self, sums=self.sums * (weight / weight.mean())[:, None])

    @property
    def values(self) -> Numbers:
        """The measure of each model, (m,)."""
        return self.of(self.sums.sum(axis=1))

    @property
    def influences(self) -> Numbers:
        """The influence of each row on the measure of each model, (m, n)."""
        return influences(self.sums, self.of)

    def interval(self) -> Interval:
        """What a further model would reach on further rows."""
        pads = None if self.pads is None else self.pads[None]
        if pads is not None and self.scale is SHARE:
            return of_share(self.sums, self.of, pads)
        return of_sums(self.sums, self.of, self.scale, pads)

    def gain(self, other: Measure, *, falling: bool) -> Interval:
        """By how much it is better than another one, whose models were trained pair by pair with these.

        Args:
            other: of as many models on the same rows.
            falling: whether less is better.
        """
        k, sign = self.sums.shape[-1], -1 if falling else 1
        both = np.concatenate([self.sums, other.sums], axis=-1)
        pads = None
        if self.pads is not None and other.pads is not None:
            # One row of each kind: both hit, both miss, one of them does (Agresti and Min 2005).
            mine, theirs = self.pads[[0, 0, -1, -1]], other.pads[[0, -1, 0, -1]]
            pads = np.concatenate([mine, theirs], axis=-1)[None]
        return of_sums(
            both,
            lambda s: sign * (self.of(s[..., :k]) - other.of(s[..., k:])),
            OF_SHARES if pads is not None and self.scale is SHARE else ANY,
            pads,
        )


def scale_of(metric: str, score: str) -> Transform:
    """The range of a metric; a user's own may be any number.

    Args:
        metric: as a reading names it.
        score: the name of the score.
    """
    if metric in ("train_loss", "val_loss"):
        return POSITIVE
    return SCALES.get(score, ANY) if metric in ("train_score", "val_score") else ANY


def of_losses(losses: Sequence[NDArray[Any]]) -> Measure:
    """The mean loss; one array (n,) per model. Where all are 0 or 1 it is a share of errors."""
    each = np.stack([np.asarray(loss, np.float64) for loss in losses])
    sums = np.stack([each, np.ones_like(each)], axis=-1)
    if np.isin(each, (0.0, 1.0)).all():
        return Measure(sums, _mean, SHARE, _PADS)
    return Measure(sums, _mean, POSITIVE if each.min(initial=0.0) >= 0 else ANY)


def measured(
    name: str,
    truth: NDArray[Any],
    predicted: Sequence[NDArray[Any]],
    positive: str | None = None,
    level: float = 0.5,
) -> Measure:
    """A score.

    Args:
        name: one of `MEASURES`.
        truth: (n,) names of classes, or (n,) or (n, T) targets.
        predicted: likewise, one array per model.
        positive: of two classes, the one that `BY_CLASS` are of; None: the mean over classes.
        level: of `quantile`.
    """
    if name in _OF_NUMBERS:
        y = np.asarray(truth, np.float64).reshape(len(truth), -1)
        away = [y - np.asarray(p, np.float64).reshape(y.shape) for p in predicted]
        if name in _LOST:
            lost = np.stack([_LOST[name](each, y, level).mean(axis=1) for each in away])
            return Measure(np.stack([lost, np.ones_like(lost)], axis=-1), _mean, POSITIVE)
        squares = [each**2 for each in away]
        # About their mean, so that squares do not drown in rounding.
        y = y - y.mean(axis=0)
        rows = [np.concatenate([s, y, y**2, np.ones((len(y), 1))], axis=1) for s in squares]
        return Measure(np.stack(rows), partial(_OF_TARGETS[name], targets=y.shape[1]), SCALES[name])
    hits = np.stack([np.asarray(p) == truth for p in predicted]).astype(np.float64)
    if name == "accuracy":
        return Measure(np.stack([hits, np.ones_like(hits)], axis=-1), _mean, SHARE, _PADS)
    classes = np.unique(np.concatenate([truth, *predicted]))
    if positive is not None and name in BY_CLASS:
        classes = np.array([positive], dtype=object)
    true = (truth[:, None] == classes).astype(np.float64)
    tables = [
        np.concatenate([true * hit[:, None], true, (np.asarray(p)[:, None] == classes).astype(np.float64)], 1)
        for hit, p in zip(hits, predicted, strict=True)
    ]
    # A hit and a miss, spread over the classes.
    part = np.full(len(classes), 1 / len(classes))
    hit, miss = np.concatenate([part, part, part]), np.concatenate([0 * part, part, part])
    return Measure(
        np.stack(tables),
        _mcc if name == "mcc" else partial(_by_class, name=name.removesuffix("_macro")),
        SCALES[name],
        np.stack([hit, (hit + miss) / 2, miss]),
    )


def of_score(
    score: Callable[..., float],
    truth: NDArray[Any],
    outputs: Sequence[NDArray[Any]],
    scale: Transform = ANY,
    weight: NDArray[Any] | None = None,
) -> Measure:
    """Any other score; its rows are pseudo-values of a delete-a-group jackknife (Quenouille 1956).

    Args:
        score: the score of some rows, from their truth and their outputs.
        truth: (n, ...).
        outputs: (n, ...), one array per model.
        scale: what it can be.
        weight: (n,) what each row counts, which `score` then takes as a third argument; None: it takes two.
    """
    more = () if weight is None else (weight,)
    groups = np.arange(len(truth)) % min(len(truth), GROUPS)
    sums = []
    for output in outputs:
        rows = (truth, output, *more)
        whole = score(*rows)
        without = np.array(
            [score(*(each[groups != g] for each in rows)) for g in range(groups.max(initial=0) + 1)]
        )
        pseudo = (len(without) - 1) * (without.mean() - without) + whole
        sums.append(np.stack([pseudo, np.ones_like(pseudo)], axis=-1))
    return Measure(np.stack(sums), _mean, scale, _PADS if scale is SHARE else None)


def calibration_error(truth: NDArray[Any], shares: NDArray[Any], weight: NDArray[Any] | None = None) -> float:
    """The expected calibration error (Guo et al. 2017, eq. 3), 15 bins of equal width.

    Rows are put together by the probability of the class that is predicted; of each bin, the share of
    rows that are right is set beside the mean probability.

    Args:
        truth: (N,) class indices; -1 for a class that has no probability.
        shares: (N, C) probabilities.
        weight: (N,) what each row counts; None: all the same.
    """
    ones = np.ones(len(truth)) if weight is None else weight
    told = shares.max(axis=1).astype(np.float64)
    right = shares.argmax(axis=1) == truth
    # A bin has its upper end, as in the paper: (0, 1/15], (1/15, 2/15], ...
    places = np.clip(np.ceil(told * BINS).astype(np.intp) - 1, 0, BINS - 1)
    away = np.bincount(places, ones * (right - told), BINS)
    return float(np.abs(away).sum() / ones.sum())


def _mean(sums: Numbers) -> Numbers:
    return np.asarray(sums[..., 0] / sums[..., 1])


def _by_class(sums: Numbers, name: str) -> Numbers:
    hits, true, called = np.split(sums, 3, axis=-1)
    above, below = {
        "precision": (hits, called),
        "recall": (hits, true),
        "f1": (2 * hits, true + called),
        "balanced_accuracy": (hits, true),
    }[name]
    occurring = true > 0 if name == "balanced_accuracy" else true + called > 0
    each = np.where(occurring, above / np.where(below > 0, below, 1), 0.0)
    return np.asarray(each.sum(axis=-1) / np.maximum(occurring.sum(axis=-1), 1))


def _mcc(sums: Numbers) -> Numbers:
    hits, true, called = np.split(sums, 3, axis=-1)
    total = true.sum(axis=-1)
    below = (total**2 - (called**2).sum(axis=-1)) * (total**2 - (true**2).sum(axis=-1))
    above = hits.sum(axis=-1) * total - (true * called).sum(axis=-1)
    return np.asarray(np.where(below > 0, above / np.sqrt(np.where(below > 0, below, 1)), 0.0))


def _rmse(sums: Numbers, targets: int) -> Numbers:
    return np.asarray(np.sqrt(sums[..., :targets] / sums[..., -1:]).mean(axis=-1))


def _r2(sums: Numbers, targets: int) -> Numbers:
    left, total, squares = np.split(sums[..., :-1], [targets, 2 * targets], axis=-1)
    spread = squares - total**2 / sums[..., -1:]
    none = spread <= 0
    constant = np.where(left == 0, 1.0, 0.0)
    return np.asarray(np.where(none, constant, 1 - left / np.where(none, 1, spread)).mean(axis=-1))


_LOST: Mapping[str, Callable[[Numbers, Numbers, float], Numbers]] = {
    "mae": lambda away, y, level: np.abs(away),  # noqa: ARG005
    "mape": lambda away, y, level: np.abs(away) / np.maximum(np.abs(y), np.finfo(np.float64).eps),  # noqa: ARG005
    "quantile": lambda away, y, level: np.where(away > 0, level * away, (level - 1) * away),  # noqa: ARG005
}
"""What is lost by each prediction, (n, T), from the errors, the truth and the level of a quantile."""

_OF_TARGETS: Mapping[str, Callable[..., Numbers]] = {"r2": _r2, "rmse": _rmse}
