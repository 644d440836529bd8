"""Pictures: a stored study's figures, for a notebook or as files.

What a figure shows and how it is drawn is known in `figures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner import figures
from tuner.core.trial import Objective
from tuner.search import importances

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tuner.api.study import Study

APART = frozenset({"compare"})
"""Figures of several studies; of a single one they show nothing."""


def frame(study: Study) -> figures.Frame:
    """All columns of a study, with what its parameters explain of the value and of the gap."""
    spec, records = study.spec, study.records
    space, goal = spec.search_space(), spec.goal()
    found = figures.Frame.of(records, study.readings(), space, goal, study.name)
    standing = [record for record in records if record.conclusive]
    known = {
        "value": importances(space, records, goal),
        "gap": importances(space, standing, Objective("gap"), lambda r: r.best.gap if r.best else None),
    }
    return replace(found, importances=known)


def plot(study: Study, figure: str, dark: bool, options: Mapping[str, Any]) -> go.Figure:
    """One figure, see `Study.plot`."""
    import plotly.graph_objects as go

    theme = figures.DARK if dark else figures.LIGHT
    return go.Figure(figures.plot(figures.find(figure), frame(study), theme, options))


def write(study: Study, folder: Path) -> list[Path]:
    """Write every figure as PNG and SVG, and all of them as one page that needs no network.

    Raises:
        PluginError: kaleido or a Chromium that it can use is missing; the page is written before.
    """
    columns = frame(study)
    chosen = [figures.find(name) for name in figures.names() if name not in APART]
    drawn = [(figure, figures.plot(figure, columns)) for figure in chosen]
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "figures.html"
    figures.write_html(page, study.name, [(f.title, f.help, drawing) for f, drawing in drawn])
    pictures = [
        (folder / f"{figure.name}.{kind}", figure.title, drawing)
        for figure, drawing in drawn
        for kind in ("png", "svg")
    ]
    figures.write_images(pictures)
    return [page, *(path for path, _, _ in pictures)]
