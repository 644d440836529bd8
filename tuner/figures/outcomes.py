"""Outcomes: how the trials ended, in all and over one parameter's range."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuner.core import words
from tuner.core.columns import Ints, Texts
from tuner.core.endings import COUNTS, CUT_SHORT, DIVERGED, FAILED, stopped_by
from tuner.core.frame import Frame
from tuner.core.trial import TrialState
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option, parameter_option
from tuner.figures.points import KINDS
from tuner.figures.scale import Scale
from tuner.figures.theme import Theme, safe

_BINS = 12
PATTERNS = {FAILED: "x", DIVERGED: "/"}
"""Hatching, so that colour does not tell it alone."""

_OF_RULES = ("", "\\", ".", "-", "|", "+")
"""Hatching of the rules whose trials have one colour."""


@dataclass(frozen=True)
class Outcomes:
    """What the figure shows; L outcomes, the most frequent first, and G groups of a parameter.

    Attributes:
        labels: (L,) the outcomes.
        count: (L,) trials.
        scale: the parameter; None where there is none.
        groups: (G,) the groups' names, in order.
        by_group: (L, G) trials.
        shapes: (L,) their hatching; see `patterns`.
    """

    labels: tuple[str, ...]
    count: Ints
    scale: Scale | None
    groups: tuple[str, ...]
    by_group: Ints
    shapes: tuple[str, ...]


def outcomes(frame: Frame) -> Texts:
    """(N,) "finished", "failed", "diverged", how a rule stopped the trial, or its state."""
    found, trials = frame.endings.copy(), frame.trials
    stopped = found == TrialState.STOPPED.value
    facts = zip(trials.rule[stopped], trials.conclusive[stopped].tolist(), strict=True)
    found[stopped] = [stopped_by(rule, counts=counts) for rule, counts in facts]
    return found


def data(frame: Frame, parameter: str = "") -> Outcomes:
    """Counts of outcomes, and of outcomes by the parameter's bins or choices."""
    if not len(frame):
        raise NothingToPlot("No trial has started: outcomes appear once trials end.")
    labels, code, count = np.unique(outcomes(frame).astype(str), return_inverse=True, return_counts=True)
    order = np.argsort(-count, kind="stable")
    code = np.argsort(order)[code]
    parameter = parameter or next(iter(frame.ordered_params()), "")
    scale = Scale.of(frame, parameter) if parameter else None
    groups: tuple[str, ...] = ()
    by_group = np.zeros((len(labels), 0), dtype=np.int64)
    if scale is not None:
        places = scale.places(frame)
        fine = np.isfinite(places)
        groups, group = _names(scale), scale.cells(places[fine], _BINS)
        by_group = np.zeros((len(labels), len(groups)), dtype=np.int64)
        np.add.at(by_group, (code[fine], group), 1)
    told = tuple(labels[order].tolist())
    return Outcomes(told, count[order].astype(np.int64), scale, groups, by_group, patterns(frame, told))


def _names(scale: Scale) -> tuple[str, ...]:
    """The groups' names: the values where they are few, else the middles of equal parts of the range."""
    if scale.labels:
        return scale.labels
    shares = np.linspace(0, 1, scale.count) if scale.count else (np.arange(_BINS) + 0.5) / _BINS
    return tuple(words.setting(v, words.DIGITS if scale.count else 2) for v in scale.at(shares).tolist())


def draw(columns: Outcomes, theme: Theme) -> Drawing:
    """Above all trials, below their shares over the parameter."""
    traces = []
    hues = colours(columns.labels, theme)
    total = np.maximum(columns.by_group.sum(axis=0), 1)
    names = [safe(label, 30) for label in columns.labels]
    places = list(range(len(names)))
    for i, (name, count) in enumerate(zip(names, columns.count.tolist(), strict=True)):
        pattern = {
            "shape": columns.shapes[i],
            "fgcolor": theme.paper,
            "fillmode": "overlay",
            "size": 6,
        }
        marker = {"color": hues[i], "pattern": pattern}
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": name,
                "x": [count],
                "y": [i],
                "text": [f"{count:,}"],
                "textposition": "auto",
                "marker": marker,
                "showlegend": False,
                "hovertemplate": f"{name}: %{{x}} trials<extra></extra>",
            }
        )
        if columns.groups:
            shares = (columns.by_group[i] / total).round(4).tolist()
            traces.append(
                {
                    "type": "bar",
                    "name": name,
                    "x": list(range(len(columns.groups))),
                    "y": shares,
                    "text": [f"{n:,}" for n in columns.by_group[i].tolist()],
                    "textposition": "none",
                    "marker": marker,
                    "xaxis": "x2",
                    "yaxis": "y2",
                    "showlegend": False,
                    "hovertemplate": f"{name}: %{{text}} trials, %{{y:.0%}}<extra></extra>",
                }
            )
    height = 0.55 if columns.groups else 0
    y = theme.axis(tickmode="array", tickvals=places, ticktext=names, autorange="reversed", showgrid=False)
    x = theme.axis("trials", side="top", anchor="y")
    layout = theme.layout(x, {**y, "domain": [height, 1]}, barmode="stack", bargap=0.15)
    if columns.groups and columns.scale is not None:
        ticks: dict[str, Any] = {
            "tickvals": list(range(len(columns.groups))),
            "ticktext": [safe(g, 14) for g in columns.groups],
        }
        layout["xaxis2"] = theme.axis(columns.scale.name, anchor="y2", tickmode="array", **ticks)
        layout["yaxis2"] = theme.axis(
            "share", anchor="x2", tickformat=".0%", range=[0, 1], domain=[0, height - 0.07]
        )
    return {"data": traces, "layout": layout}


def ending(label: str) -> str:
    """Which of `points.KINDS` an outcome belongs to; all rules whose trials' values count make one."""
    return CUT_SHORT if label.startswith(f"{CUT_SHORT} by ") else label if label in KINDS else COUNTS


def colours(labels: Sequence[str], theme: Theme) -> list[str]:
    """The colour of each outcome: that of its ending in every figure."""
    return [getattr(theme, KINDS[ending(label)][1]) for label in labels]


def patterns(frame: Frame, labels: Sequence[str]) -> tuple[str, ...]:
    """The hatching of outcomes, another one for each of several of one colour; the same in every figure."""
    shapes, seen = {}, Counter[str]()
    for label in np.unique(outcomes(frame).astype(str)).tolist():
        kind = ending(label)
        shapes[label] = PATTERNS.get(label) or _OF_RULES[seen[kind] % len(_OF_RULES)]
        seen[kind] += 1
    return tuple(shapes[label] for label in labels)


def options(frame: Frame) -> Sequence[Option]:
    """The parameter."""
    return (parameter_option(frame, "parameter", "parameter"),)


FIGURE = Figure(
    name="outcomes",
    title="Outcomes",
    help=(
        "How the trials ended, in all and over one parameter's range. Failures and divergence that crowd at "
        "one end say that the range reaches too far; many early stops are time saved."
    ),
    data=data,
    draw=draw,
    options=options,
)
