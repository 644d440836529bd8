"""Gap against each parameter: which settings over-fit.

The gap is that of each trial's best epoch.
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
    """The gap against these parameters; by default those that explain it most."""
    gap = np.where(frame.trials.is_(TrialState.FAILED), np.nan, frame.trials.gap)
    return panels(frame, gap, "gap", parameters or frame.ordered_params("gap")[:4], log, minimize=None)


def options(frame: Frame) -> Sequence[Option]:
    """The parameters, and the gap's scale."""
    return (
        parameter_option(frame, "parameters", "parameters", explains="gap", several=4),
        Option("log", "log scale", spans_decades(frame.trials.gap)),
    )


FIGURE = Figure(
    name="gap_parameters",
    title="Gap by parameter",
    help=(
        "The gap (validation minus training loss at the best epoch) of every trial against one parameter "
        "at a time; diamonds are medians with quartiles of trials with a valid value. Where they climb, "
        "that setting over-fits."
    ),
    data=data,
    draw=draw,
    options=options,
)
