"""A browser, a dashboard on a port of its own, and studies to look at."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect, sync_playwright

from tests.web.made import make_study
from tests.web.odd import make_odd
from tuner.web.serve import Server

expect.set_options(timeout=20_000)

NASTY = '<script>alert(1)</script> & "Söhne" 100%'
Serve = Callable[..., str]


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the studies `made`, `other` and one whose name is full of markup."""
    path = tmp_path_factory.mktemp("made") / "tuner.db"
    for seed, (name, amount) in enumerate([(NASTY, 12), ("other", 40), ("made", 160)]):
        make_study(path, name, amount, 8, seed)
    return path


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with studies that are unlike the shipped one; see `odd.AMOUNTS`."""
    path = tmp_path_factory.mktemp("odd") / "tuner.db"
    make_odd(path)
    return path


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """Serves a database: `serve(path)` gives the address; all servers stop with the module."""
    running: list[tuple[Server, Thread]] = []

    def begin(path: Path, host: str = "127.0.0.1", folder: Path | None = None) -> str:
        server = Server(f"sqlite:///{path}", host, 0, folder)
        thread = Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread))
        return server.address

    yield begin
    for server, _ in running:
        server.close()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program; skips where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    return found


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(chromium: str, playwright: Playwright) -> Iterator[Browser]:
    started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    yield started
    started.close()


@pytest.fixture(scope="session")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """What pages share, so that scripts are loaded once."""
    context = browser.new_context(color_scheme="light")
    yield context
    context.close()


@pytest.fixture
def page(profile: BrowserContext) -> Iterator[Page]:
    """An empty page; fails when a script failed, the console complained or another host was asked."""
    opened = profile.new_page()
    opened.set_default_timeout(20_000)
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(f"script: {error}"))
    opened.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    opened.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    opened.on(
        "request",
        lambda request: (
            complaints.append(request.url)
            if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:"))
            else None
        ),
    )
    opened.set_viewport_size({"width": 1280, "height": 900})
    yield opened
    opened.close()
    assert complaints == []


def drawn(page: Page) -> Locator:
    """The page's figures, once all of them have been sent and drawn."""
    expect(page.locator("main .card").first).to_be_visible()
    page.locator("html[data-whole=true]").wait_for(state="attached")
    expect(page.locator(".card .dash-graph:not(:has(.main-svg))")).to_have_count(0)
    return page.locator(".card .js-plotly-plot")


def traces(page: Page, key: str) -> list[str]:
    """The names of a figure's traces, once it has any: it is drawn some time after it was sent."""
    plot = f"document.querySelector('#card-{key} .js-plotly-plot')"
    page.wait_for_function(f"() => {plot}?.data?.length")
    return [str(name) for name in page.evaluate(f"() => {plot}.data.map(trace => trace.name ?? '')")]
