"""Gaps: by how much validation is worse than training, of the loss or of any number with both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tuner.core.columns import Floats
from tuner.core.frame import Frame
from tuner.figures.curves import quantity
from tuner.figures.figure import NothingToPlot, Option


@dataclass(frozen=True)
class SidedGap:
    """A number's two sides.

    Attributes:
        label: what its gap is called; that of the losses is the gap as such.
        sides: the number on training rows, and on validation rows.
        sign: 1 where less of the number is better, else -1, so that more of the gap is always worse.
    """

    label: str
    sides: tuple[str, str]
    sign: int

    @classmethod
    def of(cls, frame: Frame, what: str) -> SidedGap:
        """The gap of one of `Frame.sides`.

        Raises:
            NothingToPlot: the number is not measured on both sides.
        """
        if what not in frame.sides:
            raise NothingToPlot(
                f"No epoch has both a training and a validation {quantity(frame, what)}: there is no gap."
                if len(frame.epochs)
                else "No epoch is recorded yet: a gap appears with the first one."
            )
        sides = frame.sides[what]
        label = "gap" if what == "loss" else f"gap of {quantity(frame, what)}"
        return cls(label, sides, -1 if any(frame.falls(name) is False for name in sides) else 1)

    def readings(self, frame: Frame) -> tuple[Floats, Floats]:
        """(E,) each side of every reading, less is better."""
        train, val = (self.sign * np.asarray(frame.reading(name), np.float64) for name in self.sides)
        return train, val

    def at_best(self, frame: Frame) -> Floats:
        """(N,) the gap at each trial's best epoch."""
        train, val = (np.asarray(frame.at_best(name), np.float64) for name in self.sides)
        return self.sign * (val - train)


def gap_option(frame: Frame) -> Option:
    """Of which number, the losses at first."""
    known = sorted(frame.sides, key=lambda name: name != "loss") or ["loss"]
    return Option("what", "gap of", known[0], tuple((name, quantity(frame, name)) for name in known))
