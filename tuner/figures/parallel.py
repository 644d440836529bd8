"""Parallel coordinates: each trial a line across its parameters to its value.

Drawn as plain lines in a few colours: Plotly's own parallel coordinates need WebGL, take seconds
without a graphics card, and know no trial numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuner.core import words
from tuner.core.columns import Floats, Ints
from tuner.core.frame import Frame
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option, parameter_option
from tuner.figures.numbers import listed, spans_decades, thinned
from tuner.figures.points import left_out, not_drawn
from tuner.figures.quantities import Quantity, measured_option
from tuner.figures.scale import Scale
from tuner.figures.theme import Theme, faint, safe, shortened

MOST = 240
BEST = 20
_SHADES = 6
_MOST_AXES = 10
_LETTERS, _SHORTEST = 84, 12
"""Letters of labels along all axes of a figure on half a page, and of one at least."""


@dataclass(frozen=True)
class Parallel:
    """What the figure shows; P trials, A axes, the last of which is the value.

    Attributes:
        scales: the parameters' axes, A - 1 of them.
        heights: (P, A) where each line crosses each axis, 0 to 1; `nan` where not active.
        number: (P,) trial numbers.
        shade: (P,) 0 for the best, then 1 to 5 for each fifth of the others, the worst last.
        best: how many are of the best.
        selected: (P,) whether it is brought out.
        values: the value at the bottom and at the top of its axis.
        metric: what the value is.
        total: how many trials have a value.
        missing: what is said of those without one.
    """

    scales: tuple[Scale, ...]
    heights: Floats
    number: Ints
    shade: Ints
    best: int
    selected: np.ndarray[Any, np.dtype[np.bool_]]
    values: tuple[float, float]
    metric: str
    total: int
    missing: str


def data(frame: Frame, parameters: Sequence[str] = (), what: str = "") -> Parallel:
    """The best trials, the selected and a sample of the others."""
    if not len(frame.ranking):
        raise NothingToPlot("No trial has a value: lines appear once some have.")
    # Behind those that may be the best, all others with a value: those that were stopped early.
    number = Quantity.of(frame, what)
    known = np.isfinite(number.values)
    if not known.any():
        raise NothingToPlot(f"No trial has a {number.label}: lines appear once some have.")
    first = number.ranked(frame)
    valued = np.flatnonzero(known & ~np.isin(np.arange(len(frame)), first))
    ranking = np.concatenate([first, valued[np.argsort(number.loss[valued], kind="stable")]])
    best = min(BEST, len(first))
    names = (parameters or frame.ordered_params()[:7])[: _MOST_AXES - 1]
    keep = frame.is_selected[ranking]
    keep[:best] = True
    drawn = thinned(ranking, keep, MOST) if frame.is_thinned else ranking
    place = np.zeros(len(frame), dtype=np.int64)
    place[ranking] = np.arange(len(ranking))
    others = max(len(ranking) - best, 1)
    shade = np.where(place < best, 0, 1 + (place - best) * (_SHADES - 1) // others)
    scales = tuple(Scale.of(frame, name) for name in names)
    crossings = []
    for scale in scales:
        shares = scale.shares(scale.places(frame))[drawn]
        # Lines through the same of a few values are spread a little, so that they can be told apart.
        moved = scale.jittered(shares * 0.0, frame.trials.number[drawn])
        # None leaves the plot.
        crossings.append(np.clip(shares + 0.5 * moved / ((scale.high - scale.low) or 1.0), -0.04, 1.04))
    share, ends = _heights(number.values[drawn], number.loss[drawn])
    crossings.append(share)
    return Parallel(
        scales=scales,
        heights=np.stack(crossings, axis=1),
        number=frame.trials.number[drawn],
        shade=shade[drawn],
        best=best,
        selected=frame.is_selected[drawn],
        values=ends,
        metric=number.label,
        total=len(ranking),
        missing=left_out(frame, ~known),
    )


def _heights(value: Floats, loss: Floats) -> tuple[Floats, tuple[float, float]]:
    """Where values (P,) stand on their axis, 0 to 1, and the values at its ends.

    The worst tenth would press all others together; it stands at the axis' bad end.
    """
    log = spans_decades(value)
    scaled = np.log10(value) if log else value
    near = loss <= np.quantile(loss, 0.9)
    low, high = float(scaled[near].min()), float(scaled[near].max())
    share = np.clip((scaled - low) / (high - low), 0, 1) if high > low else np.full(len(value), 0.5)
    return share, (10**low, 10**high) if log else (low, high)


def draw(columns: Parallel, theme: Theme) -> Drawing:
    """One trace of gapped lines per shade, the best on top."""
    axes = columns.heights.shape[1]
    bright = theme.name == "dark"
    traces = []
    for shade in reversed(range(_SHADES)):
        share = shade / (_SHADES - 1)
        # The best stand out against the ground: bright on dark, dark on light.
        hue = theme.scale[round(8 * (0.95 - 0.75 * share if bright else 0.05 + 0.75 * share))][1]
        rows = np.flatnonzero((columns.shade == shade) & ~columns.selected)
        name = (f"the {columns.best} best", "good", *("",) * (_SHADES - 3), "bad")[shade]
        if len(rows):
            width, opacity = (2, 1) if shade == 0 else (0.8, 0.45)
            traces.append(_lines(columns, rows, name, hue, width, opacity))
    rows = np.flatnonzero(columns.selected)
    if len(rows):
        traces.append(_lines(columns, rows, "selected", theme.red, 3, 1))
    labels = []
    for i, scale in enumerate(columns.scales):
        labels += _labels(scale, i, theme, max(_SHORTEST, _LETTERS // (axes - 1)))
    ends = [words.number(value, digits=3) for value in columns.values]
    labels += [_label(axes - 1, height, text, theme) for height, text in enumerate(ends)]
    note = not_drawn(len(columns.number), columns.total, columns.missing)
    upright = {"type": "line", "y0": 0, "y1": 1, "line": {"color": theme.muted, "width": 1}, "layer": "below"}
    names = [safe(name, 18) for name in (*(scale.name for scale in columns.scales), columns.metric)]
    x = theme.axis(
        tickmode="array",
        tickvals=list(range(axes)),
        ticktext=names,
        showgrid=False,
        zeroline=False,
        range=[-0.15, axes - 0.6],
    )
    y = theme.axis(visible=False, range=[-0.08, 1.05])
    layout = theme.layout(x, y, note, shapes=[{**upright, "x0": i, "x1": i} for i in range(axes)])
    layout["annotations"] += labels
    # A box over an axis selects the lines through it.
    layout |= {"dragmode": "select", "modebar": {"add": ["select2d", "lasso2d"]}}
    return {"data": traces, "layout": layout}


def _lines(
    columns: Parallel, rows: Ints, name: str, hue: str, width: float, opacity: float
) -> dict[str, Any]:
    axes = columns.heights.shape[1]
    gap = np.full((len(rows), 1), np.nan)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "showlegend": bool(name),
        "x": [*range(axes), None] * len(rows),
        "y": listed(np.hstack([columns.heights[rows], gap]).ravel(), 3),
        "customdata": np.repeat(columns.number[rows], axes + 1).tolist(),
        "line": {"color": hue, "width": width},
        "opacity": opacity,
        "connectgaps": False,
        "hovertemplate": "trial %{customdata}<extra></extra>",
    }


def _labels(scale: Scale, axis: int, theme: Theme, room: int) -> list[dict[str, Any]]:
    """The ends of a range, or its choices in so many letters; what is cut is whole where one points at it."""
    if not scale.labels:
        ends = [words.setting(float(value), 3) for value in (scale.low, scale.high)]
        return [_label(axis, height, text, theme) for height, text in enumerate(ends)]
    heights = scale.shares(np.arange(len(scale.labels), dtype=float)).tolist()
    return [
        _label(axis, height, shortened(text, room), theme)
        | ({"hovertext": safe(text)} if len(text) > room else {})
        for height, text in zip(heights, scale.labels, strict=True)
    ]


def _label(axis: int, height: float, text: str, theme: Theme) -> dict[str, Any]:
    return {
        "x": axis,
        "y": height,
        "text": safe(text),
        "showarrow": False,
        "xanchor": "left",
        "xshift": 4,
        "font": {"size": 10, "color": theme.text},
        "bgcolor": faint(theme.paper, 0.7),
    }


def options(frame: Frame) -> Sequence[Option]:
    """Which number the lines end at, and the parameters."""
    return measured_option(frame), parameter_option(frame, "parameters", "parameters", several=7)


FIGURE = Figure(
    name="parallel",
    title="Parallel coordinates",
    help=(
        "Each line is a trial, from its parameters on the left to its value on the right; the best, up to "
        "twenty, have the strongest colour. Where the best lines run through the same place, "
        "that setting matters. Draw a box over an axis to select the lines through it; a further "
        "box keeps those of them that run through both."
    ),
    data=data,
    draw=draw,
    options=options,
)
