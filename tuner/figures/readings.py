"""Readings: everything that was measured over epochs, a panel for each number.

`curves` shows one of these numbers at a time, with the other trials as bands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tuner.core.frame import Frame
from tuner.figures import curves
from tuner.figures.curves import CurveLines
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option, scale_option
from tuner.figures.panels import share
from tuner.figures.theme import Theme

MOST = 8
_ACROSS = 4


@dataclass(frozen=True)
class Measured:
    """What the figure shows; `total` numbers were measured, of which the first `MOST` are drawn."""

    panels: tuple[CurveLines, ...]
    total: int


def data(frame: Frame, best: float = 1, log: str = "auto", smoothing: float = 0.0) -> Measured:
    """The lines of every series; see `Frame.series`."""
    if not frame.series:
        raise NothingToPlot(
            "No epoch has a finite number: there is no curve to draw."
            if len(frame.epochs)
            else "No epoch is recorded yet: curves appear with the first one."
        )
    names = list(frame.series)
    # Without bands: of one trial there are no others.
    found = (curves.data(frame, name, best, log, smoothing) for name in names[:MOST])
    return Measured(tuple(found), len(names))


def draw(columns: Measured, theme: Theme) -> Drawing:
    """At most four panels side by side, in two rows."""
    count = len(columns.panels)
    across = min(_ACROSS, count) if count not in (5, 6) else 3
    rows = -(-count // across)
    traces: list[dict[str, Any]] = []
    axes: dict[str, Any] = {}
    for i, panel in enumerate(columns.panels):
        suffix = "" if i == 0 else str(i + 1)
        for trace in curves.line_traces(panel.lines, theme, panel.names):
            is_new = trace["name"] not in {each["name"] for each in traces}
            # The heading names what is alone in its panel.
            shown = trace.get("showlegend", True) and is_new and len(panel.names) > 1
            traces.append({**trace, "xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "showlegend": shown})
        column, row = i % across, i // across
        bottom, top = share(row, rows, 0.2)
        axes[f"xaxis{suffix}"] = theme.axis(
            "epoch" if i + across >= count else "",
            domain=share(column, across, 0.075),
            anchor=f"y{suffix}",
            rangemode="tozero",
        )
        axes[f"yaxis{suffix}"] = theme.axis(
            log=panel.log,
            domain=[1 - top, 1 - bottom],
            anchor=f"x{suffix}",
            rangemode="tozero" if panel.is_from_zero else "normal",
        )
    note = f"{count} of {columns.total} numbers are shown" if columns.total > count else ""
    layout = theme.layout(axes.pop("xaxis"), axes.pop("yaxis"), note, **axes)
    # Above each panel, where long names have room.
    layout["annotations"] += [
        {
            **theme.heading(panel.label),
            "x": share(i % across, across, 0.075)[0],
            "y": 1 - share(i // across, rows, 0.2)[0],
        }
        for i, panel in enumerate(columns.panels)
    ]
    layout["legend"] |= {"yref": "container", "y": 1, "yanchor": "top", "traceorder": "normal"}
    return {"data": traces, "layout": layout}


def options(_frame: Frame) -> Sequence[Option]:
    """The scale, and smoothing."""
    return scale_option(), Option("smoothing", "smoothing", 0.0, low=0.0, high=0.98)


FIGURE = Figure(
    name="readings",
    title="Everything over epochs",
    help=(
        "Every number that the trainer reports, epoch by epoch: solid lines are validation, dashed ones "
        "training, a star marks the best epoch. A validation line that turns up while the training line "
        "falls over-fits."
    ),
    data=data,
    draw=draw,
    options=options,
)
