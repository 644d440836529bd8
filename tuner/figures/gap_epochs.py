"""Gap over epochs: by how much validation is worse than training, and where over-fitting sets in.

When over-fitting sets in is told by `core.overfitting`, as for findings and stop rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuner.core import overfitting
from tuner.core.columns import Floats, Ints
from tuner.core.frame import Frame
from tuner.figures.curves import Band, Line, band, band_traces, line, line_traces, shown
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option
from tuner.figures.gaps import SidedGap, gap_option
from tuner.figures.numbers import listed
from tuner.figures.points import untold, with_curve
from tuner.figures.theme import Theme

_BARS = 60


@dataclass(frozen=True)
class GapEpochs:
    """What the figure shows.

    Attributes:
        label: what the gap is called.
        lines: the gap of the selected and the best trials.
        band: of all others.
        onset: epoch by trial number, for the lines' trials that over-fit.
        epochs: (B,) the middle of each bar.
        width: of a bar, in epochs.
        count: (B,) trials whose over-fitting sets in there.
        trials: how many have a curve.
        missing: what is said of those without one, and of those that are not drawn.
    """

    label: str
    lines: tuple[Line, ...]
    band: Band | None
    onset: dict[int, int]
    epochs: Floats
    width: float
    count: Ints
    trials: int
    missing: str


def onsets(frame: Frame, what: str = "loss") -> Ints:
    """(N,) the epoch at which each trial's over-fitting begins, see `core.overfitting`; 0 for none."""
    epochs = frame.epochs
    train, val = SidedGap.of(frame, what).readings(frame)
    at, _ = overfitting.onsets(val, train, np.diff(frame.bounds))
    found = np.zeros(len(frame), dtype=np.int64)
    turned = at >= 0
    found[turned] = epochs.epoch[frame.bounds[:-1][turned] + at[turned]]
    return found


def data(frame: Frame, best: float = 4, what: str = "loss") -> GapEpochs:
    """The gap's lines and band, and where over-fitting sets in over all trials."""
    kind = SidedGap.of(frame, what)
    train, val = kind.readings(frame)
    gap = val - train
    curved = with_curve(frame, gap)
    if not curved.any():
        raise NothingToPlot("No epoch has both a training and a validation loss: there is no gap.")
    rows = [row for row in shown(frame, int(best)) if curved[row]]
    onset = onsets(frame, what)
    numbers = frame.trials.number
    seen = onset[onset > 0]
    longest = int(frame.epochs.epoch.max())
    width = max(1, -(-longest // _BARS))
    count = np.bincount((seen - 1) // width, minlength=-(-longest // width))
    return GapEpochs(
        label=kind.label,
        lines=tuple(line(frame, row, "gap", gap) for row in rows),
        band=band(frame, "gap", gap, rows),
        onset={int(numbers[row]): int(onset[row]) for row in rows if onset[row]},
        epochs=np.arange(len(count), dtype=np.float64) * width + (width + 1) / 2,
        width=width,
        count=count.astype(np.int64),
        trials=int(curved.sum()),
        missing=untold(frame, curved, rows),
    )


def draw(columns: GapEpochs, theme: Theme) -> Drawing:
    """Above the gap, below it bars of how many trials begin to over-fit."""
    traces = band_traces(columns.band, theme, "gap") if columns.band else []
    traces += [{**trace, "mode": "lines"} for trace in line_traces(columns.lines, theme, {"gap": "gap"})]
    marked = [
        (number, epoch, float(np.interp(epoch, each.x, each.y)))
        for each in columns.lines
        for number, epoch in columns.onset.items()
        if number == each.number
    ]
    if marked:
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "over-fitting sets in",
                "x": [epoch for _, epoch, _ in marked],
                "y": listed([y for _, _, y in marked]),
                "customdata": [number for number, _, _ in marked],
                "marker": {"symbol": "triangle-up", "size": 12, "color": theme.red},
                "hovertemplate": "trial %{customdata}<br>over-fits from epoch %{x} on<extra></extra>",
            }
        )
    total = int(columns.count.sum())
    traces.append(
        {
            "type": "bar",
            "name": f"trials that begin to over-fit: {total:,} of {columns.trials:,}",
            "x": listed(columns.epochs),
            "y": columns.count.tolist(),
            "width": columns.width,
            "yaxis": "y2",
            "marker": {"color": theme.red, "opacity": 0.7},
            "hovertemplate": "epoch %{x}: %{y} trials begin to over-fit<extra></extra>",
        }
    )
    layout = theme.layout(
        theme.axis("epoch", rangemode="tozero", anchor="y2"),
        theme.axis(columns.label, domain=[0.34, 1]),
        columns.missing,
        yaxis2=theme.axis("trials", domain=[0, 0.24], rangemode="tozero"),
    )
    layout["margin"]["t"] = 76  # a legend of three lines
    return {"data": traces, "layout": layout}


def options(frame: Frame) -> Sequence[Option]:
    """How many of the best trials get lines, and of which number the gap is."""
    return gap_option(frame), Option("best", "best trials", 4, low=0, high=20)


FIGURE = Figure(
    name="gap_epochs",
    title="Gap over epochs",
    help=(
        "How much worse validation is than training, epoch by epoch; the bars count the trials whose "
        "validation turns at that epoch while training still improves. Good is a gap that stays "
        "low and flat; bars far to the left say that trials train longer than helps."
    ),
    data=data,
    draw=draw,
    options=options,
)
