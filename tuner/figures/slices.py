"""Slices: every trial's value against each parameter, with the median's course."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.core.frame import Frame
from tuner.figures.figure import Figure, Option
from tuner.figures.panels import Panels, draw, panel_options, panels


def data(frame: Frame, parameters: Sequence[str] = (), log: bool = False) -> Panels:
    """The value against these parameters; the most important ones where none is named."""
    chosen, label = parameters or frame.ordered_params()[:4], frame.label(frame.objective.metric)
    return panels(frame, frame.trials.value, label, chosen, log, frame.objective.minimize)


def options(frame: Frame) -> Sequence[Option]:
    """The parameters, and the scale of values."""
    return panel_options(frame, frame.trials.value, "value")


FIGURE = Figure(
    name="slices",
    title="Slices",
    help=(
        "The value of every trial against one parameter at a time; diamonds are medians with quartiles of "
        "trials with a valid value. "
        "A clear valley or slope shows where to search; an optimum at the edge of a range says that the "
        "range is too narrow."
    ),
    data=data,
    draw=draw,
    options=options,
)
