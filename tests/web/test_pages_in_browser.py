from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.web.conftest import NASTY, Serve, drawn, traces
from tuner.web import pages
from tuner.web.route import address

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def base(serve: Serve, database: Path) -> str:
    return serve(database)


def turn_to(page: Page, name: str) -> Locator:
    """Go to a page by its link, and wait until its figures are drawn."""
    page.locator(f"#pages [data-page={name}]").click()
    page.locator(f"html[data-shown*='page={name}']").wait_for(state="attached")
    return drawn(page)


def at(base: str, study: str, name: str | None = None, trial: int | None = None) -> str:
    return base.rstrip("/") + address(study, name, trial)


def test_every_page_draws_every_figure_and_says_what_it_shows(page: Page, base: str) -> None:
    page.goto(at(base, "made"))
    for each in pages.load().pages:
        if each.file.of == "trial":
            page.goto(at(base, "made", each.name, 3))
        figures = drawn(page) if each.file.of == "trial" else turn_to(page, each.name)
        cards = each.cards_of(objectives=1)
        assert figures.count() == len(cards)
        if any(card.key == "importances" for card in cards):
            page.locator("#card-importances .bars").first.wait_for()
        for one in cards:
            assert traces(page, one.key)
        for text in page.locator(".card .help p").all():
            assert len(text.text_content() or "") > 40


def test_overview_answers_in_words_and_leads_to_the_best_trial(page: Page, base: str) -> None:
    page.goto(at(base, "made"))
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(4)
    best = tiles.nth(2).locator(".short")
    expect(best).to_have_text(re.compile(r"Trial \d+"))
    number = re.sub(r"\D", "", best.text_content() or "")
    best.locator("a").click()
    expect(page.locator(".steps h2")).to_have_text(f"Trial {number}")
    expect(page).to_have_url(re.compile(rf"trial={number}\b"))
    page.go_back()
    expect(tiles).to_have_count(4)


def test_list_shows_every_study_and_leads_to_it(page: Page, base: str) -> None:
    page.goto(base)
    expect(page.locator(".studies tbody tr")).to_have_count(3)
    expect(page.locator(".studies tbody")).to_contain_text("160: ")
    page.get_by_role("link", name="other", exact=True).click()
    expect(page.locator("#study-name")).to_have_text("other")
    drawn(page)


@pytest.mark.parametrize("path", ["nope", "?page=convergence", "?study=", "?stduy=made", "%25"])
def test_address_that_leads_nowhere_says_so_above_the_list(page: Page, base: str, path: str) -> None:
    page.goto(base + path)
    expect(page.locator("main")).to_contain_text(f"There is nothing at '/{path}'.")
    expect(page.locator(".studies tbody tr")).to_have_count(3)
    page.locator(".brand").click()
    expect(page.locator("main")).not_to_contain_text("There is nothing at")
    page.go_back()
    expect(page.locator("main")).to_contain_text("There is nothing at")


@pytest.mark.parametrize(
    ("path", "told"), [("?study=nope", "No study 'nope'"), ("?study=made&page=nope", "no page 'nope'")]
)
def test_study_or_page_that_does_not_exist_is_named(page: Page, base: str, path: str, told: str) -> None:
    page.goto(base + path)
    expect(page.locator("main")).to_contain_text(told)


def test_options_change_the_figure_and_stay_in_the_address(page: Page, base: str) -> None:
    page.goto(at(base, "made"))
    drawn(page)
    title = page.locator("#card-convergence .xtitle")
    expect(title).to_have_text("trial")
    page.locator("#card-convergence [data-option='convergence.axis']").select_option("epochs")
    expect(title).to_contain_text("epochs")
    expect(page).to_have_url(re.compile(r"convergence\.axis=epochs"))
    page.reload()
    expect(title).to_contain_text("epochs")
    expect(page.locator("#card-convergence [data-option='convergence.axis']")).to_have_value("epochs")


def test_selection_in_the_table_shows_in_the_figures_of_other_pages(page: Page, base: str) -> None:
    page.goto(at(base, "made", "trials"))
    row = page.locator('.ag-row[row-id="5"]')
    row.locator("input[type=checkbox]").click()
    chip = page.locator("#selection")
    expect(chip).to_have_text(re.compile("selection: 1 trial"))
    expect(page).to_have_url(re.compile(r"sel=5\b"))
    turn_to(page, "overview")
    assert "trial 5" in " ".join(traces(page, "curves"))
    page.reload()
    drawn(page)
    expect(chip).to_be_visible()
    chip.click()
    expect(chip).to_be_hidden()
    expect(page).not_to_have_url(re.compile("sel="))


def test_a_box_selects_what_is_not_drawn_too(page: Page, base: str) -> None:
    page.goto(at(base, "made", "parameters"))
    drawn(page)
    plot = page.locator("#card-slices .js-plotly-plot")
    plot.scroll_into_view_if_needed()
    plot.evaluate("plot => Plotly.relayout(plot, {dragmode: 'select'})")
    panel = plot.locator(".nsewdrag").first.bounding_box()
    assert panel is not None
    page.mouse.move(panel["x"] + 1, panel["y"] + 1)
    page.mouse.down()
    page.mouse.move(panel["x"] + panel["width"] - 1, panel["y"] + panel["height"] - 1, steps=5)
    page.mouse.up()
    chip = page.locator("#selection")
    expect(chip).to_have_text(re.compile("selection: 1[0-9][0-9] trials"))


def test_table_sorts_filters_searches_and_downloads(page: Page, base: str) -> None:
    page.goto(at(base, "made", "trials"))
    state = page.locator("#table-state")
    expect(state).to_have_text("160 trials")
    first = page.locator(".ag-row[row-index='0'] .link")
    expect(first).not_to_have_text("0")
    best = first.text_content()
    page.locator(".ag-header-cell[col-id=val_loss] .ag-header-cell-text").click()
    expect(first).not_to_have_text(best or "")
    page.locator(".ag-header-cell[col-id=number] .ag-header-cell-text").click()
    expect(first).to_have_text("0")
    best = "0"
    page.locator(".ag-floating-filter input[aria-label^='state']").fill("failed")
    expect(state).to_have_text(re.compile(r"^\d+ of 160 trials"))
    with page.expect_download() as download:
        page.locator("#csv").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith('"trial","state","validation loss"')
    assert len(lines) == 1 + int((state.text_content() or "").split()[0])
    assert all('"failed"' in line for line in lines[1:])
    page.locator(".ag-floating-filter input[aria-label^='state']").fill("")
    expect(state).to_have_text("160 trials")
    page.locator("#search").fill("momentum")
    expect(state).to_have_text(re.compile(r"^\d+ of 160 trials"))
    page.locator("#search").fill("")
    expect(state).to_have_text("160 trials")
    expect(first).to_have_text(best or "")
    with page.expect_download() as download:
        page.get_by_text("CSV of all curves").click()
    text = Path(download.value.path()).read_text()
    assert text.startswith("trial,epoch,train_loss,val_loss")
    assert len(text.splitlines()) == 1 + 160 * 8


def test_numbers_fit_into_the_cells_of_the_table(page: Page, base: str) -> None:
    page.set_viewport_size({"width": 2600, "height": 900})
    page.goto(at(base, "made", "trials"))
    page.locator(".ag-cell[col-id=weight_decay]").first.wait_for()
    cut = page.evaluate(
        """() => [...document.querySelectorAll(".ag-right-aligned-cell")]
            .flatMap(cell => [cell, ...cell.querySelectorAll("*")])
            .filter(each => each.clientWidth && each.scrollWidth > each.clientWidth + 1)
            .map(each => each.textContent)"""
    )
    assert cut == []


def test_dark_and_light_follow_the_system_and_then_the_person(browser: Browser, base: str) -> None:
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(at(base, "made"))
    drawn(page)
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    dark = page.locator("#card-convergence .js-plotly-plot").evaluate("plot => plot.layout.font.color")
    page.keyboard.press("t")
    expect(root).to_have_attribute("data-theme", "light")
    page.wait_for_timeout(200)
    page.locator(f'#card-convergence .xtitle:not([style*="{dark}"])').wait_for()
    page.reload()
    expect(root).to_have_attribute("data-theme", "light")
    context.close()


def test_markup_in_names_categories_and_tracebacks_stays_text(page: Page, base: str) -> None:
    page.goto(base)
    page.get_by_role("link", name=NASTY, exact=True).click()
    expect(page.locator("#study-name")).to_have_text(NASTY)
    page.locator("html[data-shown*=study]").wait_for(state="attached")
    for name in ("convergence", "over-fitting", "parameters", "compare"):
        turn_to(page, name)
    page.goto(at(base, "made", "trials"))
    page.locator(".ag-floating-filter input[aria-label^='state']").fill("failed")
    expect(page.locator("#table-state")).to_contain_text("of 160")
    page.locator(".ag-row .link").first.click()
    expect(page.locator("pre")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("main img, main script").count() == 0


def test_keyboard_steps_through_trials_and_pages(page: Page, base: str) -> None:
    page.goto(at(base, "made", "trial", 7))
    heading = page.locator(".steps h2")
    expect(heading).to_have_text("Trial 7")
    expect(page.locator("main")).to_contain_text("interruptions")
    page.keyboard.press("j")
    expect(heading).to_have_text("Trial 8")
    page.keyboard.press("k")
    expect(heading).to_have_text("Trial 7")
    page.keyboard.press("?")
    expect(page.locator("#help-box")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help-box")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    expect(page).to_have_url(re.compile("page=trials"))


def test_zoom_survives_a_change_of_selection(page: Page, base: str) -> None:
    page.goto(at(base, "made"))
    drawn(page)
    plot = page.locator("#card-convergence .js-plotly-plot")
    plot.evaluate("plot => Plotly.relayout(plot, {'xaxis.range': [10, 20]})")
    page.locator("#card-curves [data-option='curves.what']").select_option("score")
    expect(page.locator("#card-curves .ytitle")).to_contain_text("score")
    assert plot.evaluate("plot => plot.layout.xaxis.range") == [10, 20]


def test_compare_draws_the_chosen_studies_together(page: Page, base: str) -> None:
    page.goto(at(base, "made", "compare"))
    drawn(page)
    page.locator("[data-against=other]").click()
    expect(page).to_have_url(re.compile("against=other"))
    expect(page.locator("[data-against=other]")).to_have_attribute("aria-pressed", "true")
    names = "document.querySelector('#card-compare .js-plotly-plot')?.data?.map(trace => trace.name)"
    page.wait_for_function(f"() => {names}?.includes('made') && {names}.includes('other')")
    beside = page.locator(".card:has(h3:text('Beside each other'))")
    expect(beside.locator("thead")).to_contain_text("other")
    expect(beside).to_contain_text("to be expected")
    assert len(beside.locator("p").first.text_content() or "") > 40


def test_pages_have_a_language_and_a_heading_and_figures_can_be_read_as_tables(page: Page, base: str) -> None:
    page.goto(at(base, "made"))
    drawn(page)
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("h1")).to_have_text("made")
    assert page.locator("main table th:not([scope])").count() == 0
    page.locator("#card-convergence .help summary").click()
    page.locator("#card-convergence [data-numbers]").click()
    table = page.locator("dialog[open] table")
    expect(table).to_contain_text("validation loss")
    assert table.locator("tr").count() > 100
    page.locator("dialog[open] button").click()
    expect(table).to_have_count(0)


def test_table_is_as_it_was_left_when_one_comes_back_from_a_trial(page: Page, base: str) -> None:
    page.goto(at(base, "made", "trials"))
    state = page.locator("#table-state")
    expect(state).to_have_text("160 trials")
    page.locator("#search").fill("finished")
    expect(state).to_have_text(re.compile(r"^\d+ of 160 trials"))
    left = state.text_content() or ""
    page.locator(".ag-header-cell[col-id=val_loss] .ag-header-cell-text").click()
    page.locator(".ag-row[row-index='15'] .link").scroll_into_view_if_needed()
    row = page.locator(".ag-row[row-index='22'] .link")
    number = row.text_content() or ""
    row.click()
    expect(page.locator(".steps h2")).to_have_text(f"Trial {number}")
    page.go_back()
    expect(state).to_have_text(left)
    expect(page.locator("#search")).to_have_value("finished")
    header = page.get_by_role("columnheader", name="validation loss")
    expect(header).to_have_attribute("aria-sort", "descending")
    expect(row).to_have_text(number)
    expect(row).to_be_in_viewport()


def test_table_is_made_before_its_page_is_opened_and_has_every_row_then(page: Page, base: str) -> None:
    page.goto(at(base, "made"))
    page.locator("#offscreen .ag-row").first.wait_for(state="attached")
    assert page.locator("#offscreen .ag-row").count() < 160
    turn_to(page, "trials")
    expect(page.locator("#table-state")).to_have_text("160 trials")
    expect(page.locator("#grid .ag-row").first).to_be_visible()
    assert page.locator("#offscreen .ag-row").count() == 0
    page.locator(".brand").click()
    page.get_by_role("link", name=NASTY, exact=True).click()
    page.locator("html[data-shown*=study]").wait_for(state="attached")
    turn_to(page, "trials")
    expect(page.locator("#table-state")).not_to_have_text("160 trials")
    expect(page.locator("#table-state")).to_have_text(re.compile(r"^\d+ trials"))


def test_table_is_whole_though_the_request_for_its_beginning_failed(page: Page, base: str) -> None:
    held: list[Route] = []
    beginning = re.compile(r"/-/trials\?.*first=")
    page.route(beginning, lambda route: held.append(route))
    with page.expect_request(beginning):
        page.goto(at(base, "made"))
    turn_to(page, "trials")
    expect(page.locator("#grid")).to_be_attached()
    held[0].fulfill(status=204)
    expect(page.locator("#table-state")).to_have_text("160 trials")


def test_slider_smooths_the_curves_and_stands_in_the_address(page: Page, base: str) -> None:
    page.goto(at(base, "made", "trial", 3))
    drawn(page)
    card = page.locator(".card:has(input[type=range])")
    key = (card.get_attribute("id") or "").removeprefix("card-")
    assert traces(page, key)
    drawing = f"JSON.stringify(document.querySelector('#card-{key} .js-plotly-plot').data.map(t => t.y))"
    before = page.evaluate(drawing)
    card.locator("input[type=range]").fill("0.9")
    expect(page).to_have_url(re.compile(r"smoothing=0\.9"))
    page.wait_for_function(f"before => {drawing} !== before", arg=before)
    page.reload()
    drawn(page)
    expect(card.locator("input[type=range]")).to_have_value("0.9")


UPDATES = "**/_dash-update-component*"
WAIT = "ms => new Promise(done => setTimeout(() => done('waits'), ms))"
AGAIN = "plot => Plotly.react(plot, plot.data, plot.layout).then(() => 'drawn')"


def test_figures_of_a_page_that_is_left_are_not_drawn_before_the_next_page_is_there(
    page: Page, base: str
) -> None:
    page.goto(at(base, "made"))
    drawn(page)
    page.route(UPDATES, lambda _: None)  # never answered
    found = page.evaluate(
        f"""() => {{
            document.querySelector('#pages [data-page=parameters]').click();
            window.late = ({AGAIN})(document.querySelector('.js-plotly-plot'));
            return Promise.race([window.late, ({WAIT})(200)]);
        }}"""
    )
    assert found == "waits"
    # No page comes: what is there is drawn on.
    assert page.evaluate("window.late") == "drawn"
    page.unroute(UPDATES)  # answered now
    page.locator("html[data-shown*='page=parameters']").wait_for(state="attached")
    assert drawn(page).count() == len(pages.load().named["parameters"].cards)


def test_figure_that_cannot_be_drawn_keeps_no_other_one_waiting(page: Page, base: str) -> None:
    page.goto(at(base, "made"))
    drawn(page)
    found = page.evaluate(
        f"""() => {{
            const [one, other] = document.querySelectorAll('.js-plotly-plot');
            const broken = [{{type: 'scatter', mode: 'markers', x: [1], y: [1], marker: null}}];
            const first = Plotly.react(one, broken).then(() => 'drawn', () => 'failed');
            return Promise.race([Promise.all([first, ({AGAIN})(other)]), ({WAIT})(10000)]);
        }}"""
    )
    assert found == ["failed", "drawn"]
