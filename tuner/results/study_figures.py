"""The figures of a study: by name, drawn when they are asked for, and as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tuner import figures
from tuner.core.frame import Frame
from tuner.errors import PluginError

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tuner.results.study import Study

APART = frozenset({"compare"})
"""Figures that compare studies; for a single one they are empty."""


class StudyFigures(Mapping[str, "go.Figure"]):
    """The figures of a study, registered ones of the user's own included.

    ``study.figures.convergence``, ``study.figures["convergence"]``; `Study.plot` takes options too.
    """

    def __init__(self, study: Study) -> None:
        self._study = study

    def __getitem__(self, name: str) -> go.Figure:
        if name not in self._names():
            raise KeyError(name)
        return self._study.plot(name)

    def __getattr__(self, name: str) -> go.Figure:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._study.plot(name)
        except PluginError as error:
            raise AttributeError(str(error)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._names()]

    def __repr__(self) -> str:
        return f"<figures of {self._study.name!r}: {', '.join(self)}>"

    def _names(self) -> list[str]:
        return [name for name in figures.names() if name not in APART]


def write(frame: Frame, folder: Path) -> list[Path]:
    """Write every figure as PNG and SVG.

    Raises:
        PluginError: kaleido or a Chromium that it can use is missing.
    """
    chosen = [figures.find(name) for name in figures.names() if name not in APART]
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [
        (folder / f"{figure.name}.{kind}", figure.title, drawing)
        for figure, drawing in [(figure, figures.plot(figure, frame)) for figure in chosen]
        for kind in ("png", "svg")
    ]
    figures.write_images(pictures)
    return [path for path, _, _ in pictures]
