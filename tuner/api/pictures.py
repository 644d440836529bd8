"""Pictures: a stored study's figures, for a notebook or as files.

What a figure shows and how it is drawn is known in `figures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner import figures
from tuner.search import of_value_and_gap

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tuner.api.study import Study

APART = frozenset({"compare"})
"""Figures of several studies; of a single one they show nothing."""


def columns(study: Study) -> figures.Frame:
    """All columns of a study."""
    spec = study.spec
    return figures.Frame.of(study.records, study.readings(), spec.search_space(), spec.goals(), study.name)


def frame(study: Study) -> figures.Frame:
    """All columns of a study, with what its parameters explain of the value and of the gap."""
    spec, records = study.spec, study.records
    space, goal = spec.search_space(), spec.goal()
    known = of_value_and_gap(space, records, goal, lambda r: r.best.gap if r.best else None)
    return replace(columns(study), importances=known)


def plot(study: Study, figure: str, dark: bool, options: Mapping[str, Any]) -> go.Figure:
    """One figure, see `Study.plot`."""
    import plotly.graph_objects as go

    theme = figures.DARK if dark else figures.LIGHT
    return go.Figure(figures.plot(figures.find(figure), frame(study), theme, options))


def write(study: Study, folder: Path) -> list[Path]:
    """Write every figure as PNG and SVG.

    Raises:
        PluginError: kaleido or a Chromium that it can use is missing.
    """
    found = frame(study)
    chosen = [figures.find(name) for name in figures.names() if name not in APART]
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [
        (folder / f"{figure.name}.{kind}", figure.title, drawing)
        for figure, drawing in [(figure, figures.plot(figure, found)) for figure in chosen]
        for kind in ("png", "svg")
    ]
    figures.write_images(pictures)
    return [path for path, _, _ in pictures]
