"""From a point to its trial: by mouse, by key, beside the figure, in the address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.web.conftest import Serve, drawn
from tuner.web.route import address

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def base(serve: Serve, database: Path) -> str:
    return serve(database)


def opened(page: Page, base: str, name: str | None = None) -> None:
    page.goto(base.rstrip("/") + address("made", name))
    drawn(page)
    if name is None:
        page.locator(".findings p").first.wait_for()  # it pushes figures down


def point_at(page: Page, card: str, which: int) -> Locator:
    plot = page.locator(f"#card-{card} .js-plotly-plot")
    points = plot.locator(".scatterlayer .point")
    points.nth(which).scroll_into_view_if_needed()
    box = points.nth(which).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x + 1, y)
    page.mouse.move(x, y)
    plot.locator(".hoverlayer .hovertext").first.wait_for()
    return plot


def test_a_point_tells_its_outcome_and_the_settings_that_differ(page: Page, base: str) -> None:
    opened(page, base)
    point_at(page, "train_validation", 40)
    tip = page.locator("#tip")
    expect(tip).to_be_visible()
    expect(tip.locator("p").first).to_have_text(re.compile("finished|stopped|failed|diverged"))
    expect(tip).to_contain_text("validation loss")
    expect(tip).to_contain_text("learning_rate")
    expect(tip).to_contain_text("(default 0.01)")
    page.mouse.move(5, 5)
    expect(tip).to_be_hidden()


def test_a_click_opens_the_trial_beside_the_figure_and_the_address_keeps_it(page: Page, base: str) -> None:
    opened(page, base)
    point_at(page, "train_validation", 40)
    page.mouse.down()
    page.mouse.up()
    panel = page.locator("#panel")
    expect(panel.locator("h2")).to_have_text(re.compile(r"^Trial \d+$"))
    number = (panel.locator("h2").text_content() or "").split()[1]
    expect(page).to_have_url(re.compile(rf"open={number}\b"))
    expect(panel.locator("table")).to_contain_text("learning_rate")
    expect(panel.locator("dl")).to_contain_text("validation loss")
    panel.locator(".main-svg").first.wait_for()
    for about in ("[space.fixed]", f"--trial {number}"):
        assert about in " ".join(each.get_attribute("title") or "" for each in panel.locator("button").all())
    page.reload()
    expect(panel.locator("h2")).to_have_text(f"Trial {number}")
    panel.get_by_text("select", exact=True).click()
    expect(page.locator("#selection")).to_have_text(re.compile("selection: 1 trial"))
    page.keyboard.press("Escape")
    expect(panel.locator("h2")).to_have_count(0)
    expect(page).not_to_have_url(re.compile("open="))
    expect(page.locator("#selection")).to_be_visible()


def test_a_click_with_shift_selects_its_trial(page: Page, base: str) -> None:
    opened(page, base)
    page.keyboard.down("Shift")
    point_at(page, "train_validation", 40)
    page.mouse.down()
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(page.locator("#selection")).to_have_text(re.compile("selection: 1 trial"))
    expect(page.locator("#panel h2")).to_have_count(0)


def test_points_are_reached_by_keys_alone(page: Page, base: str) -> None:
    opened(page, base)
    plot = page.locator("#card-convergence .js-plotly-plot")
    expect(plot).to_have_attribute("tabindex", "0")
    assert len(plot.get_attribute("aria-label") or "") > 80
    stops = plot.evaluate(
        "plot => [...plot.querySelectorAll("
        "'a[href], button, [tabindex]')].filter(e => e.tabIndex >= 0).length"
    )
    assert stops == 0, "the figure itself is the only stop in it"
    plot.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tip")).to_be_visible()
    page.keyboard.press(" ")
    expect(page).to_have_url(re.compile(r"sel=1\b"))
    page.keyboard.press("Enter")
    expect(page.locator("#panel h2")).to_have_text("Trial 1")


def test_a_box_over_an_axis_of_parallel_coordinates_selects_the_lines_through_it(
    page: Page, base: str
) -> None:
    opened(page, base, "parameters")
    plot = page.locator("#card-parallel .js-plotly-plot")
    plot.scroll_into_view_if_needed()
    area = plot.locator(".nsewdrag").first.bounding_box()
    assert area is not None
    counts: list[int] = []
    for axis in (0, 1):
        x = area["x"] + area["width"] * (axis + 0.15) / 7.55
        page.mouse.move(x - 8, area["y"] + 5)
        page.mouse.down()
        page.mouse.move(x + 8, area["y"] + area["height"] * 0.6, steps=6)
        page.mouse.up()
        chip = page.locator("#selection")
        expect(chip).to_have_text(re.compile(r"selection: [1-9]\d* trials"))
        if counts:
            expect(chip).not_to_have_text(re.compile(rf"selection: {counts[0]} trials"))
        counts.append(int(re.findall(r"\d+", chip.text_content() or "")[0]))
    assert 0 < counts[1] < counts[0] < 160


def rows(page: Page) -> list[float]:
    """The validation losses that the table shows, from the top."""
    cells = page.locator("#grid .ag-row .ag-cell[col-id=val_loss]")
    cells.first.wait_for()
    found = page.evaluate(
        """() => [...document.querySelectorAll("#grid .ag-row .ag-cell[col-id=val_loss]")]
            .map(cell => [Number(cell.closest(".ag-row").getAttribute("row-index")), cell.textContent])
            .sort((a, b) => a[0] - b[0]).map(([, text]) => Number(text))"""
    )
    return [float(each) for each in found]


def test_the_best_trials_come_first_and_the_rows_are_dense(page: Page, base: str) -> None:
    page.goto(base.rstrip("/") + address("made", "trials"))
    expect(page.locator("#table-state")).to_have_text("160 trials")
    shown = rows(page)
    assert shown == sorted(shown)
    assert len(shown) > 14
    expect(page.get_by_role("columnheader", name="learning_rate")).to_be_in_viewport()


def test_large_numbers_of_the_table_have_separators_and_are_found_as_they_are_shown(
    page: Page, base: str
) -> None:
    def large(route: Route) -> None:
        found = route.fetch().json()
        column = found["columns"][found["names"].index("val_loss")]
        column[:] = [*(12345.678, 1234567.89, 1.5, 1e-5)[: len(column)], *column[4:]]
        route.fulfill(json=found)

    page.route("**/-/trials?*", large)
    page.goto(base.rstrip("/") + address("made", "trials") + "&sort=number&where=number:<4")
    expect(page.locator("#body")).to_contain_text("4 of ")
    cells = page.locator("#grid [col-id=val_loss].ag-cell")
    expect(cells).to_have_text(["12,345.7", "1,234,568", "1.5", "1e-05"])
    page.locator("#grid [data-filter=val_loss]").fill("12,345.7")
    expect(cells).to_have_text(["12,345.7"])


def test_filters_take_bounds_and_ranges_and_the_address_keeps_everything(page: Page, base: str) -> None:
    page.goto(base.rstrip("/") + address("made", "trials"))
    state = page.locator("#table-state")
    expect(state).to_have_text("160 trials")

    def filtered(name: str, text: str) -> int:
        page.locator(f".ag-floating-filter input[aria-label^='{name}']").fill(text)
        expect(state).to_have_text(re.compile(r"^\d+ of 160 trials" if text else "^160 trials"))
        return int((state.text_content() or "0").split()[0])

    whole = rows(page)
    least, most = whole[2] * 0.99999, whole[9] * 1.00001
    assert filtered("validation loss", f"<={most:.7g}") == 10
    assert filtered("validation loss", f"{least:.7g}..{most:.7g}") == 8
    assert filtered("validation loss", "<0") == 0
    assert filtered("validation loss", "") == 160
    assert 0 < filtered("dropout", "0.1") < 80, "what rounds to it"
    filtered("dropout", "")
    failed = filtered("state", "=failed")
    assert failed + filtered("state", "!failed") == 160
    page.locator("#search").fill("momentum")
    page.locator("summary", has_text="columns").click()
    page.locator("#columns button", has_text="weight_decay").click()
    page.keyboard.press("Escape")
    page.locator(".ag-header-cell[col-id=dropout] .ag-header-cell-text").click()
    expect(page).to_have_url(re.compile("sort=dropout"))
    expect(page).to_have_url(re.compile("hide=weight_decay"))
    left = state.text_content() or ""
    page.reload()
    expect(state).to_have_text(left)
    expect(page.locator("#search")).to_have_value("momentum")
    expect(page.locator(".ag-floating-filter input[aria-label^='state']")).to_have_value("!failed")
    expect(page.locator(".ag-header-cell[col-id=weight_decay]")).to_have_count(0)
    header = page.get_by_role("columnheader", name="dropout")
    expect(header).to_have_attribute("aria-sort", "ascending")


def test_selected_trials_stand_side_by_side_with_what_differs(page: Page, base: str) -> None:
    page.goto(base.rstrip("/") + address("made", "trials") + "&sel=3,5")
    table = page.locator(".card:has(h3:text('Side by side')) table")
    expect(table.locator("thead")).to_contain_text("trial 3")
    expect(table.locator("thead")).to_contain_text("trial 5")
    expect(table.locator("thead")).to_contain_text("default")
    expect(table).to_contain_text("validation loss")
    expect(table.locator("tr.setting").first).to_be_visible()
    for line in table.locator("tr.setting").all():
        cells = [each.text_content() for each in line.locator("td").all()]
        assert len(set(cells)) > 1
    page.locator("#selection").click()
    expect(table).to_have_count(0)
