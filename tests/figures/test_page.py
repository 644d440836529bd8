from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from plotly.offline import get_plotlyjs

from tests.figures.parts import HOSTILE, frame, losses
from tuner import figures
from tuner.figures import DARK, LIGHT, Drawing


def drawings(name: str) -> tuple[Drawing, Drawing]:
    study = frame(losses(3.0, 2.0, 1.0))
    light, dark = (figures.plot(figures.find(name), study, theme) for theme in (LIGHT, DARK))
    return light, dark


def stored(html: str) -> tuple[Drawing, list[tuple[list[Any], str, Any]]]:
    (text,) = re.findall(r'<script type="application/json">(.*?)</script>', html)
    light, changes = json.loads(text)
    return light, changes


def test_a_document_needs_nothing_beside_itself_and_may_use_nothing_else() -> None:
    body = figures.figure_html(*drawings("slices"))
    page = figures.document("a title", body, get_plotlyjs())
    library = max(re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL), key=len)
    ours = page.replace(library, "")
    assert len(library) > 1_000_000
    assert not re.search(r"(src|href)\s*=", ours)
    assert "http:" not in ours
    assert "https:" not in ours
    assert "default-src 'none'" in ours
    assert "sendChartToCloud" in ours


def test_a_figures_texts_are_never_markup_and_it_comes_back_whole() -> None:
    light, dark = drawings("slices")
    light["layout"]["meta"] = dark["layout"]["meta"] = "</script><!--" + HOSTILE
    html = figures.figure_html(light, dark)
    assert html.count("</script>") == 1
    assert "<!--" not in html
    assert stored(html)[0] == light
    page = figures.document(HOSTILE, html, "")
    assert "<script>alert" not in page
    assert unescape(re.findall("<title>(.*?)</title>", page)[0]) == HOSTILE


@pytest.mark.parametrize("name", figures.names())
def test_changes_turn_the_light_drawing_into_the_dark_one(name: str) -> None:
    light, dark = drawings(name)
    figure, changes = stored(figures.figure_html(light, dark))
    for path, kind, value in changes:
        assert kind == "set"
        at: Any = figure
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
    assert figure == dark
    assert changes
