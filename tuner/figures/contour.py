"""Contour: the median value, or another number, over two parameters, as a map of cells.

A map of measurements, not of a model: cells without a trial stay empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuner.core import words
from tuner.core.columns import Floats, Ints
from tuner.core.frame import Frame
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option, parameter_option
from tuner.figures.numbers import colour_ends, listed, spans_decades
from tuner.figures.points import Points, left_out, marks, rings, scattered
from tuner.figures.quantities import Quantity, measured_option
from tuner.figures.scale import Scale
from tuner.figures.theme import Theme, safe

_CELLS = 16


@dataclass(frozen=True)
class Contour:
    """What the figure shows; R rows of C cells.

    Attributes:
        across: the parameter from left to right.
        upward: the parameter from bottom to top.
        x: (C + 1,) edges of the cells, or (C,) their middles where values are few.
        y: (R + 1,) likewise.
        median: (R, C) of the values; `nan` where no trial is.
        count: (R, C) trials.
        best: the best trials and the selected ones.
        metric: what the value is.
        minimize: whether less of it is better, or nothing says so.
        log: whether colours follow the value's logarithm.
        missing: what is said of trials that are in no cell.
    """

    across: Scale
    upward: Scale
    x: Floats
    y: Floats
    median: Floats
    count: Ints
    best: Points
    metric: str
    minimize: bool
    log: bool
    missing: str


def data(frame: Frame, across: str = "", upward: str = "", what: str = "") -> Contour:
    """Medians per cell; ranges are divided evenly on each parameter's own scale."""
    names = frame.ordered_params()
    if len(names) < 2:
        raise NothingToPlot("The study searches a single parameter; a map needs two. See the slices.")
    across, upward = across or names[0], upward or names[1]
    if across == upward:
        raise NothingToPlot("Twice the same parameter: choose two different ones.")
    scales = Scale.of(frame, across), Scale.of(frame, upward)
    places = [scale.places(frame) for scale in scales]
    number = Quantity.of(frame, what)
    fine = frame.standing & np.isfinite(places[0]) & np.isfinite(places[1]) & np.isfinite(number.values)
    if not fine.any():
        raise NothingToPlot("No trial with both parameters has a value: the map fills in once some have.")
    sizes = [scale.count or _CELLS for scale in scales]
    cells = [scale.cells(place[fine], _CELLS) for scale, place in zip(scales, places, strict=True)]
    median, count = _medians(cells[1] * sizes[0] + cells[0], number.values[fine], sizes[0] * sizes[1])
    # A few values are middles of their cells, a continuum is cut at edges.
    edges = [
        scale.at(np.linspace(0, 1, scale.count or _CELLS + 1)) if scale.count != 1 else np.array([scale.low])
        for scale in scales
    ]
    top = frame.is_selected.copy()
    top[number.ranked(frame)[:10]] = True
    best, _ = scattered(frame, np.where(top, places[0], np.nan), places[1])
    return Contour(
        across=scales[0],
        upward=scales[1],
        x=edges[0],
        y=edges[1],
        median=median.reshape(sizes[1], sizes[0]),
        count=count.reshape(sizes[1], sizes[0]),
        best=best,
        metric=number.label,
        minimize=number.minimize is not False,
        log=spans_decades(median),
        missing=left_out(frame, ~fine),
    )


def _medians(cell: Ints, value: Floats, cells: int) -> tuple[Floats, Ints]:
    count, found = np.bincount(cell, minlength=cells), np.full(cells, np.nan)
    for each in np.flatnonzero(count).tolist():
        found[each] = np.median(value[cell == each])
    return found, count.astype(np.int64)


def draw(columns: Contour, theme: Theme) -> Drawing:
    """A map with bright good cells, and the ten best trials as stars."""
    z = np.log10(columns.median) if columns.log else columns.median
    finite = z[np.isfinite(z)]
    low, high = colour_ends(finite)
    ticks = np.linspace(low, high, 5)
    said = 10**ticks if columns.log else ticks
    good_is_low = columns.minimize
    map_ = {
        "type": "heatmap",
        "x": listed(columns.x, 6),
        "y": listed(columns.y, 6),
        "z": [listed(row) for row in z],
        "text": [
            [
                f"{words.number(value)}, {count:,} trials" if count else ""
                for value, count in zip(*pair, strict=True)
            ]
            for pair in zip(columns.median.tolist(), columns.count.tolist(), strict=True)
        ],
        "colorscale": [list(pair) for pair in theme.scale],
        "reversescale": good_is_low,
        "zmin": low,
        "zmax": high,
        "hoverongaps": False,
        "xgap": 1,
        "ygap": 1,
        "hovertemplate": "median of the cell: %{text}<extra></extra>",
        "colorbar": {
            "title": {"text": safe(columns.metric), "side": "right"},
            "thickness": 10,
            "outlinewidth": 0,
            "tickvals": listed(ticks, 6),
            "ticktext": [words.number(float(value), digits=3) for value in said],
        },
    }
    marker = {"symbol": "star", "size": 9, "color": theme.text, "line": {"width": 1, "color": theme.paper}}
    template = "trial %{customdata}<extra></extra>"
    stars = marks(columns.best, np.arange(len(columns.best)), "the best trials", marker, template)
    layout = theme.layout(columns.across.axis(theme), columns.upward.axis(theme), columns.missing)
    layout["margin"]["r"] = 104  # the scale of colours
    return {"data": [map_, stars, *rings(columns.best, theme, template)], "layout": layout}


def options(frame: Frame) -> Sequence[Option]:
    """Which number, over which two parameters."""
    return (
        measured_option(frame),
        parameter_option(frame, "across", "across"),
        parameter_option(frame, "upward", "upward", place=1),
    )


FIGURE = Figure(
    name="contour",
    title="Two parameters",
    help=(
        "The median value of the trials in each cell of two parameters; bright is good, stars are the ten "
        "best trials. Good is a bright region well inside the ranges; a slanted one says that the two "
        "must be set together."
    ),
    data=data,
    draw=draw,
    options=options,
)
