from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

import tuner
from tests.web.conftest import Serve, drawn
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

PICTURED = ("wide", "narrow", "dark")
"""Of the other one only the width is checked."""

LOOKS: dict[str, tuple[int, Literal["light", "dark"]]] = {
    "wide": (1280, "light"),
    "tablet": (768, "light"),
    "narrow": (390, "light"),
    "dark": (1280, "dark"),
}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a small search of the shipped study `digits`."""
    path = tmp_path_factory.mktemp("digits") / "tuner.db"
    settings = {"confirm.auto": False, "trainer.epochs": 8}
    tuner.start("digits", trials=24, settings=settings, storage=f"sqlite:///{path}")
    return path


def test_a_picture_of_every_page_is_kept_and_no_page_has_barriers(
    page: Page, serve: Serve, digits: Path
) -> None:
    base = serve(digits).rstrip("/")
    FOLDER.mkdir(parents=True, exist_ok=True)
    page.set_default_timeout(60_000)
    barriers: list[str] = []
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
            overflow = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
            assert overflow <= 0, f"{each.name} is {overflow} pixels too wide at {width}"
            if look in PICTURED:
                file = FOLDER / f"{each.name}-{look}.png"
                page.screenshot(path=file, full_page=True)
                assert file.stat().st_size > 10_000
            if look == "wide":
                barriers += [f"{each.name}, {look}: {told}" for told in serious(page)]
    assert not barriers, "\n".join(barriers)


def serious(page: Page) -> list[str]:
    """What axe-core calls serious or worse for people who do not see a page as it is drawn."""
    found = AXE.run(page).response["violations"]
    return [
        f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
