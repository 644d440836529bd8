"""Figures as files: PNG and SVG through kaleido."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tuner.errors import PluginError
from tuner.figures.figure import Drawing
from tuner.figures.theme import LIGHT, Theme, safe

FORMATS = ("png", "svg")
"""The kinds of pictures."""


def write_images(pictures: Sequence[tuple[Path, str, Drawing]], theme: Theme = LIGHT) -> None:
    """Write pictures with one browser, each PNG or SVG as its file's name ends.

    Args:
        pictures: for each the file, which is replaced, its heading, any text, and what `plot` made.
        theme: the ground's colour.

    Raises:
        PluginError: kaleido or a Chromium that it can use is missing, or the ending is another.
    """
    for path, _, _ in pictures:
        if path.suffix[1:] not in FORMATS:
            raise PluginError(f"{path.name}: pictures are .png or .svg; choose one of them")
    try:
        import kaleido
        from kaleido.errors import BrowserClosedError, BrowserFailedError, ChromeNotFoundError
    except ImportError as error:
        raise PluginError("kaleido is missing, which draws pictures; pip install 'tuner[export]'") from error
    orders = [
        {
            "fig": _titled(drawing, title, theme),
            "path": str(path),
            "opts": {"format": path.suffix[1:], "width": 1000, "height": 560, "scale": 2},
        }
        for path, title, drawing in pictures
    ]
    try:
        # Without False it would fetch MathJax from the network.
        kaleido.write_fig_from_object_sync(orders, kopts={"mathjax": False}, cancel_on_error=True)
    except ChromeNotFoundError as error:
        raise PluginError(
            "no Chrome or Chromium was found, which draws pictures; install Debian's chromium, or set "
            "BROWSER_PATH to one; interactive HTML needs none"
        ) from error
    except (BrowserClosedError, BrowserFailedError) as error:
        raise PluginError(
            f"the browser that draws pictures has failed: {error}; set BROWSER_PATH to another one"
        ) from error


def _titled(drawing: Drawing, title: str, theme: Theme) -> dict[str, Any]:
    """A copy with a heading and a ground of its own; Plotly's default template would add another look."""
    layout = {
        **drawing["layout"],
        "title": {"text": safe(title), "font": {"size": 17}, "x": 0.01, "xanchor": "left"},
        "paper_bgcolor": theme.paper,
    }
    layout["margin"] = {**layout["margin"], "t": 84}
    return {"data": drawing["data"], "layout": layout}
