"""Learning curves of several studies: each study's median over epochs, and where most of its trials are.

A study whose number is counted in something else, `Frame.measure`, or that has none, is named instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuner.core import words
from tuner.core.frame import Frame
from tuner.figures.compare import DASHES, left_out_of, places_of
from tuner.figures.curves import Band, band
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option, is_log, scale_option
from tuner.figures.numbers import listed
from tuner.figures.points import with_curve
from tuner.figures.theme import Theme, faint, safe


@dataclass(frozen=True)
class ComparedCurves:
    """What the figure shows.

    Attributes:
        bands: each study's name and the percentiles of all its trials.
        others: the studies that cannot be drawn on the same axis.
        label: what is followed over epochs.
        log: whether it stands on a logarithmic axis.
        missing: what is said of trials that are not in a band.
        places: of each band's study among all, by which its colour is chosen in every figure.
    """

    bands: tuple[tuple[str, Band], ...]
    others: tuple[str, ...]
    label: str
    log: bool
    missing: str
    places: tuple[int, ...]


def followed(frame: Frame) -> list[str]:
    """What can be followed over epochs: what is searched for first, then what validation rows say."""
    names = [name for columns in frame.series.values() for name in columns]
    own = frame.objective.metric
    names += ["gap"] if "gap" not in names and np.isfinite(frame.reading("gap")).any() else []
    return sorted(names, key=lambda name: (name != own, not name.startswith("val")))


def _known(frame: Frame) -> dict[str, Frame]:
    """What can be followed in any of the studies, and the first one in which it can."""
    found: dict[str, Frame] = {}
    for each in (frame, *frame.beside):
        for name in followed(each):
            found.setdefault(name, each)
    return found


def data(frame: Frame, what: str = "", log: str = "auto") -> ComparedCurves:
    """The frame's study and those beside it."""
    frames, first = (frame, *frame.beside), _known(frame)
    what = what or next(iter(first), "")
    if what not in first:
        raise NothingToPlot(f"{frame.name} has no curve to draw: curves appear with its first epochs.")
    kind = first[what].measure(what)
    alike = [each for each in frames if what in followed(each) and each.measure(what) == kind]
    columns = {id(each): each.reading(what) for each in alike}
    bands = [(each, band(each, what, columns[id(each)], (), fewest=1)) for each in alike]
    drawn = [(each, found) for each, found in bands if found is not None]
    return ComparedCurves(
        bands=tuple((each.name, found) for each, found in drawn),
        others=tuple(each.name for each in frames if all(each is not one for one in alike)),
        label=first[what].label(what),
        log=what != "learning_rate" and is_log(log, np.concatenate(list(columns.values()))),
        missing=left_out_of((each, ~with_curve(each, columns[id(each)])) for each in alike),
        places=places_of(frames, [each for each, _ in drawn]),
    )


def draw(columns: ComparedCurves, theme: Theme) -> Drawing:
    """A median and an area per study, in the colours and dashes that `compare` gives them."""
    traces, metric = [], safe(columns.label)
    for i, (name, each) in zip(columns.places, columns.bands, strict=True):
        said, hue = safe(name, 40), theme.hues[i % len(theme.hues)]
        some = "" if each.trials == each.others else f"{each.trials:,} of "
        amount = f"{some}{words.count(each.others, 'trial')}"
        shared = {"type": "scatter", "mode": "lines", "legendgroup": str(i)}
        traces += [
            {
                **shared,
                "name": f"{said}: middle 80 %",
                "showlegend": False,
                "x": np.concatenate([each.x, each.x[::-1]]).tolist(),
                "y": listed(np.concatenate([each.y[:, 2], each.y[::-1, 0]])),
                "fill": "toself",
                "fillcolor": faint(hue, 0.16),
                "line": {"width": 0},
                "hoverinfo": "skip",
            },
            {
                **shared,
                "name": f"{said}: median of {amount}",
                "x": each.x.tolist(),
                "y": listed(each.y[:, 1]),
                "line": {"width": 2.5, "color": hue, "dash": DASHES[i % len(DASHES)]},
                "hovertemplate": f"{said}<br>epoch %{{x}}, median {metric}: %{{y}}<extra></extra>",
            },
        ]
    others = ", ".join(columns.others)
    note = f"not shown, for they measure none of this kind: {others}" if others else ""
    layout = theme.layout(
        theme.axis("epoch", rangemode="tozero"),
        theme.axis(columns.label, log=columns.log),
        "; ".join(filter(None, [note, columns.missing])),
        showlegend=True,
    )
    return {"data": traces, "layout": layout}


def options(frame: Frame) -> Sequence[Option]:
    """What is followed, and its scale."""
    known = _known(frame) or {"val_loss": frame}
    choices = tuple((name, first.label(name)) for name, first in known.items())
    return Option("what", "quantity", next(iter(known)), choices), scale_option()


FIGURE = Figure(
    name="compare_curves",
    title="Learning curves of the studies",
    help=(
        "What was measured over epochs in several studies: the line is the median of a study's trials, the "
        "area holds the middle 80 % of them. A study whose whole area lies lower (higher, where more is "
        "better) is better for most settings and not only for its best trial; trials that a rule ended are "
        "in it up to their last epoch, so that late epochs are those of the trials that were kept."
    ),
    data=data,
    draw=draw,
    options=options,
)
