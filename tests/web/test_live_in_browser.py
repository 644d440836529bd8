from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Page, Request, expect

from tests import processes
from tests.web.conftest import Serve, drawn
from tests.web.made import make_study
from tuner.store import Database
from tuner.web import pages
from tuner.web.route import address
from tuner.web.serve import Server

pytestmark = pytest.mark.browser

TRAINER = """
import time

def train(params, context):
    for epoch in range(1, context.epochs + 1):
        time.sleep(0.03)
        loss = (params["x"] - 0.7) ** 2 + 0.5 / epoch
        print("trained epoch", epoch)
        yield {"train_loss": 0.9 * loss, "val_loss": loss}
"""
STUDY = """
name = "growing"
[trainer]
use = "./trainer.py:train"
epochs = 6
workers = 1
[search]
sampler = "random"
pruner = "none"
[budget]
trials = 25
[space.x]
type = "float"
low = 0.0
high = 1.0
default = 0.2
"""
MOST_PER_TICK = 40_000
MOST_WITHOUT_NEWS = 300


def test_page_waits_for_a_database_and_then_follows_a_study_in_another_process(
    page: Page, serve: Serve, tmp_path: Path
) -> None:
    path = tmp_path / "later.db"
    base = serve(path)
    page.goto(base)
    expect(page.locator(".message")).to_contain_text("No studies yet")
    expect(page.locator(".message")).to_contain_text("tune start")
    (tmp_path / "trainer.py").write_text(TRAINER)
    (tmp_path / "study.toml").write_text(STUDY)
    command = ["-m", "tuner", "start", "study.toml", "--storage", f"sqlite:///{path}", "--quiet"]
    with processes.start(*command, cwd=tmp_path) as study:
        page.get_by_role("link", name="growing").wait_for()
        expect(page.locator(".studies")).to_contain_text("running")
        sizes: list[tuple[int, int, int]] = []
        page.on("requestfinished", lambda request: sizes.append(_size(request)))
        page.get_by_role("link", name="growing").click()
        expect(page.locator("#status")).to_contain_text("running")
        page.locator("#card-convergence .main-svg").first.wait_for()
        early = _points(page)
        page.evaluate(
            """() => { window.told = [];
                window.Notification = class { constructor(title) { window.told.push(title); } };
                window.Notification.permission = "granted";
                window.Notification.requestPermission = async () => "granted"; }"""
        )
        page.locator("#tell-end").click()
        expect(page.locator("#tell-end")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#status")).to_contain_text("finished", timeout=60_000)
        said = study.communicate(timeout=30)[1]
        assert study.returncode == 0, said
    expect(page.locator("#status")).to_contain_text("25 trials: 25 finished")
    expect(page.locator("#status .reason")).to_contain_text("25 trials")
    assert _points(page) > early
    *better, end = page.evaluate("() => window.told")
    assert re.fullmatch(r"growing: (new best, trial \d+, )?finished", end)
    assert all(re.fullmatch(r"growing: new best, trial \d+", each) for each in better)
    expect(page.locator("#tell-end")).to_have_count(0)
    # Once the study has ended nothing but empty answers come.
    for _ in range(20):
        sizes.clear()
        page.wait_for_timeout(2500)
        ticks = [each for each in sizes if each[0]]
        if ticks and not any(body for _, _, body in ticks):
            break
    assert ticks
    assert all(head + body <= MOST_WITHOUT_NEWS for _, head, body in ticks)
    for where in ("&open=3", None):
        page.goto(
            base + (address("growing") + where if where else address("growing", "trial", 3)).removeprefix("/")
        )
        expect(page.locator("#panel" if where else "#body")).to_contain_text("What it printed last")
        expect(page.locator("#panel pre" if where else "#body pre")).to_contain_text("trained epoch 6")


@pytest.mark.postgres
def test_a_study_on_a_server_is_followed_on_every_page(page: Page, tmp_path: Path, postgres_url: str) -> None:
    (tmp_path / "trainer.py").write_text(TRAINER)
    (tmp_path / "study.toml").write_text(STUDY.replace("trials = 25", "trials = 5000"))
    server = Server(postgres_url, port=0)
    Thread(target=server.run, daemon=True).start()
    base = server.address.rstrip("/")
    status = page.locator("#status")
    with processes.start(
        *("-m", "tuner", "start", "study.toml", "--storage", postgres_url, "--quiet"), cwd=tmp_path
    ) as study:
        try:
            page.goto(base)
            page.get_by_role("link", name="growing").click()
            for each in pages.load().pages:
                page.goto(base + address("growing", each.name, 0 if each.file.of == "trial" else None))
                expect(status).to_contain_text(re.compile(r"running.*[1-9]\d* trials", re.DOTALL))
                assert drawn(page).count() == len(each.cards_of(objectives=1))
                # What the driver writes meanwhile appears by itself.
                expect(status).not_to_have_text(status.text_content() or "")
        finally:
            study.kill()
    page.close()
    server.close()


def _size(request: Request) -> tuple[int, int, int]:
    """1 for a tick, and how many bytes its answer had."""
    response = request.response()
    if "_dash-update-component" not in request.url or response is None:
        return 0, 0, 0
    sizes = request.sizes()
    assert sizes["responseBodySize"] <= MOST_PER_TICK
    return 1, sizes["responseHeadersSize"], sizes["responseBodySize"]


def _points(page: Page) -> int:
    found: int = page.locator("#card-convergence .js-plotly-plot").evaluate(
        "plot => plot.data.reduce((sum, trace) => sum + trace.x.length, 0)"
    )
    return found


def test_troubles_are_told_in_words_and_pass(page: Page, serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "tuner.db"
    path.write_bytes(b"")
    base = serve(path)
    told = page.locator(".message")
    page.goto(base + address("made").removeprefix("/"))
    expect(told).to_contain_text("No study 'made'")
    path.unlink()
    path.write_bytes(b"this is no database, but long enough to be looked at" * 100)
    expect(told).to_contain_text("is not a database")
    path.unlink()
    make_study(path, "made", 20, 4)
    make_study(path, "doomed", 10, 4)
    page.locator("#card-convergence .main-svg").first.wait_for()
    page.goto(base + address("doomed").removeprefix("/"))
    page.locator("#card-convergence .main-svg").first.wait_for()
    with Database.open(f"sqlite:///{path}") as database:
        database.delete_study("doomed")
    expect(told).to_contain_text("No study 'doomed'")
    expect(told).to_contain_text("known: made")
    page.goto(base + address("made", "nowhere").removeprefix("/"))
    expect(told).to_contain_text("no page 'nowhere'")
    page.goto(base + address("made", "trial", 999).removeprefix("/"))
    expect(told).to_contain_text("has trials 0 to 19")
    with sqlite3.connect(path) as later:
        later.execute("UPDATE tuner_schema SET version = 99")
    later.close()
    page.goto(base)
    expect(told).to_contain_text("install a later tuner")


def test_locked_database_is_told_and_looked_at_again(page: Page, serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "tuner.db"
    make_study(path, "made", 20, 4)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA journal_mode=DELETE")
    holder.execute("BEGIN EXCLUSIVE")
    page.goto(serve(path))
    expect(page.locator(".message")).to_contain_text("keeps it locked")
    holder.execute("ROLLBACK")
    holder.close()
    expect(page.get_by_role("link", name="made")).to_be_visible()


def test_pages_of_ones_own_and_figures_beyond_the_small_library(
    page: Page, serve: Serve, database: Path, tmp_path: Path
) -> None:
    (tmp_path / "dashboards").mkdir()
    (tmp_path / "mine.py").write_text(
        "from tuner.figures import Figure\n"
        "def data(frame):\n    return frame.trials.number.tolist()\n"
        "def draw(numbers, theme):\n"
        "    trace = {'type': 'splom', 'dimensions': [{'label': 'n', 'values': numbers}] * 2}\n"
        "    return {'data': [trace], 'layout': theme.layout()}\n"
        "FIGURE = Figure('mine', 'Mine', 'Numbers of trials against themselves.', data, draw)\n"
    )
    (tmp_path / "dashboards/mine.toml").write_text('title = "Mine"\n[[figures]]\nuse = "./mine.py:FIGURE"\n')
    (tmp_path / "dashboards/bad.toml").write_text(
        'title = "Bad"\n[[figures]]\nuse = "convergance"\nsize = 3\n'
    )
    (tmp_path / "dashboards/trials.toml").write_text('title = "My trials"\norder = 5\nparts = ["trials"]\n')
    base = serve(database, folder=tmp_path).rstrip("/")
    page.goto(base + address("made", "mine"))
    expect(page.locator("#pages")).to_contain_text("My trials")
    page.locator("#card-mine .main-svg").first.wait_for(timeout=40_000)
    assert page.locator("#card-mine .js-plotly-plot").evaluate("plot => plot.data[0].type") == "splom"
    page.locator("#pages a", has_text=re.compile("^bad$")).click()
    expect(page.locator(".message li")).to_have_count(1)
    expect(page.locator(".message li")).to_contain_text("unknown key; known:")
