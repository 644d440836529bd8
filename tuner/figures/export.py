"""Figures as files: PNG and SVG through kaleido, and one page of interactive HTML.

What a page is made of is the caller's business.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tuner.errors import PluginError
from tuner.figures.figure import Drawing
from tuner.figures.theme import LIGHT, Theme, safe

FORMATS = ("png", "svg")
"""The kinds of pictures."""

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data: blob:; connect-src data: blob:">
<title>{title}</title>
<style>
body {{ margin: 0 auto; max-width: 1200px; padding: 1rem; font: 15px/1.5 system-ui, sans-serif; \
color: {text}; background: {paper}; }}
h1 {{ font-size: 1.4rem; }} h2 {{ font-size: 1.1rem; margin: 2rem 0 0; }} p {{ color: {muted}; margin: 0; }}
.plot {{ height: 420px; }}
</style>
<h1>{title}</h1>
{sections}
<script>{library}</script>
<script>
for (const place of document.querySelectorAll(".plot")) {{
  const figure = JSON.parse(place.nextElementSibling.textContent);
  Plotly.newPlot(place, figure.data, figure.layout, {config});
}}
</script>
</html>
"""

_CONFIG = {"responsive": True, "displaylogo": False, "modeBarButtonsToRemove": ["sendChartToCloud"]}


def write_html(
    path: Path, title: str, sections: Sequence[tuple[str, str, Drawing]], theme: Theme = LIGHT
) -> None:
    """Write one page that needs nothing beside itself, not even a network.

    Args:
        path: the file; it is replaced.
        title: the page's heading, any text.
        sections: each figure's heading, its explanation, and what `plot` made of it.
        theme: the page's colours; the figures bring their own.
    """
    from plotly.offline import get_plotlyjs

    parts = []
    for heading, explanation, drawing in sections:
        # "</script>" and "<!--" in a text would end or hide the element that holds it.
        figure = json.dumps(drawing, allow_nan=False).replace("<", "\\u003c")
        parts.append(
            f"<h2>{html.escape(heading)}</h2>\n<p>{html.escape(explanation)}</p>\n"
            f'<div class="plot"></div><script type="application/json">{figure}</script>'
        )
    page = _PAGE.format(
        title=html.escape(title),
        text=theme.text,
        paper=theme.paper,
        muted=theme.muted,
        sections="\n".join(parts),
        library=get_plotlyjs(),
        config=json.dumps(_CONFIG),
    )
    path.write_text(page, encoding="utf-8")


def write_image(
    path: Path, title: str, drawing: Drawing, theme: Theme = LIGHT, width: int = 1000, height: int = 560
) -> None:
    """Write a picture, PNG or SVG as the file's name ends.

    Args:
        path: the file; it is replaced.
        title: the picture's heading, any text.
        drawing: what `plot` made.
        theme: the ground's colour.
        width: in pixels.
        height: in pixels.

    Raises:
        PluginError: kaleido or a Chromium that it can use is missing, or the ending is another.
    """
    write_images([(path, title, drawing)], theme, width, height)


def write_images(
    pictures: Sequence[tuple[Path, str, Drawing]], theme: Theme = LIGHT, width: int = 1000, height: int = 560
) -> None:
    """Write several pictures with one browser; see `write_image`.

    Raises:
        PluginError: see `write_image`.
    """
    for path, _, _ in pictures:
        if path.suffix[1:] not in FORMATS:
            raise PluginError(f"{path.name}: pictures are .png or .svg; choose one of the two")
    try:
        import kaleido
        from kaleido.errors import BrowserClosedError, BrowserFailedError, ChromeNotFoundError
    except ImportError as error:
        raise PluginError("kaleido is missing, which draws pictures; pip install 'tuner[export]'") from error
    orders = [
        {
            "fig": _titled(drawing, title, theme),
            "path": str(path),
            "opts": {"format": path.suffix[1:], "width": width, "height": height, "scale": 2},
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
