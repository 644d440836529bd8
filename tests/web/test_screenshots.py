from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.web.conftest import Serve, drawn
from tuner.web import pages
from tuner.web.route import address

pytestmark = pytest.mark.browser

FOLDER = Path(os.environ.get("TUNER_SCREENSHOTS", "screenshots"))
"""Where the pictures stay when the tests are over."""

LOOKS = {"wide": (1280, "light"), "narrow": (390, "light"), "dark": (1280, "dark")}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a small search of the shipped study `digits`."""
    folder = tmp_path_factory.mktemp("digits")
    command = [sys.executable, "-m", "tuner", "start", "digits", "--trials", "24", "--quiet"]
    command += ["--set", "confirm.auto=false", "--set", "trainer.epochs=8"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "tuner.db"


@pytest.mark.parametrize("look", LOOKS)
def test_a_picture_of_every_page_is_kept(browser: Browser, serve: Serve, digits: Path, look: str) -> None:
    base = serve(digits).rstrip("/")
    width, scheme = LOOKS[look]
    FOLDER.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    for each in pages.load().pages:
        page.goto(base + address("digits", each.name, 3 if each.file.of == "trial" else None))
        drawn(page)
        if "findings" in each.file.all_parts:
            page.locator(".findings p").first.wait_for()
        overflow = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{each.name} is {overflow} pixels too wide"
        file = FOLDER / f"{each.name}-{look}.png"
        page.screenshot(path=file, full_page=True)
        assert file.stat().st_size > 10_000
    context.close()
