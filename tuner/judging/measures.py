"""Measures of predictions as sums over rows, so that any drawing of rows can be judged at little cost.

Sees what was predicted and what is true; which model predicted it is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.judging.intervals import Interval, Numbers, bootstrapped, of_share

MEASURES = ("accuracy", "precision", "recall", "f1", "r2", "rmse")
"""The scores that can be measured, with scikit-learn's definitions; macro averages over classes."""


@dataclass(frozen=True)
class Measure:
    """One measure of m models on the same n rows.

    Attributes:
        sums: what is summed over rows, (m, n, k).
        of: the measure from the sums, (..., k) to (...).
        is_share: whether it is the share of hits, which `sums` then holds first.
    """

    sums: Numbers
    of: Callable[[Numbers], Numbers]
    is_share: bool = False

    @property
    def values(self) -> Numbers:
        """The measure of each model, (m,)."""
        return self.of(self.sums.sum(axis=1))

    def interval(self, seed: int) -> Interval:
        """What a further model would reach on further rows."""
        return of_share(self.sums[..., 0]) if self.is_share else bootstrapped(self.sums, self.of, seed)

    def gain(self, other: Measure, seed: int, *, falling: bool) -> Interval:
        """By how much it is better than another one, whose models were trained pair by pair with these.

        Args:
            other: of as many models on the same rows.
            seed: of the bootstrap.
            falling: whether less is better.
        """
        k, sign = self.sums.shape[-1], -1 if falling else 1
        both = np.concatenate([self.sums, other.sums], axis=-1)
        return bootstrapped(both, lambda s: sign * (self.of(s[..., :k]) - other.of(s[..., k:])), seed)


def of_losses(losses: Sequence[NDArray[Any]]) -> Measure:
    """The mean loss; one array (n,) per model."""
    each = np.stack([np.asarray(loss, np.float64) for loss in losses])
    return Measure(np.stack([each, np.ones_like(each)], axis=-1), _mean)


def measured(name: str, truth: NDArray[Any], predicted: Sequence[NDArray[Any]]) -> Measure:
    """A score.

    Args:
        name: one of `MEASURES`.
        truth: (n,) names of classes, or (n,) or (n, T) targets.
        predicted: likewise, one array per model.
    """
    if name in ("r2", "rmse"):
        y = np.asarray(truth, np.float64).reshape(len(truth), -1)
        squares = [(np.asarray(p, np.float64).reshape(y.shape) - y) ** 2 for p in predicted]
        # About their mean, so that squares do not drown in rounding.
        y = y - y.mean(axis=0)
        rows = [np.concatenate([s, y, y**2, np.ones((len(y), 1))], axis=1) for s in squares]
        return Measure(np.stack(rows), partial(_OF_TARGETS[name], targets=y.shape[1]))
    hits = np.stack([np.asarray(p) == truth for p in predicted]).astype(np.float64)
    if name == "accuracy":
        return Measure(np.stack([hits, np.ones_like(hits)], axis=-1), _mean, is_share=True)
    classes = np.unique(np.concatenate([truth, *predicted]))
    true = (truth[:, None] == classes).astype(np.float64)
    tables = [
        np.concatenate([true * hit[:, None], true, (np.asarray(p)[:, None] == classes).astype(np.float64)], 1)
        for hit, p in zip(hits, predicted, strict=True)
    ]
    return Measure(np.stack(tables), partial(_by_class, name=name))


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
