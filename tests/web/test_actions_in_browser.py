"""What a dashboard may be asked for: nothing without the flag and the token, then what commands do."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from dash import html
from playwright.sync_api import Page, expect

from tests import processes
from tests.web.made import make_study
from tests.web.test_live_in_browser import STUDY, TRAINER
from tuner.store import Database
from tuner.store.columns import Reader
from tuner.web import pages, parts
from tuner.web.app import build
from tuner.web.live import Live
from tuner.web.renderer import PageRenderer
from tuner.web.route import address
from tuner.web.serve import Server

pytestmark = pytest.mark.browser

TRY = {"study": "made", "kind": "try", "content": {"learning_rate": 0.02, "depth": 3}}


def asked(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT kind, content FROM tuner_requests ORDER BY request_id").fetchall()


@pytest.fixture
def acting(tmp_path: Path) -> Iterator[Server]:
    """A dashboard of one finished study that takes requests; asked for before the page, which ends first."""
    server = Server(make_study(tmp_path / "tuner.db", "made", 20, 4), port=0, allows=True)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    yield server
    server.close()


def test_requests_need_the_flag_and_the_token(tmp_path: Path) -> None:
    path = tmp_path / "tuner.db"
    url = make_study(path, "made", 20, 4)
    live = Live(Reader(url))
    plain = build(PageRenderer(live, pages.load())).test_client()
    refused = plain.post("/-/ask", json=TRY)
    assert (refused.status_code, "--allow-actions" in refused.text) == (403, True)
    assert "copy tune try" not in refused.text
    taking = build(PageRenderer(live, pages.load(), allows=True), token="secret", url=url).test_client()
    assert taking.post("/-/ask", json=TRY).status_code == 403
    assert (
        plain.post(
            "/-/ask", json={"study": "made", "kind": "delete", "content": {"name": "made"}}
        ).status_code
        == 403
    )
    assert asked(path) == []
    answer = taking.post("/-/ask?token=secret", json=TRY).get_json()
    assert (answer["is_noted"], "tune resume made" in answer["told"]) == (True, True)
    assert [kind for kind, _ in asked(path)] == ["try"]
    assert '"depth": 3' in asked(path)[0][1]
    for wrong, told in (
        ({**TRY, "content": {"depth": 99}}, "depth"),
        ({**TRY, "kind": "stop"}, "no process drives 'made'"),
        ({**TRY, "kind": "shout"}, "try, end, stop, raise, comment, rename or delete"),
        ({**TRY, "kind": "raise", "content": {"trials": 99}}, "tune resume made --trials 99"),
        ({**TRY, "kind": "end", "content": {"trial": 3}}, "no process drives 'made'"),
        ({**TRY, "study": "mode"}, "no study 'mode'"),
        ({"kind": "stop"}, "no study"),
        (None, "rename or delete"),
        ({"study": "made", "kind": "delete"}, "name: the study's own is needed"),
        ({"study": "mode", "kind": "delete", "content": {"name": "mode"}}, "no study 'mode'"),
    ):
        answer = taking.post("/-/ask?token=secret", json=wrong).get_json()
        assert not answer["is_noted"]
        assert told in answer["told"]
    assert len(asked(path)) == 1
    live.close()


def test_without_the_flag_there_is_a_command_to_copy(acting: Server, page: Page, tmp_path: Path) -> None:
    looking = Server(f"sqlite:///{tmp_path / 'tuner.db'}", port=0)
    Thread(target=looking.run, daemon=True).start()
    page.goto(looking.address.rstrip("/") + address("made") + "&open=3")
    button = page.locator("#panel button", has_text="copy tune try")
    expect(button).to_have_attribute("title", re.compile("^tune try made .*learning_rate="))
    expect(page.locator("#panel .to-try")).to_have_count(0)
    expect(page.locator("#status .menu button")).to_have_count(3)
    copies = page.locator("#status .menu button").evaluate_all("all => all.map((one) => one.dataset.copy)")
    assert copies == ["tune comment made TEXT", "tune rename made NEW", "tune delete made"]
    looking.close()
    assert "token=" in acting.address


def test_a_changed_configuration_is_asked_for_from_the_panel(
    acting: Server, page: Page, tmp_path: Path
) -> None:
    page.goto(acting.address)
    page.goto(acting.address.partition("?")[0].rstrip("/") + address("made") + "&open=3")
    page.locator("#panel summary", has_text="try a change").click()
    page.locator("#panel .to-try").fill('{"depth": 99}')
    page.locator("#panel [data-ask=try]").click()
    expect(page.locator("#panel [data-ask=try]")).to_contain_text("depth")
    assert asked(tmp_path / "tuner.db") == []
    page.locator("#panel .to-try").fill('{"depth": 3}')
    page.locator("#panel [data-ask=try]").click()
    expect(page.locator("#panel [data-ask=try]")).to_contain_text("noted")
    assert [kind for kind, _ in asked(tmp_path / "tuner.db")] == ["try"]


def test_a_comment_is_kept_and_stands_in_the_table(acting: Server, page: Page, tmp_path: Path) -> None:
    page.goto(acting.address)
    base = acting.address.partition("?")[0].rstrip("/")
    page.goto(base + address("made") + "&open=3")
    page.locator("#panel summary", has_text="comment").click()
    page.locator("#panel .to-say").fill("diverges late #suspect <b>")
    page.locator("#panel [data-ask=comment]").click()
    expect(page.locator("#panel [data-ask=comment]")).to_contain_text("kept")
    with Database.open(f"sqlite:///{tmp_path / 'tuner.db'}") as database:
        assert database.comments("made") == {3: "diverges late #suspect <b>"}
    page.goto(base + address("made", "trials") + "&q=suspect")
    expect(page.locator("#body")).to_contain_text("1 of 20 trials")
    page.locator("#status summary", has_text="more").click()
    page.locator("#status .to-say").fill("look at #suspect")
    page.locator("#status [data-ask=comment]").click()
    expect(page.locator("#status .comment")).to_have_text("look at #suspect")
    with Database.open(f"sqlite:///{tmp_path / 'tuner.db'}") as database:
        assert database.comments("made")[None] == "look at #suspect"
    page.goto(base + address("made", "trial", 3))
    expect(page.locator("#body")).to_contain_text("diverges late #suspect <b>")
    page.goto(base + address("made", "trials") + "&where=number:>9")
    expect(page.locator("#body")).to_contain_text("10 of 20 trials")
    expect(page.locator("#grid [data-filter=number]")).to_have_value(">9")
    page.locator("#status .comment a").click()
    expect(page.locator("#search")).to_have_value("#suspect")
    expect(page.locator("#body")).to_contain_text("1 of 20 trials")
    expect(page.locator("#grid [data-filter=number]")).to_have_value("")


def test_the_panel_follows_its_trial_but_not_while_somebody_writes_in_it(
    acting: Server, page: Page, tmp_path: Path
) -> None:
    page.goto(acting.address)
    page.goto(acting.address.partition("?")[0].rstrip("/") + address("made") + "&open=3")
    panel = page.locator("#panel")
    panel.locator("summary", has_text="comment").click()
    box = panel.locator(".to-say")
    box.fill("half a sen")
    log = Reader(f"sqlite:///{tmp_path / 'tuner.db'}").artifacts("made").log(3)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("epoch 1 is done")
    page.wait_for_timeout(2500)
    expect(panel).not_to_contain_text("epoch 1 is done")
    expect(box).to_have_value("half a sen")
    box.fill("")
    box.blur()
    expect(panel).to_contain_text("epoch 1 is done")
    log.write_text("epoch 1 is done\nepoch 2 is done")
    expect(panel).to_contain_text("epoch 2 is done")
    panel.locator("#close-panel").click()
    expect(panel).to_be_empty()


def test_what_is_being_written_stays_when_something_else_is_asked_for_or_appears(
    acting: Server, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'tuner.db'}"
    page.goto(acting.address)
    page.goto(acting.address.partition("?")[0].rstrip("/") + address("made") + "&open=3")
    panel = page.locator("#panel")
    panel.locator("summary", has_text="try a change").click()
    panel.locator(".to-try").fill('{"depth"')
    # As a button that sends what it has, such as the end of a trial.
    panel.locator("[data-ask=try]").evaluate("one => { one.dataset.content = '{\"depth\": 3}'; }")
    panel.locator("[data-ask=try]").click()
    expect(panel.locator("[data-ask=try]")).to_contain_text("noted")
    monkeypatch.setattr(parts, "_doing", lambda *_, **__: [html.Button("one more")])
    log = Reader(url).artifacts("made").log(3)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("epoch 1 is done")
    with Database.open(url) as database:
        database.comment("made", "of somebody else", 5)
    page.wait_for_timeout(2500)
    expect(panel.locator(".to-try")).to_have_value('{"depth"')
    expect(page.locator("#status")).to_contain_text("one more")  # for its box is folded away
    page.locator("#status summary", has_text="more").evaluate("one => one.click()")
    page.locator("#status .to-say").fill("half a sen")
    with Database.open(url) as database:
        database.comment("made", "of somebody else", None)
    page.wait_for_timeout(2500)
    expect(page.locator("#status .to-say")).to_have_value("half a sen")
    page.locator("#status .to-say").fill("")
    page.locator("#status .to-say").blur()
    expect(page.locator("#status .comment")).to_have_text("of somebody else")


def test_a_study_is_deleted_once_that_is_confirmed(acting: Server, page: Page, tmp_path: Path) -> None:
    page.goto(acting.address)
    page.get_by_role("link", name="made").click()
    page.locator("#status summary", has_text="more").click()
    page.locator("#status [data-ask=delete]").click()
    page.locator("dialog[open] button", has_text="no").click()
    page.locator("#status summary", has_text="more").click()
    page.locator("#status [data-ask=delete]").click()
    with Database.open(f"sqlite:///{tmp_path / 'tuner.db'}") as database:
        assert database.names() == {"made"}
        page.locator(
            "dialog[open] button", has_text="yes, delete 'made', its 20 trials and its models"
        ).click()
        expect(page.locator("#body")).to_contain_text("No studies yet")
        assert database.names() == set()


def test_a_study_gets_another_name_and_the_page_goes_with_it(acting: Server, page: Page) -> None:
    page.goto(acting.address)
    page.get_by_role("link", name="made").click()
    page.locator("#status summary", has_text="more").click()
    page.locator("#new-name").fill("")
    page.locator("#status [data-ask=rename]").click()
    expect(page.locator("#status [data-ask=rename]")).to_contain_text("name")
    page.locator("#new-name").fill("made anew")
    page.locator("#status [data-ask=rename]").click()
    expect(page).to_have_url(re.compile(r"study=made\+anew"))
    expect(page.locator("#body")).to_contain_text("Convergence")


def test_a_running_study_is_raised_and_stopped_once_that_is_confirmed(page: Page, tmp_path: Path) -> None:
    (tmp_path / "trainer.py").write_text(TRAINER)
    (tmp_path / "study.toml").write_text(STUDY.replace("trials = 25", "trials = 5000"))
    url = f"sqlite:///{tmp_path / 'run.db'}"
    command = ["-m", "tuner", "start", "study.toml", "--storage", url, "--quiet"]
    server = Server(url, port=0, allows=True)
    Thread(target=server.run, daemon=True).start()
    with processes.start(*command, cwd=tmp_path) as study:
        try:
            page.goto(server.address)
            page.get_by_role("link", name="growing").click()
            page.locator("#status [data-ask=raise]").click()
            page.locator("dialog[open] button", has_text="yes, double its budget to 10,000 trials").click()
            expect(page.locator("#status [data-ask=raise]")).to_contain_text("to 20,000 trials")
            page.locator("#status [data-ask=stop]").click()
            page.locator("dialog[open] button", has_text="no").click()
            page.locator("#status [data-ask=stop]").click()
            assert asked(tmp_path / "run.db") == [("raise", '{"trials": 10000}')]
            page.locator("dialog[open] button", has_text="yes, stop the study").click()
            study.wait(60)
        finally:
            study.kill()
    expect(page.locator("#status .badge")).not_to_have_text("running")
    assert [kind for kind, _ in asked(tmp_path / "run.db")] == ["raise", "stop"]
    page.close()
    server.close()
