"""Scale: where a parameter's values stand on an axis, numbers and choices alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tuner.core import words
from tuner.core.columns import Floats, Ints
from tuner.core.frame import Frame
from tuner.core.space import Choice, Int
from tuner.figures.numbers import listed
from tuner.figures.theme import Theme, safe, shortened

TITLE = 32
"""Characters of a parameter's name along its axis."""

TICKS = 5
"""About how many numbers stand along an axis."""

FEW = 16
"""A number with more values than this is binned as a continuum."""


@dataclass(frozen=True)
class Scale:
    """A parameter's axis.

    Attributes:
        name: the parameter.
        log: whether it is searched, and shown, on a logarithmic scale.
        low: the lower end of its range.
        high: the upper end.
        labels: the choices, which stand at 0, 1, ...; empty for numbers.
        count: how many values there are, where they are few; 0 for a continuum.
    """

    name: str
    log: bool
    low: float
    high: float
    labels: tuple[str, ...] = ()
    count: int = 0

    @classmethod
    def of(cls, frame: Frame, name: str) -> Self:
        """The scale of a frame's parameter."""
        parameter = frame.space.parameters[name]
        if isinstance(parameter, Choice):
            labels = parameter.texts
            return cls(name, False, 0, len(labels) - 1, labels, len(labels))
        step = parameter.step or (1 if isinstance(parameter, Int) and not parameter.log else None)
        values = round((parameter.high - parameter.low) / step) + 1 if step else 0
        count = values if values <= FEW else 0
        return cls(name, parameter.log, parameter.low, parameter.high, count=count)

    def places(self, frame: Frame) -> Floats:
        """(N,) each trial's place; `nan` where the parameter is not active."""
        column = frame.params[self.name]
        if not self.labels:
            return np.asarray(column, dtype=float)
        place = {label: float(i) for i, label in enumerate(self.labels)}
        return np.array([place.get(each, np.nan) for each in column], dtype=float)

    def shares(self, places: Floats) -> Floats:
        """Places as shares of the range, 0 to 1, evenly on the parameter's own scale."""
        low, high = (np.log(self.low), np.log(self.high)) if self.log else (self.low, self.high)
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled = np.log(places) if self.log else places
        return (scaled - low) / (high - low) if high > low else np.where(np.isfinite(scaled), 0.5, np.nan)

    def at(self, shares: Floats) -> Floats:
        """Places of these shares of the range; the reverse of `shares`."""
        if self.log:
            return np.asarray(self.low * (self.high / self.low) ** shares)
        return np.asarray(self.low + (self.high - self.low) * shares)

    def cells(self, places: Floats, many: int) -> Ints:
        """Which of the range's `many` cells each place is in; one per value where values are few."""
        shares = self.shares(places)
        if self.count:
            return np.rint(shares * (self.count - 1)).clip(0, self.count - 1).astype(np.int64)
        # A place on an edge belongs to the cell above it, whatever rounding made of it.
        cells = np.floor(shares * many + 1e-9).clip(0, many - 1)
        return np.asarray(cells, dtype=np.int64)

    def jittered(self, places: Floats, number: Any) -> Floats:
        """Places moved a little to the sides where values are few, so that points do not hide one another.

        A trial is always moved the same way.
        """
        if not self.count:
            return places
        # The golden ratio's multiples fill an interval evenly whatever their number.
        apart = (self.high - self.low) / (self.count - 1) if self.count > 1 else 1.0
        return places + 0.5 * apart * ((np.asarray(number) * 0.6180339887498949) % 1.0 - 0.5)

    def said(self, places: Floats) -> list[str]:
        """The values at these positions, as escaped text; jitter is ignored."""
        if self.labels:
            return [safe(self.labels[round(place)], 40) for place in places.tolist()]
        if self.count > 1:
            last = self.count - 1
            places = self.low + np.rint(self.shares(places) * last) * (self.high - self.low) / last
        return [words.setting(place) for place in places.tolist()]

    def axis(self, theme: Theme, title: int = TITLE, most: int = TICKS, **more: Any) -> dict[str, Any]:
        """The axis as Plotly has it; its name has at most so many letters, and it about so many numbers."""
        if self.labels:
            ticks = {
                "tickmode": "array",
                "tickvals": list(range(len(self.labels))),
                "ticktext": [safe(label, 16) for label in self.labels],
                "range": [-0.5, len(self.labels) - 0.5],
            }
            return theme.axis(shortened(self.name, title), **{**ticks, **more})
        ends = np.log10([self.low, self.high]) if self.log else np.array([self.low, self.high])
        margin = (0.5 / self.count if self.count else 0.03) * (ends[1] - ends[0]) or 0.5
        # Numbers that Plotly turns to make room for stand over the axis' name.
        within: dict[str, Any] = {
            "range": listed([ends[0] - margin, ends[1] + margin], 6), "tickangle": 0, "nticks": most,
        }  # fmt: skip
        if self.log:
            within["dtick"] = steps_of(ends[1] - ends[0], most)
        return theme.axis(shortened(self.name, title), log=self.log, **{**within, **more})


def steps_of(decades: float, most: int = TICKS) -> str | int:
    """What a logarithmic axis is labelled at, as Plotly has it; labels at every digit overlap.

    That is 1, 2 and 5 of each decade, or whole decades, of which there are at most `most`.
    """
    return "D2" if decades < 1.5 else math.ceil(decades / most)
