"""Convergence: the best value so far over trials, epochs or seconds, beside the default configuration's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuner.core.columns import Floats, Ints
from tuner.core.frame import Frame
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option
from tuner.figures.numbers import AXIS_DIGITS, listed, spans_decades, window
from tuner.figures.points import Points, hover, of_default, point_traces, scattered
from tuner.figures.theme import Theme

AXES = {"trials": "trial", "epochs": "epochs trained, all trials", "seconds": "seconds since the start"}
"""What a search's progress is measured in, with the axis' title."""


@dataclass(frozen=True)
class BestSoFar:
    """The best value so far, a step at every improvement; S steps and the end.

    Attributes:
        x: (S + 1,) where the steps are.
        y: (S + 1,) the best value from there on.
        number: (S + 1,) the trial that has it.
    """

    x: Floats
    y: Floats
    number: Ints


@dataclass(frozen=True)
class Convergence:
    """What the figure shows."""

    points: Points
    best_so_far: BestSoFar
    default: float | None
    axis: str
    metric: str
    log: bool
    range: list[float] | None


def progress(frame: Frame, axis: str) -> Floats:
    """(N,) where on the axis each trial's best value was there; its number on the axis of trials."""
    trials, epochs = frame.trials, frame.epochs
    if axis == "trials":
        return trials.number.astype(float)
    if not len(epochs):
        return np.cumsum(trials.epochs if axis == "epochs" else trials.seconds).astype(float)
    bounds = frame.bounds
    at = np.clip(bounds[:-1] + trials.best_epoch - 1, bounds[:-1], np.maximum(bounds[1:] - 1, bounds[:-1]))
    reached = np.where(
        np.diff(bounds) > 0, np.append(frame.clock, np.nan)[np.minimum(at, len(epochs))], np.nan
    )
    if axis == "seconds":
        return reached
    found = np.searchsorted(np.sort(frame.clock), reached, side="right").astype(float)
    return np.where(np.isfinite(reached), found, np.nan)


def best_so_far(frame: Frame, x: Floats, end: float | None = None) -> BestSoFar:
    """The improvements of the trials that may be the best, in the order of x (N,), up to `end`."""
    rows = np.flatnonzero(frame.standing & np.isfinite(x))
    rows = rows[np.argsort(x[rows], kind="stable")]
    lowest = np.minimum.accumulate(frame.loss[rows])
    steps = rows[np.flatnonzero(np.diff(lowest, prepend=np.inf) < 0)]
    last = steps[-1:]
    finite = x[np.isfinite(x)]
    stop = finite.max() if end is None and len(finite) else end
    return BestSoFar(
        x=np.append(x[steps], np.full(len(last), stop)),
        y=frame.trials.value[np.append(steps, last)],
        number=frame.trials.number[np.append(steps, last)],
    )


def data(frame: Frame, axis: str = "trials", log: bool = False) -> Convergence:
    """Best so far, every trial, and the default's value."""
    if not len(frame.ranking):
        raise NothingToPlot("No trial has a value: this figure fills in once one has.")
    x = progress(frame, axis)
    value = frame.trials.value
    return Convergence(
        points=scattered(frame, x, value)[0],
        best_so_far=best_so_far(frame, x),
        default=of_default(frame, value),
        axis=axis,
        metric=frame.label(frame.objective.metric),
        log=log,
        range=window(value, log, frame.objective.minimize),
    )


def draw(columns: Convergence, theme: Theme) -> Drawing:
    """Points by how trials ended, the best so far as a step, the default as a line across."""
    label = AXES[columns.axis]
    template = hover(label, columns.metric)
    traces = point_traces(columns.points, theme, template)
    traces.append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": "best so far",
            "x": listed(columns.best_so_far.x, AXIS_DIGITS),
            "y": listed(columns.best_so_far.y, 6),
            "customdata": columns.best_so_far.number.tolist(),
            "line": {"shape": "hv", "color": theme.green, "width": 3},
            "hovertemplate": template,
        }
    )
    y = theme.axis(columns.metric, log=columns.log)
    if columns.range:
        y["range"] = columns.range
    layout = theme.layout(theme.axis(label), y, columns.points.note, shapes=[])
    if columns.default is not None:
        theme.add_default(layout, columns.default, log=columns.log)
    return {"data": traces, "layout": layout}


def options(frame: Frame) -> Sequence[Option]:
    """The axis, and whether values stand on a logarithmic one."""
    return (
        Option(
            "axis", "over", "trials", (("trials", "trials"), ("epochs", "epochs"), ("seconds", "seconds"))
        ),
        Option("log", "log scale", spans_decades(frame.trials.value)),
    )


FIGURE = Figure(
    name="convergence",
    title="Convergence",
    help=(
        "Each mark is a trial; the line is the best value found so far. A line that still steps down "
        "says that more trials would pay, a long flat end that the search is done; the further it ends "
        "from the dashed default, the more tuning has gained."
    ),
    data=data,
    draw=draw,
    options=options,
)
