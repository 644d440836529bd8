"""Timeline: which trials trained when, how full the rows were, and why trials stopped.

Rows are not recorded: trials are laid into as few rows as they need without overlapping.
"""

from __future__ import annotations

import heapq
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.columns import Bools, Floats, Ints, Texts
from tuner.core.endings import FINISHED
from tuner.core.frame import Frame
from tuner.figures import training_spans
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option
from tuner.figures.numbers import listed
from tuner.figures.points import KINDS, kinds, left_out
from tuner.figures.theme import Theme, safe

_BUCKETS = 150
_UNITS = ((7200.0, 3600.0, "hours"), (120.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))


@dataclass(frozen=True)
class Timeline:
    """What the figure shows; P trials, the last that started.

    Attributes:
        start: (P,) since the first trial's start, in `unit`.
        end: (P,) likewise; of trials under way the latest moment that is known.
        row: (P,) the row it is drawn in, from 0.
        number: (P,) trial numbers.
        kind: (P,) how it ended, see `KINDS`.
        reason: (P,) why it ended, and how often it was interrupted, in words.
        selected: (P,) whether it is brought out.
        edges: (B + 1,) of the time's buckets, over all trials.
        filled: (B,) how many trials trained at once in each, on average; see `training_spans`.
        missing: what is said of trials that have not started.
        rows: how many were open at once at most.
        unit: of all times.
        total: how many trials have started.
    """

    start: Floats
    end: Floats
    row: Ints
    number: Ints
    kind: Texts
    reason: tuple[str, ...]
    selected: Bools
    edges: Floats
    filled: Floats
    missing: str
    rows: int
    unit: str
    total: int


def laid(start: Floats, end: Floats) -> Ints:
    """The lowest row that is free at each trial's start; trials in the order of their starts."""
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    rows = np.empty(len(start), dtype=np.int64)
    for i, (begun, done) in enumerate(zip(start.tolist(), end.tolist(), strict=True)):
        while busy and busy[0][0] <= begun:
            heapq.heappush(free, heapq.heappop(busy)[1])
        row = heapq.heappop(free) if free else len(busy)
        rows[i] = row
        heapq.heappush(busy, (done, row))
    return rows


def fullness(start: Floats, end: Floats, edges: Floats) -> Floats:
    """(B,) how many of the intervals are open in each bucket (B + 1 edges), averaged over its length."""

    def area(moments: Floats) -> NDArray[np.float64]:
        """(B + 1,) the integral of "how many have passed this moment" up to each edge."""
        ordered = np.sort(moments)
        count = np.searchsorted(ordered, edges)
        found: NDArray[np.float64] = count * edges - np.concatenate([[0.0], np.cumsum(ordered)])[count]
        return found

    return np.diff(area(start) - area(end)) / np.diff(edges)


def data(frame: Frame, last: float = 300) -> Timeline:
    """The last trials' times, and how full the rows were all along."""
    trials = frame.trials
    begun = np.flatnonzero(np.isfinite(trials.started_at))
    if not len(begun):
        raise NothingToPlot("No trial has started yet: the timeline begins with the first one.")
    order = begun[np.argsort(trials.started_at[begun], kind="stable")]
    start = trials.started_at[order]
    now = max(float(start[-1]), float(np.nanmax(np.append(trials.ended_at[order], start[-1]))))
    if len(frame.epochs):  # readings of trials under way are later than anything that ended
        now = max(now, float(start[0] + frame.clock.max()))
    end = np.where(np.isfinite(trials.ended_at[order]), trials.ended_at[order], now)
    end = np.maximum(end, start)
    span = now - start[0]
    _, second, unit = next(each for each in _UNITS if span >= each[0])
    begins, ends = ((each - start[0]) / second for each in training_spans.spans(frame, order, start, end))
    start, end = (start - start[0]) / second, (end - start[0]) / second
    rows = laid(start, end)
    edges = np.linspace(0, end.max() or 1.0, _BUCKETS + 1)
    shown = np.zeros(len(order), dtype=bool)
    shown[-int(last) :] = True
    shown |= frame.is_selected[order]
    drawn = order[shown]
    return Timeline(
        start=start[shown],
        end=end[shown],
        row=rows[shown],
        number=trials.number[drawn],
        kind=kinds(frame)[drawn],
        reason=tuple(_reason(frame, row) for row in drawn.tolist()),
        selected=frame.is_selected[drawn],
        edges=edges,
        filled=fullness(np.sort(begins), np.sort(ends), edges),
        missing=left_out(frame, ~np.isfinite(trials.started_at), "without a time"),
        rows=int(rows.max()) + 1,
        unit=unit,
        total=len(order),
    )


def _reason(frame: Frame, row: int) -> str:
    trials = frame.trials
    parts = [f"{trials.rule[row]}: {trials.reason[row]}" if trials.rule[row] else str(trials.reason[row])]
    if trials.interruptions[row]:
        parts.append(f"started again {trials.interruptions[row]} times")
    return "; ".join(part for part in parts if part) or str(trials.state[row])


def draw(columns: Timeline, theme: Theme) -> Drawing:
    """Bars in rows, marked at their end; below, how many trained at once."""
    traces: list[dict[str, Any]] = []
    for kind, (symbol, colour) in KINDS.items():
        rows = np.flatnonzero((columns.kind == kind) & ~columns.selected)
        if len(rows):
            traces.append(_bars(columns, rows, kind, getattr(theme, colour), symbol, 4))
    rows = np.flatnonzero(columns.selected)
    if len(rows):
        traces.append(_bars(columns, rows, "selected", theme.text, "circle", 7))
    middles = (columns.edges[1:] + columns.edges[:-1]) / 2
    traces.append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": "trials that trained at once",
            "x": listed(middles),
            "y": listed(columns.filled, 3),
            "yaxis": "y2",
            "fill": "tozeroy",
            "line": {"color": theme.green, "width": 1.5, "shape": "hvh"},
            "hovertemplate": "%{y} trials trained at once<extra></extra>",
        }
    )
    note, x = "", theme.axis(f"{columns.unit} since the first trial began", anchor="y2")
    if len(columns.number) < columns.total:
        note = f"the last {len(columns.number):,} of {columns.total:,} trials drawn"
        x["range"] = listed(
            [columns.start[~columns.selected].min(initial=columns.end.max()), columns.end.max()]
        )
    note = "; ".join(filter(None, [note, columns.missing]))
    most = max(float(columns.filled.max(initial=0.0)), 1.0)
    layout = theme.layout(
        x,
        theme.axis(
            "rows", domain=[0.34, 1], range=[columns.rows - 0.4, -0.6], showticklabels=False, showgrid=False
        ),
        note,
        yaxis2=theme.axis("at once", domain=[0, 0.24], range=[0, most * 1.05]),
    )
    return {"data": traces, "layout": layout}


def _bars(columns: Timeline, rows: Ints, name: str, hue: str, symbol: str, width: float) -> dict[str, Any]:
    """A trial is two points and a gap; only the second has a mark."""
    gap = np.full(len(rows), np.nan)
    x = np.stack([columns.start[rows], columns.end[rows], gap], axis=1).ravel()
    y = np.stack([columns.row[rows], columns.row[rows], gap], axis=1).ravel()
    size = 7 if name != FINISHED else 4
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": listed(x, 6),
        "y": listed(y),
        "customdata": np.repeat(columns.number[rows], 3).tolist(),
        "text": [text for row in rows.tolist() for text in ("", _wrapped(columns.reason[row]), "")],
        "line": {"color": hue, "width": width},
        "marker": {
            "symbol": symbol,
            "size": [0, size, 0] * len(rows),
            "color": hue,
            "opacity": 1,
            "line": {"width": 0},
        },
        "hovertemplate": "trial %{customdata}<br>%{text}<extra></extra>",
    }


def _wrapped(text: str) -> str:
    """A reason in at most four short lines, safe to show."""
    return "<br>".join(safe(line) for line in textwrap.wrap(text, 48, max_lines=4, placeholder=" …"))


def options(frame: Frame) -> Sequence[Option]:  # noqa: ARG001
    """How many trials are drawn."""
    return (Option("last", "last trials", 300, low=20, high=2000),)


FIGURE = Figure(
    name="timeline",
    title="Timeline",
    help=(
        "Each bar is a trial from its start to its end, pauses included; point at its tip to see why it "
        "ended. Below is how many trained at once. Where the pruner pauses trials, paused ones are "
        "left out; when they paused is estimated from their epochs' seconds. Dips are time in which the "
        "machine waited."
    ),
    data=data,
    draw=draw,
    options=options,
)
