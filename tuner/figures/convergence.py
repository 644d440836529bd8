"""Convergence: the best value so far over trials, epochs or seconds, beside the default configuration's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuner.core.columns import Floats, Ints
from tuner.core.frame import Frame
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option, is_log, scale_option
from tuner.figures.numbers import AXIS_DIGITS, listed, window
from tuner.figures.points import Points, hover, of_default, point_traces, scattered
from tuner.figures.quantities import Quantity, measured_option
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


def best_so_far(frame: Frame, x: Floats, number: Quantity | None = None) -> BestSoFar:
    """The improvements of the trials that may be the best, in the order of x (N,).

    Of a number of which nothing says whether less of it is better there are none.
    """
    number = number or Quantity.of(frame, "")
    fine = frame.standing & np.isfinite(x) & np.isfinite(number.values)
    rows = np.flatnonzero(fine & (number.minimize is not None))
    rows = rows[np.argsort(x[rows], kind="stable")]
    lowest = np.minimum.accumulate(number.loss[rows])
    steps = rows[np.flatnonzero(np.diff(lowest, prepend=np.inf) < 0)]
    last = steps[-1:]
    finite = x[np.isfinite(x)]
    stop = finite.max() if len(finite) else None
    return BestSoFar(
        x=np.append(x[steps], np.full(len(last), stop)),
        y=number.values[np.append(steps, last)],
        number=frame.trials.number[np.append(steps, last)],
    )


def data(frame: Frame, axis: str = "trials", log: str = "auto", what: str = "") -> Convergence:
    """Best so far, every trial, and the default's value."""
    if not len(frame.ranking):
        raise NothingToPlot("No trial has a value: this figure fills in once one has.")
    x = progress(frame, axis)
    number = Quantity.of(frame, what)
    value, logs = number.values, is_log(log, number.values)
    if not np.isfinite(value).any():
        raise NothingToPlot(f"No trial has a {number.label}: this figure fills in once one has.")
    return Convergence(
        points=scattered(frame, x, value)[0],
        best_so_far=best_so_far(frame, x, number),
        default=of_default(frame, value),
        axis=axis,
        metric=number.label,
        log=logs,
        range=window(value, logs, number.minimize),
    )


def draw(columns: Convergence, theme: Theme) -> Drawing:
    """Points by how trials ended, the best so far as a step, the default as a line across."""
    label = AXES[columns.axis]
    template = hover(label, columns.metric)
    traces = point_traces(columns.points, theme, template)
    if len(columns.best_so_far.y):
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
    """The axis, which number, and its scale."""
    return (
        measured_option(frame),
        Option(
            "axis", "over", "trials", (("trials", "trials"), ("epochs", "epochs"), ("seconds", "seconds"))
        ),
        scale_option(),
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
