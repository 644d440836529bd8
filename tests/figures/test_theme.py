"""Colours: whoever reads a page or a figure can tell letters and marks from their ground (WCAG 2.2, AA)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tuner
from tuner.figures import THEMES, Theme

LETTERS, MARKS = 4.5, 3.0
"""The least contrast of letters, and of marks that carry meaning."""

CSS = (Path(tuner.__file__).parent / "web" / "assets" / "dashboard.css").read_text("utf-8")


def luminance(hue: str) -> float:
    shares = (int(hue[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES.values(), ids=list(THEMES))
def test_letters_and_marks_of_figures_stand_out(theme: Theme) -> None:
    for hue in (theme.text, theme.muted):
        assert contrast(hue, theme.paper) >= LETTERS
    for hue in (*theme.hues, theme.brown, *(colour for _, colour in theme.scale)):
        assert contrast(hue, theme.paper) >= MARKS, hue


@pytest.mark.parametrize("theme", [":root", ':root[data-theme="dark"]'])
def test_letters_of_pages_stand_out(theme: str) -> None:
    block = CSS[CSS.index(f"{theme} {{") :].partition("}")[0]
    hues = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block))
    for ground in ("paper", "ground", "hover"):
        for letters in ("text", "quiet", "accent", "good", "fair", "poor"):
            assert contrast(hues[letters], hues[ground]) >= LETTERS, (letters, ground)
