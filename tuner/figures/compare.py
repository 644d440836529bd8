"""Compare: several studies' best value so far, in one plot.

Studies whose values are of another kind, `Frame.kind`, cannot be compared and are named instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tuner.core.columns import Bools
from tuner.core.frame import Frame
from tuner.figures.convergence import AXES, BestSoFar, best_so_far, progress
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option
from tuner.figures.numbers import AXIS_DIGITS, listed, spans_decades
from tuner.figures.points import left_out
from tuner.figures.theme import Theme, safe

DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
"""Of each study's line, in turn."""


@dataclass(frozen=True)
class Compare:
    """What the figure shows.

    Attributes:
        curves: each study's name and best value so far.
        others: the studies whose values are of another kind.
        axis: what progress is measured in.
        metric: what all of them search for.
        log: whether values stand on a logarithmic axis.
        missing: what is said of trials that cannot be on a line.
        places: of each curve's study among all, by which its colour is chosen in every figure.
    """

    curves: tuple[tuple[str, BestSoFar], ...]
    others: tuple[str, ...]
    axis: str
    metric: str
    log: bool
    missing: str
    places: tuple[int, ...]


def left_out_of(parts: Iterable[tuple[Frame, Bools]]) -> str:
    """What is said of each study's trials that are left out, (N,); see `points.left_out`."""
    told = [(frame.name, left_out(frame, missing)) for frame, missing in parts]
    return "; ".join(f"{name}: {said}" for name, said in told if said)


def places_of(frames: Sequence[Frame], drawn: Sequence[Frame]) -> tuple[int, ...]:
    """Where each study that is drawn stands among all of them."""
    return tuple(next(i for i, each in enumerate(frames) if each is one) for one in drawn)


def data(frame: Frame, axis: str = "trials", log: bool = False) -> Compare:
    """The frame's study and those beside it."""
    frames = (frame, *frame.beside)
    alike = [each for each in frames if each.kind == frame.kind]
    valued = [each for each in alike if len(each.ranking)]
    if not valued:
        raise NothingToPlot("None of these studies has a value: lines appear once one has.")
    xs = [progress(each, axis) for each in valued]
    missing = [~(each.standing & np.isfinite(x)) for each, x in zip(valued, xs, strict=True)]
    return Compare(
        curves=tuple((each.name, best_so_far(each, x)) for each, x in zip(valued, xs, strict=True)),
        others=tuple(each.name for each in frames if each.kind != frame.kind),
        axis=axis,
        metric=frame.label(frame.objective.metric),
        log=log,
        missing=left_out_of(zip(valued, missing, strict=True)),
        places=places_of(frames, valued),
    )


def draw(columns: Compare, theme: Theme) -> Drawing:
    """A step line per study, told apart by colour and dashes."""
    label = AXES[columns.axis]
    traces = []
    for i, (name, best) in zip(columns.places, columns.curves, strict=True):
        said = safe(name, 40)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": said,
                "x": listed(best.x, AXIS_DIGITS),
                "y": listed(best.y, 6),
                "text": [f"trial {number}" for number in best.number.tolist()],
                "line": {
                    "shape": "hv",
                    "width": 2.5,
                    "color": theme.hues[i % len(theme.hues)],
                    "dash": DASHES[i % len(DASHES)],
                },
                "hovertemplate": f"{said}, %{{text}}<br>{safe(label)}: %{{x}}<br>"
                f"{safe(columns.metric)}: %{{y}}<extra></extra>",
            }
        )
    others = ", ".join(columns.others)
    note = f"not shown, for their values are of another kind: {others}" if others else ""
    note = "; ".join(filter(None, [note, columns.missing]))
    y = theme.axis(columns.metric, log=columns.log)
    return {"data": traces, "layout": theme.layout(theme.axis(label), y, note, showlegend=True)}


def options(frame: Frame) -> Sequence[Option]:
    """The axis, and whether values stand on a logarithmic one."""
    found = [each.trials.value[each.ranking] for each in (frame, *frame.beside)]
    return (
        Option("axis", "over", "trials", tuple((axis, axis) for axis in AXES)),
        Option("log", "log scale", spans_decades(np.concatenate(found))),
    )


FIGURE = Figure(
    name="compare",
    title="Studies compared",
    help=(
        "The best value so far of several studies. The lowest line at the right end (the highest, where "
        "more is better) found the best; the axis of seconds shows which found it first."
    ),
    data=data,
    draw=draw,
    options=options,
)
