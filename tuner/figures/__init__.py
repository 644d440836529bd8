"""Columns in, Plotly figure out; a data half and a drawing half; no store, no web.

`Frame` holds the columns of a study, `find` gives a `Figure`, `plot` runs both halves.
"""

from tuner.core.frame import Frame
from tuner.figures.export import write_images
from tuner.figures.figure import Drawing, Figure, NothingToPlot, Option, find, names, plot, settings
from tuner.figures.page import document, figure_html
from tuner.figures.theme import DARK, LIGHT, THEMES, Theme, safe
from tuner.figures.within import Area, within

__all__ = [
    "DARK",
    "LIGHT",
    "THEMES",
    "Area",
    "Drawing",
    "Figure",
    "Frame",
    "NothingToPlot",
    "Option",
    "Theme",
    "document",
    "figure_html",
    "find",
    "names",
    "plot",
    "safe",
    "settings",
    "within",
    "write_images",
]
