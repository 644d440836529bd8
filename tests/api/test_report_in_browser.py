"""The report as people see it: drawn, on a telephone, in the dark, and on paper."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import tuner
from tuner.figures import DARK, LIGHT

pytestmark = pytest.mark.browser

SPACE = {"x": tuner.Float(low=0, high=1, default=0.9), "y": tuner.Float(low=0, high=1, default=0.1)}


def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    for epoch in range(1, 5):
        yield {"train_loss": params["x"] / epoch, "val_loss": params["x"] / epoch + params["y"] / 10}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    url, settings = f"sqlite:///{folder}/tuner.db", {"search.pruner": "none"}
    tuner.start(trainer=train, space=SPACE, name="made", trials=20, settings=settings, storage=url)
    return tuner.write_report("made", folder / "report.html", storage=url)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(
    browser: Browser, path: Path, width: int = 1280, scheme: Literal["dark", "light"] = "light"
) -> tuple[Page, list[str]]:
    """The page in a window of its own, scrolled through, and what went wrong on it."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request",
        lambda r: wrong.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None,
    )
    page.goto(path.as_uri())
    for place in page.locator(".plot").all():
        place.scroll_into_view_if_needed()
        place.locator(".main-svg").first.wait_for()
    return page, wrong


@pytest.mark.parametrize("width", [1280, 390])
def test_every_figure_is_drawn_without_a_network_and_nothing_is_wider_than_the_screen(
    browser: Browser, report: Path, width: int
) -> None:
    page, wrong = opened(browser, report, width)
    assert wrong == []
    assert page.locator(".plot").count() > 5
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_figures_are_dark_on_a_dark_screen_and_light_again_on_paper(browser: Browser, report: Path) -> None:
    page, _ = opened(browser, report, scheme="dark")
    colour = "[...document.querySelectorAll('.plot')].map(place => place.layout.font.color)"
    assert set(page.evaluate(colour)) == {DARK.text}
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert set(page.evaluate(colour)) == {LIGHT.text}
    assert page.evaluate("[...document.querySelectorAll('details')].every(details => details.open)")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert set(page.evaluate(colour)) == {DARK.text}


def test_whole_table_is_downloaded_from_the_page_itself(browser: Browser, report: Path) -> None:
    page, _ = opened(browser, report)
    with page.expect_download() as download:
        page.get_by_text("all trials as CSV").click()
    assert download.value.suggested_filename == "made.csv"
    assert len(download.value.path().read_text().splitlines()) == 21


def test_a_notebook_shows_the_study_in_a_frame_that_reaches_nothing_else(
    browser: Browser, report: Path
) -> None:
    study = tuner.load("made", storage=f"sqlite:///{report.parent}/tuner.db")
    page = browser.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.set_content(f"<h1>notebook</h1>{study.dashboard(height=600)._repr_html_()}")
    frame = page.frame_locator("iframe")
    frame.locator(".plot").first.scroll_into_view_if_needed()
    frame.locator(".plot .main-svg").first.wait_for()
    assert frame.locator("h1").text_content() == "made"
    assert page.locator("iframe").bounding_box()["height"] == 600  # type: ignore[index]
    assert "allow-same-origin" not in str(page.locator("iframe").get_attribute("sandbox"))
    assert wrong == []
    page.close()
