"""Training against validation at each trial's best epoch, coloured by the gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuner.core.columns import Floats
from tuner.core.frame import Frame
from tuner.figures.curves import quantity, quantity_option
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option, is_log, scale_option
from tuner.figures.numbers import POINT_DIGITS, colour_ends, listed, window
from tuner.figures.points import Points, marks, rings, scattered
from tuner.figures.scale import steps_of
from tuner.figures.theme import Theme, safe


@dataclass(frozen=True)
class TrainValidation:
    """What the figure shows.

    Attributes:
        points: training (x) against validation (y).
        gap: (P,) by how much validation is worse.
        ends: the diagonal's ends.
        label: what is compared.
        log: whether both axes are logarithmic.
        range: the axes' range without far outliers; None for all.
    """

    points: Points
    gap: Floats
    ends: tuple[float, float]
    label: str
    log: bool
    range: list[float] | None


def data(frame: Frame, what: str = "loss", log: str = "auto") -> TrainValidation:
    """The best epochs' numbers."""
    if what not in frame.sides:
        raise NothingToPlot(
            f"No epoch has a training and a validation {quantity(frame, what)}: there is nothing to compare."
            if len(frame.epochs)
            else "No epoch is recorded yet: points appear with the first one."
        )
    train, val = (frame.at_best(name) for name in frame.sides[what])
    points, _ = scattered(frame, train, np.where(np.isfinite(train), val, np.nan))
    if not len(points):
        raise NothingToPlot("No trial has a best epoch yet: points appear as soon as trials have one.")
    rising = any(frame.falls(name) is False for name in frame.sides[what])
    logs = is_log(log, train)
    both = np.concatenate([points.x, points.y])
    positive = both[both > 0] if logs else both
    return TrainValidation(
        points=points,
        gap=points.x - points.y if rising else points.y - points.x,
        ends=(float(positive.min()), float(positive.max())) if len(positive) else (0.0, 1.0),
        label=quantity(frame, what),
        log=logs,
        range=window(both, logs, minimize=not rising),
    )


def draw(columns: TrainValidation, theme: Theme) -> Drawing:
    """A scatter and its diagonal, where nothing is over-fitted."""
    points, words, label = columns.points, f"{columns.label} at the best epoch", safe(columns.label)
    template = (
        f"trial %{{customdata}}<br>training {label}: %{{x:.8~g}}"
        f"<br>validation {label}: %{{y:.8~g}}<br>gap: %{{marker.color:.8~g}}<extra></extra>"
    )
    low, high = colour_ends(columns.gap)
    marker: dict[str, Any] = {
        "size": 7,
        "opacity": 0.8,
        "color": listed(columns.gap, POINT_DIGITS),
        "colorscale": [list(pair) for pair in theme.scale],
        "cmin": low,
        "cmax": high,
        "colorbar": {"title": {"text": "gap", "side": "right"}, "thickness": 10, "outlinewidth": 0},
    }
    diagonal = {
        "type": "scatter",
        "mode": "lines",
        "name": "no gap",
        "x": listed(columns.ends),
        "y": listed(columns.ends),
        "line": {"color": theme.muted, "dash": "dash", "width": 1.5},
        "hoverinfo": "skip",
    }
    everyone = marks(points, np.arange(len(points)), "trials", marker, template)
    reach = {"range": columns.range} if columns.range else {}
    steps = {}
    if columns.log:
        low, high = columns.range or np.log10(columns.ends)
        steps = {"dtick": steps_of(high - low)}
    layout = theme.layout(
        theme.axis(f"training {words}", log=columns.log, **reach, **steps),
        theme.axis(f"validation {words}", log=columns.log, **reach),
        points.note,
    )
    layout["margin"]["r"] = 90  # the scale of colours
    return {"data": [diagonal, everyone, *rings(points, theme, template)], "layout": layout}


def options(frame: Frame) -> Sequence[Option]:
    """What is compared, and the axes' scale."""
    return quantity_option(frame, list(frame.sides)), scale_option()


FIGURE = Figure(
    name="train_validation",
    title="Training against validation",
    help=(
        "Each point is a trial at its best epoch; the colour is its gap. Good is low on both axes and "
        "near the dashed diagonal; points far above it memorized the training data."
    ),
    data=data,
    draw=draw,
    options=options,
)
