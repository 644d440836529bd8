"""Learning curves: training and validation over epochs, the best few as lines, all others as bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuner.core import words
from tuner.core.columns import Bools, Floats, Ints
from tuner.core.frame import Frame
from tuner.core.trial import TrialState
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option, is_log, scale_option
from tuner.figures.numbers import (
    POINT_DIGITS,
    decimated,
    gapped,
    listed,
    percentiles,
    smoothed,
    thinned,
)
from tuner.figures.points import FEWEST, untold, with_curve
from tuner.figures.theme import Theme, faint, safe

MOST_SELECTED = 12
MOST_POINTS = 300
"""Points drawn of one line; see the measurements of decimation: the extremes always stay."""
SHARES = (0.1, 0.5, 0.9)
MOST_IN_BAND = 10_000
"""Of more trials, an even sample makes the band: its percentiles are within half a percent of theirs."""


@dataclass(frozen=True)
class Line:
    """One trial's curve of one column, decimated; P points.

    Attributes:
        number: the trial.
        column: which number of the reading.
        x: (P,) epochs.
        y: (P,) the number.
        best_epoch: the trial's best epoch; 0 for none.
        best: y there.
        selected: whether the trial is brought out.
        error: (P,) standard errors of y; None where it is no mean, or smoothed.
    """

    number: int
    column: str
    x: Ints
    y: Floats
    best_epoch: int
    best: float
    selected: bool
    error: Floats | None = None


@dataclass(frozen=True)
class Band:
    """All other trials' percentiles of one column; G epochs.

    Attributes:
        column: which number of the reading.
        x: (G,) epochs.
        y: (G, 3) the 10th, 50th and 90th percentile.
        trials: of how many.
        others: how many there are; of very many, `trials` are a sample.
    """

    column: str
    x: Ints
    y: Floats
    trials: int
    others: int

    @property
    def said(self) -> str:
        """Of which trials it is."""
        return (
            f"{self.others:,} others"
            if self.trials == self.others
            else f"{self.trials:,} of {self.others:,} others"
        )


@dataclass(frozen=True)
class CurveLines:
    """What the figure shows.

    Attributes:
        label: what is followed over epochs.
        names: what each column is called in the legend.
        lines: the curves of the selected and the best trials.
        bands: all others.
        every: all trials' curves (column, x, y, number), gapped, when asked for.
        log: whether the numbers stand on a logarithmic axis.
        is_from_zero: whether zero is on the axis.
        missing: what is said of trials without a curve, and of those that are not drawn.
    """

    label: str
    names: Mapping[str, str]
    lines: tuple[Line, ...]
    bands: tuple[Band, ...]
    every: tuple[tuple[str, Floats, Floats, Ints], ...]
    log: bool
    is_from_zero: bool = False
    missing: str = ""


def quantity(frame: Frame, name: str) -> str:
    """What a series of the frame is called; see `Frame.series`."""
    return frame.score if name == "score" and frame.score else words.metric(name)


def quantity_option(frame: Frame, names: Sequence[str]) -> Option:
    """Which of these series to look at, the first one at first."""
    known = names or ("loss",)
    return Option("what", "quantity", known[0], tuple((name, quantity(frame, name)) for name in known))


def names_of(columns: Sequence[str]) -> dict[str, str]:
    """What the columns of a series are called: where they are several, by the split that they name."""
    if len(columns) == 1:
        return {name: words.metric(name) for name in columns}
    sides = ("train", "training"), ("val", "validation")
    return {n: next((s for side, s in sides if n.startswith(side)), words.metric(n)) for n in columns}


def shown(frame: Frame, best: int) -> list[int]:
    """Rows of the trials that get lines: the selected, then the best.

    Without any, those under way; without these, too, those that failed or have no value.
    """
    rows = [*np.flatnonzero(frame.is_selected)[:MOST_SELECTED].tolist(), *frame.ranking[:best].tolist()]
    with_curve = np.diff(frame.bounds) > 0
    if not rows and best:
        running = frame.trials.is_(TrialState.RUNNING) & with_curve
        rows = np.flatnonzero(running if running.any() else with_curve)[:best].tolist()
    return [row for row in dict.fromkeys(rows) if with_curve[row]]


def line(frame: Frame, row: int, column: str, values: Floats, smoothing: float = 0.0) -> Line:
    """A trial's curve of these values (E,)."""
    start, end = frame.bounds[row], frame.bounds[row + 1]
    epoch, y = frame.epochs.epoch[start:end], smoothed(values[start:end], smoothing)
    best = int(np.searchsorted(epoch, frame.trials.best_epoch[row]))
    has_best = best < len(epoch) and epoch[best] == frame.trials.best_epoch[row]
    points = decimated(y, MOST_POINTS, [best] if has_best else [])
    error = None if smoothing else frame.errors.get(column)
    return Line(
        number=int(frame.trials.number[row]),
        column=column,
        x=epoch[points],
        y=y[points],
        best_epoch=int(epoch[best]) if has_best else 0,
        best=float(y[best]) if has_best else np.nan,
        selected=bool(frame.is_selected[row]),
        error=error[start:end][points] if error is not None else None,
    )


def band(
    frame: Frame, column: str, values: Floats, without: Sequence[int], fewest: int = FEWEST
) -> Band | None:
    """Percentiles of these values (E,) at each epoch, over all but some rows' trials; None of too few."""
    has_curve = with_curve(frame, values)
    has_curve[list(without)] = False
    others = np.flatnonzero(has_curve)
    if len(others) < fewest:
        return None
    sample = thinned(others, np.zeros(len(others), dtype=bool), MOST_IN_BAND)
    is_in = np.zeros(len(frame), dtype=bool)
    is_in[sample] = True
    rows = np.flatnonzero(is_in[frame.epochs.row])
    epoch = frame.epochs.epoch[rows]
    # Short integers are sorted by radix, many times faster.
    order = np.argsort(epoch.astype(np.uint16) if epoch.max() < 2**16 else epoch, kind="stable")
    x, found = percentiles(epoch[order], values[rows[order]], SHARES)
    return Band(column, x, found, len(sample), len(others)) if len(x) else None


def data(
    frame: Frame,
    what: str = "loss",
    best: float = 4,
    log: str = "auto",
    smoothing: float = 0.0,
    every: bool = False,
) -> CurveLines:
    """Lines of the selected and the best trials, bands of the others."""
    if not len(frame.epochs):
        raise NothingToPlot("No epoch is recorded yet: curves appear with the first one.")
    if what not in frame.series:
        raise NothingToPlot(f"No epoch has a finite {quantity(frame, what)}: there is no curve to draw.")
    columns = {name: frame.reading(name) for name in frame.series[what]}
    rows = shown(frame, int(best))
    bands = [] if every else [band(frame, name, values, rows) for name, values in columns.items()]
    curved = np.any([with_curve(frame, values) for values in columns.values()], axis=0)
    return CurveLines(
        label=quantity(frame, what),
        names=names_of(list(columns)),
        lines=tuple(
            line(frame, row, name, values, smoothing) for row in rows for name, values in columns.items()
        ),
        bands=tuple(each for each in bands if each is not None),
        every=tuple(_all(frame, name, values) for name, values in columns.items()) if every else (),
        log=(log == "true" or what != "learning_rate")
        and is_log(log, np.concatenate([v[:: max(1, len(v) // 20_000)] for v in columns.values()])),
        # Plotly would show a constant rate of 0.001 in the middle of -1 to 1.
        is_from_zero=what == "learning_rate",
        missing=untold(frame, curved, rows, _sampled(frame) if every else None),
    )


def _sampled(frame: Frame) -> Bools:
    """(N,) which trials' curves are drawn where all are asked for; of many trials an even sample."""
    most = max(1, 40_000 // max(1, int(frame.trials.epochs.max(initial=1))))
    filled = np.flatnonzero(np.diff(frame.bounds))
    chosen = np.zeros(len(frame), dtype=bool)
    chosen[filled[:: max(1, -(-len(filled) // most))]] = True
    return chosen


def _all(frame: Frame, name: str, values: Floats) -> tuple[str, Floats, Floats, Ints]:
    """The curves of `_sampled` in one array with gaps."""
    rows = np.flatnonzero(_sampled(frame)[frame.epochs.row])
    trial = frame.epochs.row[rows]
    ends = np.flatnonzero(np.diff(trial)) + 1
    number = np.insert(frame.trials.number[trial], ends, -1)
    return name, gapped(frame.epochs.epoch[rows], ends), gapped(values[rows], ends), number


def draw(columns: CurveLines, theme: Theme) -> Drawing:
    """Bands below, lines above, a mark at each line's best epoch."""
    traces: list[dict[str, Any]] = []
    for name, x, y, number in columns.every:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{safe(columns.names[name])}, every trial",
                "x": listed(x),
                "y": listed(y),
                "customdata": number.tolist(),
                "line": {"color": colour(theme, name), "width": 0.7},
                "opacity": 0.35,
                "hoverinfo": "skip" if len(x) > 5000 else "all",
            }
        )
    for each in columns.bands:
        traces += band_traces(each, theme, columns.names[each.column])
    traces += line_traces(columns.lines, theme, columns.names)
    layout = theme.layout(
        theme.axis("epoch", rangemode="tozero"),
        theme.axis(columns.label, log=columns.log, rangemode="tozero" if columns.is_from_zero else "normal"),
        columns.missing,
    )
    layout["margin"]["t"] = 62  # a legend of two lines
    return {"data": traces, "layout": layout}


def colour(theme: Theme, column: str) -> str:
    """Training and validation have the same colours everywhere."""
    return theme.orange if column.startswith("train") else theme.blue


def band_traces(band: Band, theme: Theme, name: str) -> list[dict[str, Any]]:
    """The middle four fifths as an area, their median as a thin line."""
    hue = colour(theme, band.column)
    around = np.concatenate([band.x, band.x[::-1]])
    edge = np.concatenate([band.y[:, 2], band.y[::-1, 0]])
    group = f"band {safe(band.column)}"
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{safe(name)}: middle 80 % of {band.said}",
            "legendgroup": group,
            "x": around.tolist(),
            "y": listed(edge),
            "fill": "toself",
            "fillcolor": faint(hue, 0.16),
            "line": {"width": 0},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{safe(name)}: median",
            "legendgroup": group,
            "showlegend": False,
            "x": band.x.tolist(),
            "y": listed(band.y[:, 1]),
            "line": {"color": hue, "width": 1.5, "dash": "dot"},
            "hovertemplate": f"{safe(name)}, median of the others<br>epoch %{{x}}: %{{y}}<extra></extra>",
        },
    ]


def line_traces(lines: Sequence[Line], theme: Theme, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Solid validation, dashed training; a hue per trial, or per column where there is but one trial."""
    numbers = list(dict.fromkeys(each.number for each in lines))
    hues = (theme.green, theme.purple, theme.red, theme.sky, theme.yellow, theme.blue, theme.orange)
    traces = []
    for each in lines:
        alone = len(numbers) == 1
        hue = colour(theme, each.column) if alone else hues[numbers.index(each.number) % len(hues)]
        is_train = each.column.startswith("train")
        kind = safe(names[each.column])
        shared = {
            "type": "scatter",
            "name": kind if alone else f"trial {each.number}",
            "legendgroup": f"trial {each.number}",
            "hovertemplate": f"trial {each.number}, {kind}<br>epoch %{{x}}: %{{y:.8~g}}<extra></extra>",
        }
        if each.error is not None and np.isfinite(each.error).any():
            traces.append(_error_band(each, each.error, hue, kind))
        traces.append(
            {
                **shared,
                "mode": "lines",
                "showlegend": alone or not is_train,
                "x": each.x.tolist(),
                "y": listed(each.y, POINT_DIGITS),
                "customdata": [each.number] * len(each.x),
                "line": {
                    "color": hue,
                    "width": 3 if each.selected else 1.5,
                    "dash": "dash" if is_train else "solid",
                },
            }
        )
        # A mark at the best epoch, or at the only one, which makes no line.
        x, y = (each.x, each.y) if len(each.x) == 1 else (np.array([each.best_epoch]), np.array([each.best]))
        if len(each.x) == 1 or (each.best_epoch and not is_train):
            traces.append(
                {
                    **shared,
                    "mode": "markers",
                    "showlegend": False,
                    "x": x.tolist(),
                    "y": listed(y),
                    "customdata": [each.number],
                    "marker": {"size": 10, "symbol": "star", "color": hue},
                }
            )
    return traces


def _error_band(each: Line, error: Floats, hue: str, kind: str) -> dict[str, Any]:
    """One standard error of the mean on either side of a line."""
    known = np.isfinite(error) & np.isfinite(each.y)
    x, y, error = each.x[known], each.y[known], error[known]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{kind}: ± one standard error",
        "legendgroup": f"trial {each.number}",
        "x": np.concatenate([x, x[::-1]]).tolist(),
        "y": listed(np.concatenate([y + error, (y - error)[::-1]])),
        "fill": "toself",
        "fillcolor": faint(hue, 0.2),
        "line": {"width": 0},
        "hoverinfo": "skip",
    }


def options(frame: Frame) -> Sequence[Option]:
    """The quantity, the number of lines, the scale, smoothing, and all curves at once."""
    return (
        quantity_option(frame, list(frame.series)),
        Option("best", "best trials", 4, low=0, high=20),
        scale_option(),
        Option("smoothing", "smoothing", 0.0, low=0.0, high=0.98),
        Option("every", "every curve", False),
    )


FIGURE = Figure(
    name="curves",
    title="Learning curves",
    help=(
        "What was measured over epochs: solid lines are validation, dashed ones training, a star marks "
        "the best epoch; "
        "the areas hold the middle 80 % of all other trials. Good is a solid line that falls and stays "
        "close to its dashed one; where it turns up while the dashed one falls, the network over-fits."
    ),
    data=data,
    draw=draw,
    options=options,
)
