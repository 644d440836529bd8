"""Measures of predictions as functions of sums over rows, which give each row's influence.

An interval needs each row's part of a score, which scikit-learn does not give; the values equal
scikit-learn's, as tests check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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

_SHARES = ("accuracy", *BY_CLASS, *(f"{name}_macro" for name in BY_CLASS))

GROUPS = 100
"""A score of one's own is computed anew without each of so many groups of rows."""

MEASURES = (*_SHARES, "r2", "rmse")
"""The scores that can be measured, with scikit-learn's definitions."""

SCALES: Mapping[str, Transform] = {
    **dict.fromkeys(_SHARES, SHARE),
    "r2": BELOW_ONE,
    "rmse": POSITIVE,
}
"""The scale of each."""

_PADS = np.array([[1.0, 1.0], [0.5, 1.0], [0.0, 1.0]])
"""A hit, a row between, and a miss of a plain share."""


@dataclass(frozen=True)
class Measure:
    """One measure of m models on the same n rows.

    Attributes:
        sums: what is summed over rows, (m, n, k).
        of: the measure from the sums, (..., k) to (...).
        scale: what it can be.
        pads: of a share: a hit, a row between, and a miss, as rows of sums, (3, k).
    """

    sums: Numbers
    of: Callable[[Numbers], Numbers]
    scale: Transform
    pads: Numbers | None = None

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
        if self.pads is not None:
            return of_share(self.sums, self.of, self.pads[None])
        return of_sums(self.sums, self.of, self.scale)

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
            ANY if pads is None else OF_SHARES,
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
    name: str, truth: NDArray[Any], predicted: Sequence[NDArray[Any]], positive: str | None = None
) -> Measure:
    """A score.

    Args:
        name: one of `MEASURES`.
        truth: (n,) names of classes, or (n,) or (n, T) targets.
        predicted: likewise, one array per model.
        positive: of two classes, the one that `BY_CLASS` are of; None: the mean over classes.
    """
    if name in ("r2", "rmse"):
        y = np.asarray(truth, np.float64).reshape(len(truth), -1)
        squares = [(np.asarray(p, np.float64).reshape(y.shape) - y) ** 2 for p in predicted]
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
        partial(_by_class, name=name.removesuffix("_macro")),
        SHARE,
        np.stack([hit, (hit + miss) / 2, miss]),
    )


def of_score(
    score: Callable[[NDArray[Any], NDArray[Any]], float], truth: NDArray[Any], outputs: Sequence[NDArray[Any]]
) -> Measure:
    """A score of one's own; its rows are pseudo-values of a delete-a-group jackknife (Quenouille 1956).

    Args:
        score: the score of some rows, from their truth and their outputs.
        truth: (n, ...).
        outputs: (n, ...), one array per model.
    """
    groups = np.arange(len(truth)) % min(len(truth), GROUPS)
    sums = []
    for output in outputs:
        whole = score(truth, output)
        without = np.array(
            [score(truth[groups != g], output[groups != g]) for g in range(groups.max(initial=0) + 1)]
        )
        pseudo = (len(without) - 1) * (without.mean() - without) + whole
        sums.append(np.stack([pseudo, np.ones_like(pseudo)], axis=-1))
    return Measure(np.stack(sums), _mean, ANY)


def _mean(sums: Numbers) -> Numbers:
    return np.asarray(sums[..., 0] / sums[..., 1])


def _by_class(sums: Numbers, name: str) -> Numbers:
    hits, true, called = np.split(sums, 3, axis=-1)
    above, below = {"precision": (hits, called), "recall": (hits, true), "f1": (2 * hits, true + called)}[
        name
    ]
    occurring = true + called > 0
    each = np.where(occurring, above / np.where(below > 0, below, 1), 0.0)
    return np.asarray(each.sum(axis=-1) / np.maximum(occurring.sum(axis=-1), 1))


def _rmse(sums: Numbers, targets: int) -> Numbers:
    return np.asarray(np.sqrt(sums[..., :targets] / sums[..., -1:]).mean(axis=-1))


def _r2(sums: Numbers, targets: int) -> Numbers:
    left, total, squares = np.split(sums[..., :-1], [targets, 2 * targets], axis=-1)
    spread = squares - total**2 / sums[..., -1:]
    none = spread <= 0
    constant = np.where(left == 0, 1.0, 0.0)
    return np.asarray(np.where(none, constant, 1 - left / np.where(none, 1, spread)).mean(axis=-1))


_OF_TARGETS: Mapping[str, Callable[..., Numbers]] = {"r2": _r2, "rmse": _rmse}
