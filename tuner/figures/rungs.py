"""Rungs: at which epochs trials are stopped or paused, and how many go on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tuner.core.columns import Ints
from tuner.core.endings import WENT_ON
from tuner.core.frame import Frame
from tuner.core.trial import TrialState
from tuner.figures.figure import Drawing, Figure, NothingToPlot
from tuner.figures.outcomes import colours, outcomes, patterns
from tuner.figures.points import left_out
from tuner.figures.theme import Theme, safe

MOST = 12


@dataclass(frozen=True)
class RungCounts:
    """What the figure shows; R rungs, L outcomes.

    Attributes:
        epoch: (R,) rising; the last is the longest trial's.
        reached: (R,) trials that trained so long.
        went_on: (R,) how many of them trained on.
        labels: (L,) how the others ended, the most frequent first.
        ended: (L, R) trials.
        total: at how many different epochs trials were stopped or paused.
        missing: what is said of trials that ended before the first rung.
        shapes: (L,) the hatching of these outcomes.
    """

    epoch: Ints
    reached: Ints
    went_on: Ints
    labels: tuple[str, ...]
    ended: Ints
    total: int
    missing: str
    shapes: tuple[str, ...]


def data(frame: Frame) -> RungCounts:
    """The epochs at which most trials left, the pruner's before all others."""
    trials = frame.trials
    early = trials.is_(TrialState.STOPPED, TrialState.PAUSED) & (trials.epochs > 0)
    pruned = early & ((trials.rule == "pruner") | trials.is_(TrialState.PAUSED))
    leaving = pruned if pruned.any() else early
    if not leaving.any():
        raise NothingToPlot(
            "No trial was stopped or paused before its last epoch: rungs appear where a rule does."
        )
    epochs, count = np.unique(trials.epochs[leaving], return_counts=True)
    chosen = epochs[np.argsort(-count, kind="stable")[:MOST]]
    rungs = np.unique(np.append(chosen, trials.epochs.max()))
    ordered = np.sort(trials.epochs)
    reached = len(ordered) - np.searchsorted(ordered, rungs)
    went_on = len(ordered) - np.searchsorted(ordered, rungs, side="right")
    at = np.searchsorted(rungs, trials.epochs)
    here = rungs[np.minimum(at, len(rungs) - 1)] == trials.epochs
    labels, code, total = np.unique(
        outcomes(frame)[here].astype(str), return_inverse=True, return_counts=True
    )
    ended = np.zeros((len(labels), len(rungs)), dtype=np.int64)
    np.add.at(ended, (code, at[here]), 1)
    order = np.argsort(-total, kind="stable")
    told = tuple(labels[order].tolist())
    return RungCounts(
        epoch=rungs,
        reached=reached.astype(np.int64),
        went_on=went_on.astype(np.int64),
        labels=told,
        ended=ended[order],
        total=len(epochs),
        missing=left_out(frame, trials.epochs < rungs[0], "before the first of these epochs"),
        shapes=patterns(frame, told),
    )


def draw(columns: RungCounts, theme: Theme) -> Drawing:
    """A bar per rung, as high as trials reached it, divided by how they went on."""
    places = list(range(len(columns.epoch)))
    parts = [(WENT_ON, columns.went_on, theme.green, "")]
    parts += zip(columns.labels, columns.ended, colours(columns.labels, theme), columns.shapes, strict=True)
    traces = []
    for label, count, hue, shape in parts:
        pattern = {"shape": shape, "fgcolor": theme.paper, "fillmode": "overlay", "size": 6}
        name = safe(label, 30)
        shares = count / np.maximum(columns.reached, 1)
        traces.append(
            {
                "type": "bar",
                "name": name,
                "x": places,
                "y": count.tolist(),
                "text": [f"{share:.0%}" for share in shares.tolist()],
                "textposition": "none",
                "marker": {"color": hue, "opacity": 0.9, "pattern": pattern},
                "hovertemplate": f"{name}: %{{y}} trials, %{{text}} of those that reached it<extra></extra>",
            }
        )
    ticks = [str(epoch) for epoch in columns.epoch.tolist()]
    x = theme.axis("epoch", tickmode="array", tickvals=places, ticktext=ticks, showgrid=False)
    few = columns.total > MOST
    note = f"the {MOST} of {columns.total} epochs at which most trials left" if few else ""
    note = "; ".join(filter(None, [note, columns.missing]))
    y = theme.axis("trials that reached it")
    return {"data": traces, "layout": theme.layout(x, y, note, barmode="stack", bargap=0.2)}


FIGURE = Figure(
    name="rungs",
    title="Rungs",
    help=(
        "Each bar is an epoch at which trials are judged: how many reached it, how many trained on, and how "
        "the others ended. Good is a steep staircase: little time spent on trials that lose."
    ),
    data=data,
    draw=draw,
)
