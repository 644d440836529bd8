"""Quantities: the numbers of a trial that a figure can show: objectives, metrics of one's own, costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tuner.core.columns import Floats, Ints
from tuner.core.frame import Frame
from tuner.figures.figure import Option

COSTS = {
    "gap": "gap at the best epoch",
    "seconds": "seconds of training",
    "epochs": "epochs trained",
}
"""What a good value may cost beside what was measured; less of each is better."""


@dataclass(frozen=True)
class Quantity:
    """A number of every trial, at its best epoch.

    Attributes:
        name: the number.
        label: what it is called.
        values: (N,) `nan` where a trial has none.
        minimize: whether less of it is better; None where that is not known.
    """

    name: str
    label: str
    values: Floats
    minimize: bool | None

    @classmethod
    def of(cls, frame: Frame, what: str) -> Quantity:
        """A number by its name; the first objective for none."""
        what = what or frame.objective.metric
        values = np.asarray(frame.at_best(what), np.float64)
        if what == frame.objective.metric:
            return cls(what, frame.label(what), values, frame.objective.minimize)
        minimize = True if what in COSTS else frame.falls(what)
        return cls(what, COSTS.get(what, frame.label(what)), values, minimize)

    @property
    def loss(self) -> Floats:
        """(N,) so signed that less of it is better; as it is where nothing says which end is good."""
        return -self.values if self.minimize is False else self.values

    def ranked(self, frame: Frame) -> Ints:
        """Rows of the trials that may be the best, the best by this number first.

        By the first objective it is the frame's ranking, and also where nothing says which end is good.
        """
        if self.minimize is None or self.name == frame.objective.metric:
            return frame.ranking[np.isfinite(self.values[frame.ranking])]
        rows = np.flatnonzero(frame.standing & np.isfinite(self.values))
        return np.asarray(rows[np.argsort(self.loss[rows], kind="stable")])


def measured_option(frame: Frame) -> Option:
    """Which number of the trials to look at, the first objective at first."""
    own = frame.objective.metric
    names = [own, *(name for name in frame.measured if name != own)]
    names += [name for name in ("seconds", "epochs") if name not in names]
    labels = {own: frame.label(own)}
    choices = tuple((name, labels.get(name, COSTS.get(name, frame.label(name)))) for name in names)
    return Option("what", "quantity", own, choices)
