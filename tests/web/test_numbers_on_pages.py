"""The numbers on pages are those of `tune show --json`, to the digits that are shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

import tuner
from tests.web.conftest import Serve, drawn
from tuner.cli.contract import curved_trial_table, study_table
from tuner.core import words
from tuner.web import pages
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


def test_the_table_of_trials(
    page: Page, serve: Serve, database: Path, study: tuner.Study, told: dict[str, Any]
) -> None:
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
        over = curved_trial_table(study.trial(trial["number"]))
        for name in ("gap_last", "onset_epoch", "rise"):
            shown, number = columns[name][at], over[name]
            is_none = number is None or number != number
            assert shown == (None if is_none else pytest.approx(number)), (trial["number"], name)
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
        assert same(shown.get("gap at the end", "–"), table["gap_last"])
        if table["onset_epoch"] is not None:
            risen = f"risen by {words.percent(table['rise'])}"
            assert f"epoch {table['onset_epoch']} on" in shown["over-fitting"]
            assert risen in shown["over-fitting"]
        for row in rows(page, ".card:has(h3:text-is('Settings'))"):
            value = table["params"].get(row["setting"])
            assert row["this trial"] in (str(value), "–") or same(row["this trial"], value), (number, row)


POINTS = """() => [...document.querySelectorAll('main .card .js-plotly-plot')].flatMap(plot => {
  const same = axis => plot.layout[axis.matches?.replace(/^y/, 'yaxis')];
  const title = axis => axis && (axis.title?.text || title(same(axis)));
  const axis = (trace, side) => plot.layout[(trace[side + 'axis'] || side).replace(side, side + 'axis')];
  return plot.data.filter(trace => trace.mode?.includes('markers') && trace.customdata && !trace.text)
    .map(trace => ({
      card: plot.closest('.card').id, number: trace.customdata, x: trace.x, y: trace.y,
      named: ['x', 'y'].map(side => title(axis(trace, side)) || ''),
    }));
})"""
"""Every point of a trial that a figure of the page has, and what stands along its axes."""

POINTS_SHOWN = 1e-5
"""How far a point may be from the number, as a share of it."""

POINTED = {"overview", "convergence", "over-fitting", "parameters"}
"""The pages with such points; those of trials have tables and curves, and studies are compared by lines."""


def test_the_points_of_all_figures_on_all_pages(
    page: Page, serve: Serve, database: Path, told: dict[str, Any]
) -> None:
    base, trials = serve(database).rstrip("/"), {each["number"]: each for each in told["trials"]}
    compared: dict[str, set[str]] = {}

    def number(trial: dict[str, Any], label: str) -> float | None:
        known = {**trial["params"], "trial": trial["number"]}
        label = label.removesuffix(" at the best epoch")
        found = known.get(label, trial[METRIC[label]] if label in METRIC else None)
        return None if isinstance(found, str | int) and label != "trial" else found

    for each in pages.load().pages:
        page.goto(base + address("made", each.name, 12 if each.file.of == "trial" else None))
        if not each.cards:
            continue
        drawn(page)
        for trace in page.evaluate(POINTS):
            for label, shown in zip(trace["named"], (trace["x"], trace["y"]), strict=True):
                for trial, value in zip(trace["number"], shown, strict=True):
                    stored = number(trials[trial], label) if isinstance(trial, int) and trial >= 0 else None
                    if stored is None or value is None:
                        continue
                    assert value == pytest.approx(stored, rel=POINTS_SHOWN), (trace["card"], trial, label)
                    compared.setdefault(each.name, set()).add(label)
    assert compared.keys() == POINTED
    lowest = page.evaluate(
        """() => Math.min(...document.querySelector('#card-compare .js-plotly-plot').data
            .filter(trace => trace.name === 'made').flatMap(trace => trace.y))"""
    )
    assert lowest == pytest.approx(
        min(x["value"] for x in trials.values() if x["state"] == "finished"), rel=SHOWN
    )
    known = set().union(*compared.values())
    assert known >= {"trial", "validation loss", "training loss at the best epoch", "gap", "learning_rate"}


def test_the_curves_of_a_trial(page: Page, serve: Serve, database: Path, study: tuner.Study) -> None:
    page.goto(serve(database).rstrip("/") + address("made", "trial", 12))
    drawn(page)
    stored = {
        (reading["epoch"], f"{reading[name]:.5g}")
        for reading in curved_trial_table(study.trial(12))["curve"]
        for name in (
            "train_loss",
            "val_loss",
            "train_score",
            "val_score",
            "learning_rate",
            "grad_norm",
            "gap",
        )
    }
    lines = page.evaluate(
        """() => document.querySelector('#card-readings .js-plotly-plot').data
            .filter(trace => trace.mode === 'lines' && trace.customdata).map(trace => [trace.x, trace.y])"""
    )
    shown = {(x, f"{y:.5g}") for xs, ys in lines for x, y in zip(xs, ys, strict=True)}
    assert len(shown) > 20
    assert shown <= stored


@pytest.mark.parametrize("name", ["own", "three"])
def test_numbers_of_ones_own_and_further_objectives(page: Page, serve: Serve, odd: Path, name: str) -> None:
    base, study = serve(odd).rstrip("/"), tuner.load(name, storage=f"sqlite:///{odd}")
    page.goto(base + address(name, "trials"))
    sent = page.evaluate(f"() => fetch('/-/trials?study={name}').then(answer => answer.json())")
    columns = dict(zip(sent["names"], sent["columns"], strict=True))
    own = {"own": {"val_f1", "train_f1", "cpu"}, "three": {"val_loss", "train_loss", "gap", "bytes"}}[name]
    assert own <= columns.keys()
    for at, record in enumerate(study.records):
        table = curved_trial_table(study.trial(record.number))
        best = next(each for each in table["curve"] if each["epoch"] == table["best_epoch"])
        for each in own:
            assert columns[each][at] == pytest.approx(best[each]), (record.number, each)


def test_a_number_has_one_form_in_the_table_in_the_panel_and_among_the_best(
    page: Page, serve: Serve, odd: Path
) -> None:
    base = serve(odd).rstrip("/")
    page.goto(base + address("three"))
    card = page.locator(".card:has(h3:text-is('Best trials'))")
    card.wait_for()
    best = {row["trial"].partition(" ")[0]: row for row in rows(page, ".card:has(h3:text-is('Best trials'))")}
    number = next(each for each in best if each != "0")
    page.goto(base + address("three", "trials") + f"&open={number}")
    lines = page.locator("#panel dl > div")
    lines.first.wait_for()
    panel = dict(line.split("\n", 1) for line in lines.all_inner_texts())
    page.locator("#grid .ag-row").first.wait_for()
    cells = page.evaluate(
        """number => Object.fromEntries([...document.querySelectorAll('#grid .ag-row')]
            .filter(row => row.getAttribute('row-id') === number)
            .flatMap(row => [...row.querySelectorAll('.ag-cell')])
            .map(cell => [cell.getAttribute('col-id'), cell.innerText.trim()]))""",
        number,
    )
    assert cells["bytes"] == panel["bytes"] == best[number]["bytes"]
    assert re.fullmatch(r"\d00,000", cells["bytes"])
    for label, name in METRIC.items():
        if name in cells and label in best[number]:
            assert float(cells[name]) == pytest.approx(float(best[number][label]), rel=SHOWN)
            assert panel[label] == best[number][label]
