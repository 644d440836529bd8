"""Training against validation at each trial's best epoch, coloured by the gap.

What the metric of the search is plays no part here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuner.core.columns import Floats
from tuner.core.frame import Frame
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option
from tuner.figures.numbers import POINT_DIGITS, listed, spans_decades, window
from tuner.figures.points import Points, marks, rings, scattered
from tuner.figures.theme import Theme


@dataclass(frozen=True)
class TrainValidation:
    """What the figure shows.

    Attributes:
        points: training (x) against validation (y).
        gap: (P,) by how much validation is worse.
        ends: the diagonal's ends.
        what: ``"loss"`` or ``"score"``.
        log: whether both axes are logarithmic.
        range: the axes' range without far outliers; None for all.
    """

    points: Points
    gap: Floats
    ends: tuple[float, float]
    what: str
    log: bool
    range: list[float] | None


def data(frame: Frame, what: str = "loss", log: bool = False) -> TrainValidation:
    """The best epochs' numbers."""
    log = log and what == "loss"
    trials = frame.trials
    train, val = (
        (trials.train_loss, trials.val_loss) if what == "loss" else (trials.train_score, trials.val_score)
    )
    points, _ = scattered(frame, train, val)
    if not len(points):
        raise NothingToPlot(
            "No trial has a best epoch yet: points appear as soon as trials have one."
            if what == "loss" or not len(frame.ranking)
            else "The trainer reports no score; choose the loss."
        )
    # Of an error such as rmse less is better; the objective says so where it is what is searched for.
    rising = what == "score" and not (frame.objective.metric.endswith("_score") and frame.objective.minimize)
    both = np.concatenate([points.x, points.y])
    positive = both[both > 0] if log else both
    return TrainValidation(
        points=points,
        gap=points.x - points.y if rising else points.y - points.x,
        ends=(float(positive.min()), float(positive.max())) if len(positive) else (0.0, 1.0),
        what=what,
        log=log,
        range=window(both, log, minimize=not rising),
    )


def draw(columns: TrainValidation, theme: Theme) -> Drawing:
    """A scatter and its diagonal, where nothing is over-fitted."""
    points, words = columns.points, f"{columns.what} at the best epoch"
    template = (
        f"trial %{{customdata}}<br>training {columns.what}: %{{x:.8~g}}"
        f"<br>validation {columns.what}: %{{y:.8~g}}<br>gap: %{{marker.color:.8~g}}<extra></extra>"
    )
    low, high = (float(q) for q in np.quantile(columns.gap, (0.02, 0.98)))
    marker: dict[str, Any] = {
        "size": 7,
        "opacity": 0.8,
        "color": listed(columns.gap, POINT_DIGITS),
        "colorscale": [list(pair) for pair in theme.scale],
        "cmin": low,
        "cmax": high if high > low else low + 1e-9,
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
    layout = theme.layout(
        theme.axis(f"training {words}", log=columns.log, **reach),
        theme.axis(f"validation {words}", log=columns.log, **reach),
        annotations=[theme.note(points.note)] if points.note else [],
    )
    layout["margin"]["r"] = 90  # the scale of colours
    return {"data": [diagonal, everyone, *rings(points, theme, template)], "layout": layout}


def options(frame: Frame) -> Sequence[Option]:
    """Losses or scores, and the axes' scale."""
    return (
        Option("what", "quantity", "loss", (("loss", "loss"), ("score", "score"))),
        Option("log", "log scale", spans_decades(frame.trials.train_loss)),
    )


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
