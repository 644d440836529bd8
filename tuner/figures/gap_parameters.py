"""Gap against each parameter: which settings over-fit.

The gap is that of each trial's best epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

from tuner.core.frame import Frame
from tuner.figures.figure import Figure, Option
from tuner.figures.gaps import SidedGap, gap_option
from tuner.figures.panels import Panels, draw, panel_options, panels


def data(frame: Frame, parameters: Sequence[str] = (), log: str = "auto", what: str = "loss") -> Panels:
    """The gap against these parameters; by default those that explain it most."""
    chosen = parameters or frame.ordered_params("gap")[:4]
    gap = SidedGap.of(frame, what)
    return panels(frame, gap.at_best(frame), gap.label, chosen, log, minimize=None)


def options(frame: Frame) -> Sequence[Option]:
    """Of which number the gap is, the parameters, and the gap's scale."""
    return gap_option(frame), *panel_options(frame, "gap")


FIGURE = Figure(
    name="gap_parameters",
    title="Gap by parameter",
    help=(
        "The gap (by how much validation is worse than training at the best epoch) of every trial against "
        "one parameter at a time; diamonds are medians with quartiles of trials with a valid value. Where "
        "they climb, that setting over-fits."
    ),
    data=data,
    draw=draw,
    options=options,
)
