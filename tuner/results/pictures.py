"""Pictures: a study's figures as files."""

from __future__ import annotations

from pathlib import Path

from tuner import figures
from tuner.core.frame import Frame

APART = frozenset({"compare"})
"""Figures that compare studies; for a single one they are empty."""


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
