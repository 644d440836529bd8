"""A database and a page of one's own that the first landed version left are opened and drawn."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import processes
from tests.web.conftest import Serve, drawn
from tuner.store.schema import VERSION
from tuner.web import pages
from tuner.web.route import address

pytestmark = pytest.mark.browser

PROJECT = Path(__file__).parents[1] / "store" / "data" / "version-4.zip"
PAGE = """
title = "Of before"
help = "Every part, figure and option by the name that it had first."
order = 9
parts = ["verdict", "best"]
below = ["findings", "trials", "studies"]
figures = [
    { use = "convergence", width = "full", height = 400, options = { axis = "epochs" } },
    { use = "curves", title = "Learning curves of the best", controls = ["what", "log", "best", "every"] },
    { use = "curves", controls = ["smoothing"], options = { what = "loss", log = false, smoothing = 0.5 } },
    { use = "train_validation", options = { what = "loss", log = false } },
    { use = "gap_epochs", options = { best = 2 } },
    { use = "gap_parameters", options = { parameters = "x", log = false } },
    { use = "importances" },
    { use = "contour", options = { across = "x", upward = "x" } },
    { use = "slices", options = { parameters = "x", log = false } },
    { use = "parallel", options = { parameters = "x" } },
    { use = "tradeoffs", width = "third", options = { cost = "gap" } },
    { use = "rungs" },
    { use = "timeline", options = { last = 20 } },
    { use = "outcomes" },
    { use = "compare" },
]
"""

TOLD = """key => {
    const { data, layout } = document.querySelector(`#card-${key} .js-plotly-plot`);
    return data.length ? "" : layout.annotations.map(each => each.text.replaceAll("<br>", " ")).join(" ");
}"""
"""What a figure says in place of a drawing."""

TOO_LITTLE = {
    "importances": "Too few trials to tell which settings mattered: 3 of about 18 that it takes.",
    "contour": "The study searches a single parameter; a map needs two. See the slices.",
    "rungs": "No trial was stopped or paused before its last epoch: rungs appear where a rule does.",
}
"""What figures say of four trials of one parameter."""


def test_a_page_under_the_first_names_draws_a_database_of_the_first_version(
    page: Page, serve: Serve, tmp_path: Path
) -> None:
    with zipfile.ZipFile(PROJECT) as archive:
        archive.extractall(tmp_path)
    (tmp_path / "dashboards").mkdir()
    (tmp_path / "dashboards" / "before.toml").write_text(PAGE)
    base = serve(tmp_path / "tuner.db", folder=tmp_path).rstrip("/")
    page.goto(base)
    expect(page.locator("main")).to_contain_text(f"`tune list` brings them to version {VERSION}")
    processes.run("-m", "tuner", "list", cwd=tmp_path, check=True)
    expect(page.locator(".studies tbody tr")).to_have_count(2)  # with nothing pressed
    page.goto(base + address("An old study", "before"))
    found = pages.load(tmp_path).named["before"]
    assert drawn(page).count() == len(found.cards) == 15
    told = {one.key: page.evaluate(TOLD, one.key) for one in found.cards}
    assert {key: text for key, text in told.items() if text} == TOO_LITTLE
