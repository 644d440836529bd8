"""Panels: a number of every trial against several parameters, side by side, each with its trend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuner.core import words
from tuner.core.columns import Floats
from tuner.core.frame import Frame
from tuner.core.trial import TrialState
from tuner.figures.figure import Drawing, NothingToPlot, Option, is_log, parameter_option, scale_option
from tuner.figures.numbers import Bins, binned, grouped, listed, window
from tuner.figures.points import MOST, Points, hover, of_default, point_traces, scattered
from tuner.figures.scale import Scale
from tuner.figures.theme import Theme, safe

MOST_PANELS = 8

FEWEST_POINTS = 60
"""Points that a panel draws at most; its trend uses all trials."""
_COLUMNS = 4
_TITLES, _TICKS = 72, 12  # letters of all names, and numbers, along a row of panels


@dataclass(frozen=True)
class Panel:
    """One parameter.

    Attributes:
        scale: its axis.
        points: the trials in which it is active; choices stand a little beside their place.
        trend: medians and quartiles of y, per bin of a number or per choice, over the trials whose
            value stands.
        inactive: how many trials have a y and the parameter not.
    """

    scale: Scale
    points: Points
    trend: Bins
    inactive: int


@dataclass(frozen=True)
class Panels:
    """What the figure shows.

    Attributes:
        panels: one per parameter.
        label: what y is.
        log: whether y stands on a logarithmic axis.
        range: of y, without far outliers; None for all.
        outside: how many trials lie beyond it.
        default: y of the default configuration.
    """

    panels: tuple[Panel, ...]
    label: str
    log: bool
    range: list[float] | None
    outside: int
    default: float | None


def panels(
    frame: Frame, y: Floats, label: str, parameters: Sequence[str], log: str, minimize: bool | None
) -> Panels:
    """Columns for `y` (N,) against these parameters.

    Args:
        frame: the study.
        y: `nan` where a trial has none; of those that failed it does not count.
        label: what y is.
        parameters: names; more than `MOST_PANELS` are left out.
        log: how y is shown; see `figure.is_log`.
        minimize: which end of y is the good one and is always seen; None: neither.

    Raises:
        NothingToPlot: no trial has a y, or no parameter is chosen.
    """
    y = np.where(frame.trials.is_(TrialState.FAILED), np.nan, y)
    if not np.isfinite(y).any():
        none = f"No trial has a {label}"
        raise NothingToPlot(
            f"{none}: there is nothing to draw."
            if len(frame.epochs)
            else f"{none} yet: points appear with the first epoch."
        )
    if not parameters:
        raise NothingToPlot("No parameter is chosen: choose one or more above the figure.")
    chosen = parameters[:MOST_PANELS]
    most = max(FEWEST_POINTS, MOST // len(chosen))
    logs = is_log(log, y)
    seen = window(y, logs, minimize)
    return Panels(
        panels=tuple(_panel(frame, y, name, most) for name in chosen),
        label=label,
        log=logs,
        range=seen,
        outside=_beyond(y, seen, logs),
        default=of_default(frame, y),
    )


def panel_options(frame: Frame, explains: str) -> Sequence[Option]:
    """The parameters, at first those that matter most for what they are to explain, and the scale."""
    return parameter_option(frame, "parameters", "parameters", explains=explains, several=4), scale_option()


def _panel(frame: Frame, y: Floats, name: str, most: int) -> Panel:
    scale = Scale.of(frame, name)
    places = scale.places(frame)
    x = scale.jittered(places, frame.trials.number)
    points, _ = scattered(frame, x, y, most, x_may_miss=True)
    # A trial that was cut short has a worse value for that reason alone.
    fine = np.isfinite(places) & np.isfinite(y) & frame.standing
    if scale.count:
        trend = grouped(np.unique(places[fine], return_inverse=True)[1], places[fine], y[fine])
    else:
        trend = binned(places[fine], y[fine])
    return Panel(scale, points, trend, int((np.isfinite(y) & ~np.isfinite(places)).sum()))


def _beyond(y: Floats, seen: list[float] | None, log: bool) -> int:
    """How many of y an axis of this range does not show."""
    if seen is None:
        return 0
    low, high = (10.0**end if log else end for end in seen)
    return int(((y < low) | (y > high)).sum())


def draw(columns: Panels, theme: Theme) -> Drawing:
    """A row of at most four panels, or two rows; all share the axis of y."""
    count = len(columns.panels)
    across = min(_COLUMNS, count) if count != 5 else 3
    rows = -(-count // across)
    traces: list[dict[str, Any]] = []
    axes: dict[str, Any] = {}
    for i, panel in enumerate(columns.panels):
        suffix = "" if i == 0 else str(i + 1)
        column, row = i % across, i // across
        drawn = _points(panel, theme, columns.label)
        drawn += _trend(panel, theme, columns.label)
        for trace in drawn:
            trace |= {
                "xaxis": f"x{suffix}",
                "yaxis": f"y{suffix}",
                "legendgroup": trace["name"],
                "showlegend": trace["name"] not in {each["name"] for each in traces},
            }
            traces.append(trace)
        axes[f"xaxis{suffix}"] = panel.scale.axis(
            theme,
            _TITLES // across,
            max(2, _TICKS // across),
            domain=share(column, across, 0.03),
            anchor=f"y{suffix}",
        )
        bottom, top = share(row, rows, 0.11)
        y = theme.axis(columns.label if column == 0 else "", log=columns.log, domain=[1 - top, 1 - bottom])
        y |= {"anchor": f"x{suffix}", **({"matches": "y", "showticklabels": column == 0} if i else {})}
        if columns.range:
            y["range"] = columns.range
        axes[f"yaxis{suffix}"] = y
    note = next((panel.points.note for panel in columns.panels if panel.points.note), "")
    told = [
        f"{each.scale.name} is not active in {each.inactive:,}" for each in columns.panels if each.inactive
    ]
    if columns.outside:
        told.append(f"{words.count(columns.outside, 'trial')} beyond the axis: zoom out to see")
    note = "; ".join(filter(None, [note, *told]))
    layout = theme.layout(axes.pop("xaxis"), axes.pop("yaxis"), note, **axes)
    if columns.default is not None and rows == 1:
        theme.add_default(layout, columns.default, log=columns.log)
    return {"data": traces, "layout": layout}


def _points(panel: Panel, theme: Theme, label: str) -> list[dict[str, Any]]:
    """The scatter; where places are jittered, hover tells the value that is meant."""
    scale = panel.scale
    drawn = point_traces(
        panel.points, theme, hover(scale.name, label, x_as="text" if scale.count else "x"), 5
    )
    for trace in drawn if scale.count else ():
        trace["text"] = scale.said(np.array(trace["x"]))
    return drawn


def share(place: int, of: int, apart: float) -> list[float]:
    """Where one of several equal panels stands, from 0 to 1."""
    size = (1 - apart * (of - 1)) / of
    start = place * (size + apart)
    return [start, min(1.0, start + size)]


def _trend(panel: Panel, theme: Theme, label: str) -> list[dict[str, Any]]:
    """Medians joined by a line, quartiles as bars; choices are not joined."""
    trend = panel.trend
    if not len(trend.x):
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers" if panel.scale.labels else "lines+markers",
            "name": "median and quartiles",
            "x": listed(trend.x),
            "y": listed(trend.median),
            "error_y": {
                "type": "data",
                "symmetric": False,
                "array": listed(trend.high - trend.median),
                "arrayminus": listed(trend.median - trend.low),
                "color": theme.text,
                "thickness": 1.2,
                "width": 3,
            },
            "marker": {"symbol": "diamond", "size": 8, "color": theme.text},
            "line": {"color": theme.text, "width": 2},
            "text": [f"{count:,} trials" for count in trend.count.tolist()],
            "hovertemplate": f"median {safe(label)}: %{{y}}<br>%{{text}}<extra></extra>",
        }
    ]
