"""The numbers on pages are those of `tune show --json`, to the digits that are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

import tuner
from tests.web.conftest import Serve, drawn
from tuner.cli.contract import curved_trial_table, study_table
from tuner.web.route import address

pytestmark = pytest.mark.browser

METRIC = {
    "validation loss": "val_loss", "training loss": "train_loss", "gap": "gap",
    "validation score": "val_score", "training score": "train_score",
}  # fmt: skip
SHOWN = 5e-4
"""How far four significant digits may be from the number, as a share of it."""


@pytest.fixture(scope="module")
def study(database: Path) -> tuner.Study:
    return tuner.load("made", storage=f"sqlite:///{database}")


@pytest.fixture(scope="module")
def told(study: tuner.Study) -> dict[str, Any]:
    return study_table(study)


def same(text: str, number: float | None) -> bool:
    text = text.replace(",", "").replace("−", "-")
    if number is None:
        return text in ("–", "")
    return float(text) == pytest.approx(number, rel=SHOWN, abs=1e-12)


def rows(page: Page, card: str) -> list[dict[str, str]]:
    head, *body = page.locator(card).evaluate(
        """card => [...card.querySelectorAll('tr')]
            .map(row => [...row.children].map(cell => cell.innerText.trim()))"""
    )
    found = [dict(zip(head, row, strict=True)) for row in body]
    assert len(found) > 5
    return found


def test_the_table_of_trials(page: Page, serve: Serve, database: Path, told: dict[str, Any]) -> None:
    base = serve(database).rstrip("/")
    page.goto(base + address("made", "trials"))
    sent = page.evaluate("() => fetch('/-/trials?study=made').then(answer => answer.json())")
    columns = dict(zip(sent["names"], sent["columns"], strict=True))
    assert columns["number"] == [trial["number"] for trial in told["trials"]]
    for at, trial in enumerate(told["trials"]):
        for name in ("val_loss", "train_loss", "gap", "val_score", "best_epoch", "epochs", "rule", "reason"):
            shown, number = columns[name][at], trial[name]
            fits = shown == number if isinstance(number, str | None) else number == pytest.approx(shown)
            # A trial without any epoch has none that is its best.
            assert fits or (number is None and not trial["epochs"]), (trial["number"], name, shown, number)
        for name, value in trial["params"].items():
            shown = columns[name][at]
            assert shown == (value if isinstance(value, str) else pytest.approx(value)), (at, name)


def test_the_overview(page: Page, serve: Serve, database: Path, told: dict[str, Any]) -> None:
    base = serve(database).rstrip("/")
    page.goto(base + address("made"))
    drawn(page)
    trials = told["trials"]
    states = [each["state"] for each in trials]
    counts = {state: states.count(state) for state in ("finished", "stopped", "failed")}
    status = page.locator("#status").inner_text()
    assert f"{len(trials)} trials" in status
    assert all(f"{amount} {state}" in status for state, amount in counts.items() if amount)
    for row in rows(page, ".card:has(h3:text-is('Best trials'))"):
        trial = trials[int(row["trial"].partition(" ")[0])]
        for label, name in METRIC.items():
            assert label not in row or same(row[label], trial[name]), (row, name)
        for name, value in trial["params"].items():
            assert name not in row or row[name] == str(value) or same(row[name], value), (row, name)
        assert row["epochs"] == str(trial["epochs"])
    drawn_points = page.evaluate(
        """() => document.querySelector('#card-convergence .js-plotly-plot').data
            .filter(trace => trace.mode === 'markers')
            .flatMap(trace => trace.x.map((x, i) => [x, trace.y[i]]))"""
    )
    values = {trial["number"]: trial["value"] for trial in trials}
    assert len(drawn_points) > 100
    assert all(y == pytest.approx(values[x], rel=1e-5) for x, y in drawn_points)


def test_the_pages_of_trials(page: Page, serve: Serve, database: Path, study: tuner.Study) -> None:
    base = serve(database).rstrip("/")
    for number in (0, 3, 12, 77, 159):
        table = curved_trial_table(study.trial(number))
        page.goto(base + address("made", "trial", number))
        lines = page.locator(".card:has(h3:text-is('Outcome')) dl > div")
        lines.first.wait_for()
        shown = dict(line.split("\n", 1) for line in lines.all_inner_texts())
        for label, name in METRIC.items():
            assert same(shown.get(label, "–"), table[name]), (number, label)
        if table["best_epoch"]:
            assert shown["best epoch"] == f"{table['best_epoch']} of {table['epochs']}"
        assert shown.get("reason") == table["reason"]
        for row in rows(page, ".card:has(h3:text-is('Settings'))"):
            value = table["params"].get(row["setting"])
            assert row["this trial"] in (str(value), "–") or same(row["this trial"], value), (number, row)
