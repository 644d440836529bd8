from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

import tuner
from tests.web.conftest import Serve, drawn
from tests.web.odd import LONG, OBJECTIVES
from tuner.figures import THEMES
from tuner.web import pages
from tuner.web.route import address

pytestmark = pytest.mark.browser

FOLDER = Path(os.environ.get("TUNER_SCREENSHOTS", "screenshots"))
"""Where the pictures stay when the tests are over."""

AXE = Axe()

FITS = """colour => [...document.querySelectorAll('.card .js-plotly-plot')].every(plot => {
  const drawn = plot._fullLayout;
  return !plot.offsetWidth || (drawn && drawn.width === plot.clientWidth && drawn.font.color === colour);
})"""
"""Whether every figure that is seen is drawn in its present size, in the theme whose text has this colour."""

OVERLAPS = """() => {
  const found = [];
  const check = (elements) => {
    const boxes = elements.map(each => [each, each.getBoundingClientRect()])
      .filter(([, box]) => box.width && box.height);
    boxes.forEach(([one, a], i) => boxes.slice(i + 1).forEach(([other, b]) => {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      const told = [one, other].map(each => each.textContent.slice(0, 60)).join(' / ');
      if (across > 2 && down > 2) found.push(told);
    }));
  };
  check([...document.querySelectorAll('.tile, .card, main > .message')]);
  document.querySelectorAll('.card > header, .top, .status').forEach(each => check([...each.children]));
  const isLevel = text => !/rotate\\((?!0[,)])/.test(text.getAttribute('transform') || '');
  for (const plot of document.querySelectorAll('.js-plotly-plot')) {
    const written = '[class^=x][class$=tick] > text, .infolayer [class^=x][class$=title]';
    check([...plot.querySelectorAll(written)].filter(isLevel));
  }
  return found;
}"""
"""What stands over something else: cards, what is in their heads, the numbers and names along axes."""

SHOWS = {
    LONG: None,
    "own": ("overview", "over-fitting", "trial"),
    "three": ("overview",),
    "failed": ("overview", "trial"),
    "one": ("overview",),
    "none": ("overview", "trials"),
}
"""The pages that a study shows something else on; None: all."""

LOOKS: dict[str, tuple[int, Literal["light", "dark"]]] = {
    "wide": (1280, "light"),
    "narrow": (390, "light"),
    "dark": (1280, "dark"),
}


WIDTHS: dict[int, Literal["light", "dark"]] = {1280: "light", 1000: "light", 390: "dark", 2560: "light"}
"""The widths at which pages are looked at, one below each of the style sheet, and the themes."""


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a small search of the shipped study `digits`."""
    path = tmp_path_factory.mktemp("digits") / "tuner.db"
    settings = {"confirm.auto": False, "trainer.epochs": 8}
    tuner.start("digits", trials=24, settings=settings, storage=f"sqlite:///{path}")
    return path


def test_a_picture_of_every_page_is_kept(page: Page, serve: Serve, digits: Path) -> None:
    base = serve(digits).rstrip("/")
    FOLDER.mkdir(parents=True, exist_ok=True)
    page.set_default_timeout(60_000)
    for each in pages.load().pages:
        for look, (width, scheme) in LOOKS.items():
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            if look == "wide":
                page.goto(base + address("digits", each.name, 3 if each.file.of == "trial" else None))
                drawn(page)
            page.wait_for_function(FITS, arg=THEMES[scheme].text)
            if "findings" in each.file.all_parts:
                page.locator(".findings p").first.wait_for()
            assert not misfits(page)
            file = FOLDER / f"{each.name}-{look}.png"
            page.screenshot(path=file, full_page=True)
            assert file.stat().st_size > 10_000


def test_pages_of_studies_unlike_the_shipped_one_fit_any_screen_and_have_no_barriers(
    page: Page, serve: Serve, odd: Path
) -> None:
    base = serve(odd).rstrip("/")
    page.set_default_timeout(60_000)
    faults: list[str] = []
    for name, shown in SHOWS.items():
        for each in pages.load().pages:
            if shown is not None and each.name not in shown:
                continue
            page.set_viewport_size({"width": 1280, "height": 900})
            page.goto(base + address(name, each.name, 0 if each.file.of == "trial" else None))
            if each.cards_of(len(OBJECTIVES.get(name, {}).get("also", {})) + 1):
                drawn(page)
            for width, scheme in WIDTHS.items():
                page.set_viewport_size({"width": width, "height": 900})
                page.emulate_media(color_scheme=scheme)
                page.wait_for_function(FITS, arg=THEMES[scheme].text)
                told = misfits(page)
                if width == (390 if name == LONG else 1280):
                    told += serious(page)
                faults += [f"{name}, {each.name}, {width}: {one}" for one in told]
    assert not faults, "\n".join(faults)


def misfits(page: Page) -> list[str]:
    """What makes a page wider than its window, and what overlaps."""
    overflow = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
    wide = [f"{overflow} pixels too wide"] if overflow > 0 else []
    return wide + list(page.evaluate(OVERLAPS))


def serious(page: Page) -> list[str]:
    """What axe-core calls serious or worse for people who do not see a page as it is drawn."""
    found = AXE.run(page, context={"exclude": [".main-svg"]}).response["violations"]
    return [
        f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
