"""Slices: every trial's value, or another number, against each parameter, with the median's course."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.core.frame import Frame
from tuner.figures.figure import Figure, Option
from tuner.figures.panels import Panels, draw, panel_options, panels
from tuner.figures.quantities import Quantity, measured_option


def data(frame: Frame, parameters: Sequence[str] = (), log: str = "auto", what: str = "") -> Panels:
    """A number of the trials against these parameters; the most important ones where none is named."""
    chosen, number = parameters or frame.ordered_params()[:4], Quantity.of(frame, what)
    return panels(frame, number.values, number.label, chosen, log, number.minimize)


def options(frame: Frame) -> Sequence[Option]:
    """Which number, the parameters, and the number's scale."""
    return measured_option(frame), *panel_options(frame, "value")


FIGURE = Figure(
    name="slices",
    title="Slices",
    help=(
        "The value of every trial, or another number of it, against one parameter at a time; diamonds are "
        "medians with quartiles of trials with a valid value. "
        "A clear valley or slope shows where to search; an optimum at the edge of a range says that the "
        "range is too narrow."
    ),
    data=data,
    draw=draw,
    options=options,
)
