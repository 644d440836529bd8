"""Trade-offs: the value against a further objective or a cost (gap, time, ...), and the best trade-offs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuner.core.columns import Floats, Ints
from tuner.core.frame import Frame
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option
from tuner.figures.numbers import listed, spans_decades, window
from tuner.figures.points import Points, hover, point_traces, scattered
from tuner.figures.quantities import COSTS
from tuner.figures.theme import Theme


@dataclass(frozen=True)
class Tradeoffs:
    """What the figure shows; the front has F trials.

    Attributes:
        points: cost (x) against value (y).
        x: (F,) costs of the front, rising.
        y: (F,) its values.
        number: (F,) its trials.
        own: (G, 2) costs and values of the study's own front; none where it has one objective.
        own_number: (G,) its trials.
        cost: what the cost is called.
        metric: what the value is called.
        log: whether values stand on a logarithmic axis.
        log_cost: whether costs do.
        range: of the values, without far outliers.
        cost_range: of the costs, likewise.
        area: (P,) a size of each point's model; None where it is not shown.
        area_name: what that is called.
        default: the place of the default configuration.
        knee: the place of the trial at the knee of the study's own front, and its number.
    """

    points: Points
    x: Floats
    y: Floats
    number: Ints
    own: Floats
    own_number: Ints
    cost: str
    metric: str
    log: bool
    log_cost: bool
    range: list[float] | None
    cost_range: list[float] | None
    area: Floats | None = None
    area_name: str = ""
    default: tuple[float, float] | None = None
    knee: tuple[float, float, int] | None = None


SIZES = (
    "size_bytes",
    "size_bytes[onnx]",
    "size_bytes[onnx-int8]",
    "size_bytes[onnx-int8-static]",
    "parameters",
)
"""What the area of a mark may stand for, with several objectives: the first one that is known and no axis."""

_LEAST, _LARGEST = 4.0, 22.0
"""Diameters of marks."""


def front(cost: Floats, loss: Floats, rows: Ints) -> Ints:
    """Those of the rows that no other one beats in both, by rising cost; the first of equal ones."""
    order = rows[np.lexsort((loss[rows], cost[rows]))]
    lowest = np.minimum.accumulate(loss[order])
    return order[np.flatnonzero(np.diff(lowest, prepend=np.inf) < 0)]


def data(frame: Frame, cost: str = "gap", log: bool = False) -> Tradeoffs:
    """Every trial's value and cost, and the trials that no other one beats in both.

    Of several objectives, the study's own front too: what no other trial beats in all of them.
    """
    trials = frame.trials
    spent = _spent(frame, cost)
    is_less_better = True if cost in COSTS else frame.falls(cost)
    points, drawn = scattered(frame, spent, np.where(np.isfinite(spent), trials.value, np.nan))
    rows = np.flatnonzero(frame.standing & np.isfinite(spent))
    if not len(rows):
        raise NothingToPlot(
            f"No trial has a {frame.label(cost)} beside its {frame.label(frame.objective.metric)}."
            if len(frame.ranking)
            else "No trial has a value: trade-offs appear once some have."
        )
    # Without a direction nothing is better than anything else.
    best = (
        rows[:0] if is_less_better is None else front(spent if is_less_better else -spent, frame.loss, rows)
    )
    own = frame.front[np.isfinite(spent[frame.front])] if len(frame.objectives) > 1 else rows[:0]
    log_cost = spans_decades(spent)
    size = _size(frame, cost) if len(frame.objectives) > 1 else None
    places = {int(n): (float(x), float(y)) for n, x, y in zip(points.number, points.x, points.y, strict=True)}
    knee = None if frame.knee not in places else (*places[frame.knee], frame.knee)
    return Tradeoffs(
        points=points,
        x=spent[best],
        y=trials.value[best],
        number=trials.number[best],
        own=np.column_stack([spent[own], trials.value[own]]),
        own_number=trials.number[own],
        cost=COSTS.get(cost, frame.label(cost)),
        metric=frame.label(frame.objective.metric),
        log=log,
        log_cost=log_cost,
        range=window(trials.value, log, frame.objective.minimize),
        cost_range=window(spent, log_cost, minimize=is_less_better),
        area=None if size is None else frame.at_best(size)[drawn],
        area_name="" if size is None else COSTS.get(size, frame.label(size)),
        default=places.get(0),
        knee=knee,
    )


def _size(frame: Frame, cost: str) -> str | None:
    """What the area of marks says; None where nothing is known that differs."""
    for name in SIZES:
        if name in (cost, frame.objective.metric) or name not in frame.measured:
            continue
        known = frame.at_best(name)[np.isfinite(frame.at_best(name))]
        if len(known) and known.min() < known.max():
            return name
    return None


def _spent(frame: Frame, cost: str) -> Floats:
    return np.asarray(frame.at_best(cost), dtype=float)


def draw(columns: Tradeoffs, theme: Theme) -> Drawing:
    """A scatter, and the front as a line with larger marks."""
    template = hover(columns.cost, columns.metric)
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "best trade-offs",
        "x": listed(columns.x),
        "y": listed(columns.y),
        "customdata": columns.number.tolist(),
        "line": {"color": theme.green, "width": 2},
        "marker": {"size": 9, "color": theme.green, "symbol": "star"},
        "hovertemplate": template,
    }
    x = theme.axis(columns.cost, log=columns.log_cost)
    y = theme.axis(columns.metric, log=columns.log)
    for axis, reach in ((x, columns.cost_range), (y, columns.range)):
        if reach:
            axis["range"] = reach
    note = "; ".join(filter(None, [columns.points.note, _legend(columns)]))
    layout = theme.layout(x, y, note)
    own = {
        "type": "scatter",
        "mode": "markers",
        "name": "the study's front",
        "x": listed(columns.own[:, 0]),
        "y": listed(columns.own[:, 1]),
        "customdata": columns.own_number.tolist(),
        "marker": {"size": 14, "color": theme.purple, "symbol": "diamond-open", "line": {"width": 2}},
        "hovertemplate": template,
    }
    size: float | Floats = 6 if columns.area is None else _diameters(columns.area)
    drawn = point_traces(columns.points, theme, template, size)
    drawn += [line] if len(columns.x) else []
    drawn += [own] if len(columns.own) else []
    if len(columns.own) and columns.default is not None:
        drawn.append(_named("default", "square-open", (*columns.default, 0), theme, template))
    if columns.knee is not None:
        drawn.append(_named("knee", "circle-open", columns.knee, theme, template))
    return {"data": drawn, "layout": layout}


def _named(
    name: str, symbol: str, place: tuple[float, float, int], theme: Theme, template: str
) -> dict[str, Any]:
    """One trial with its name beside it."""
    x, y, number = place
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": name,
        "x": [x],
        "y": [y],
        "customdata": [number],
        "text": [name],
        "textposition": "bottom center",
        "textfont": {"color": theme.text},
        "marker": {"size": 18, "color": theme.text, "symbol": symbol, "line": {"width": 2}},
        "hovertemplate": template,
    }


def _diameters(area: Floats) -> Floats:
    """Of marks whose areas are as these numbers, with the smallest that can be pointed at."""
    known = np.where(np.isfinite(area), np.maximum(area, 0.0), 0.0)
    return np.maximum(_LARGEST * np.sqrt(known / max(float(known.max(initial=0.0)), 1e-12)), _LEAST)


def _legend(columns: Tradeoffs) -> str:
    return f"the area of a mark is its {columns.area_name}" if columns.area is not None else ""


def options(frame: Frame) -> Sequence[Option]:
    """The cost, of those that are known, and the values' scale."""
    first = [each.metric for each in frame.objectives][1:]
    names = dict.fromkeys((*first, *COSTS, *frame.measured))
    others = [name for name in names if name != frame.objective.metric]
    known = [name for name in others if name == "gap" or np.isfinite(_spent(frame, name)).any()]
    # The shipped pages name the gap; it comes last where nobody has measured it.
    known.sort(key=lambda name: name not in first and not np.isfinite(_spent(frame, name)).any())
    costs = tuple((cost, COSTS.get(cost, frame.label(cost))) for cost in known)
    return (
        Option("cost", "against", costs[0][0], costs),
        Option("log", "log scale", spans_decades(frame.trials.value)),
    )


FIGURE = Figure(
    name="tradeoffs",
    title="Trade-offs",
    help=(
        "The value of every trial against what it costs. The stars are the best trade-offs: no trial is "
        "better in both. A good choice is a star at the line's bend. With several objectives, diamonds "
        "mark the trials that no other one beats in all of them, the area of a mark is the size of its model "
        "where that is known, and the knee is nearest to the best of all at once."
    ),
    data=data,
    draw=draw,
    options=options,
)
