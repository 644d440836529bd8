"""Slices: every trial's value against each parameter, with the median's course.

What explains the value is not worked out here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tuner.core.frame import Frame
from tuner.core.trial import TrialState
from tuner.figures.figure import Figure, Option, parameter_option
from tuner.figures.numbers import spans_decades
from tuner.figures.panels import Panels, draw, panels


def data(frame: Frame, parameters: Sequence[str] = (), log: bool = False) -> Panels:
    """The value against these parameters; the most important ones where none is named."""
    y = np.where(frame.trials.is_(TrialState.FAILED), np.nan, frame.trials.value)
    chosen = parameters or frame.ordered_params()[:4]
    return panels(frame, y, frame.label(frame.objective.metric), chosen, log, frame.objective.minimize)


def options(frame: Frame) -> Sequence[Option]:
    """The parameters, and the scale of values."""
    return (
        parameter_option(frame, "parameters", "parameters", several=4),
        Option("log", "log scale", spans_decades(frame.trials.value)),
    )


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
