"""Page: a self-contained HTML document with figures that follow the reader's dark mode."""

from __future__ import annotations

import html
import json

from tuner.figures.difference import changes
from tuner.figures.figure import Drawing

STYLE = """
:root { --paper: #fff; --ground: #f4f5f7; --text: #1a1b1e; --quiet: #5c636a; --line: #dfe3e8;
  --accent: #0072b2; --good: #00734f; --fair: #8a5a00; --poor: #b5440a; color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #1a1b1e; --ground: #101113; --text: #e9ecef; --quiet: #a6abb0; --line: #373a40;
    --accent: #6cc0f0; --good: #2fc79b; --fair: #f0b429; --poor: #ff9a66; } }
@media print { :root { --paper: #fff; --ground: #fff; --text: #1a1b1e; --quiet: #5c636a; --line: #dfe3e8;
  --accent: #0072b2; --good: #00734f; --fair: #8a5a00; --poor: #b5440a; color-scheme: light; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1160px; padding: 16px; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 24px; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 18px; margin: 28px 0 8px; }
h3 { font-size: 15px; margin: 0; } p { margin: 0; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px;
  min-width: 0; break-inside: avoid; }
.quiet { color: var(--quiet); font-size: 13px; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(480px, 100%), 1fr)); gap: 12px;
  grid-auto-flow: dense; }
@media print { body { max-width: none; padding: 0; } .figures { display: block; }
  .figures > * { margin-bottom: 12px; } }
"""
"""Colours, letters, cards and a grid of figures; the dashboard's look."""

_CONFIG = {"responsive": True, "displaylogo": False, "modeBarButtonsToRemove": ["sendChartToCloud"]}

_DOCUMENT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data: blob:; connect-src data: blob:">
<title>{title}</title>
<style>{style}</style>
{body}
<script>{library}</script>
<script>{script}</script>
</html>
"""

_PAPER_WIDTH = 680
"""Width of a figure on paper in pixels: an upright A4 page between its margins."""

_SCRIPT = """
const config = CONFIG, paperWidth = WIDTH;
const dark = matchMedia("(prefers-color-scheme: dark)");
const places = [...document.querySelectorAll(".plot")];
const known = new Map();
let printing = false;
function draw(place) {
  if (!known.has(place)) known.set(place, JSON.parse(place.nextElementSibling.textContent));
  const [light, changes] = known.get(place);
  const figure = structuredClone(light);
  for (const [path, kind, value] of dark.matches && !printing ? changes : []) {
    const last = path.at(-1), place = path.slice(0, -1).reduce((at, step) => at[step], figure);
    if (kind === "delete") delete place[last];
    else place[last] = kind === "extend" ? [...place[last], ...value] : value;
  }
  if (printing) figure.layout.width = paperWidth;
  return Plotly.react(place, figure.data, figure.layout, config);
}
function redraw(isPrinting = printing) {
  printing = isPrinting;
  (printing ? places : [...known.keys()]).forEach(draw);
}
const seen = new IntersectionObserver(entries => {
  for (const { target, isIntersecting } of entries)
    if (isIntersecting) { seen.unobserve(target); draw(target); }
}, { rootMargin: "800px" });
places.forEach(place => seen.observe(place));
dark.addEventListener("change", () => redraw());
addEventListener("beforeprint", () => {
  document.querySelectorAll("details").forEach(details => { details.open = true; });
  redraw(true);
});
addEventListener("afterprint", () => redraw(false));
"""
"""Draws what comes near the window; before printing all of it, on white and as wide as paper."""


def figure_html(light: Drawing, dark: Drawing, height: int = 380) -> str:
    """The HTML element of a figure, with its drawing.

    Args:
        light: what `plot` made for a light background.
        dark: the same for a dark one; only differences are stored.
        height: in pixels.
    """
    text = json.dumps([light, list(changes(light, dark))], allow_nan=False, separators=(",", ":"))
    # "</script>" and "<!--" in a text would end or hide the element that holds it.
    text = text.replace("<", "\\u003c")
    return (
        f'<div class="plot" style="height:{height}px"></div><script type="application/json">{text}</script>'
    )


def document(title: str, body: str, library: str, style: str = "") -> str:
    """A page that needs nothing beside itself, not even a network, and could not use one.

    Args:
        title: the window's title, any text.
        body: HTML, with figures of `figure_html`.
        library: the text of plotly.js.
        style: CSS behind `STYLE`.
    """
    script = _SCRIPT.replace("CONFIG", json.dumps(_CONFIG)).replace("WIDTH", str(_PAPER_WIDTH))
    return _DOCUMENT.format(
        title=html.escape(title), style=STYLE + style, body=body, library=library, script=script
    )
