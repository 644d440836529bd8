from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.figures.parts import HOSTILE, curve, frame, losses
from tuner import figures
from tuner.core.importances import Importances
from tuner.core.objectives import Objectives
from tuner.core.space import SearchSpace
from tuner.core.trial import Objective, TrialState
from tuner.errors import PluginError, SpecError
from tuner.figures import Figure, Frame, Option

NAMES = [
    "compare",
    "contour",
    "convergence",
    "curves",
    "gap_epochs",
    "gap_parameters",
    "importances",
    "outcomes",
    "parallel",
    "rungs",
    "slices",
    "timeline",
    "tradeoffs",
    "train_validation",
]

COMPARED = ["tuner.figures.compare_curves:FIGURE", "tuner.figures.compare_importances:FIGURE"]
"""Those of the page that compares studies, which are no figures of a single one."""
ALL = NAMES + COMPARED


def study() -> Frame:
    """Twelve trials of every state, with times, a rule's reason full of markup, and importances."""
    train = [1.0, 0.6, 0.3, 0.2, 0.1, 0.05]
    val = [1.1, 0.8, 0.5, 0.6, 0.8, 1.0]
    curves = {n: curve([t * (1 + n / 5) for t in train], [v * (1 + n / 5) for v in val]) for n in range(12)}
    times = {"started_at": "2026-01-01T00:00:00+00:00", "ended_at": "2026-01-01T00:00:06+00:00"}
    facts: dict[int, dict[str, Any]] = {n: dict(times) for n in curves}
    facts[3] |= {"state": TrialState.STOPPED, "rule": HOSTILE, "reason": HOSTILE, "conclusive": False}
    facts[4] |= {"state": TrialState.STOPPED, "rule": "pruner", "reason": "cut", "conclusive": False}
    facts[5] |= {"state": TrialState.FAILED}
    facts[6] |= {"state": TrialState.RUNNING, "ended_at": None, "value": None, "best": None}
    facts[7] |= {"state": TrialState.PAUSED, "ended_at": None, "interruptions": 2}
    for number in (3, 4, 7):
        curves[number] = curves[number][:2]
        facts[number] |= {"epochs": 2}
    made = frame(curves, facts, name=HOSTILE)
    shares = {
        "value": Importances(12, 9, {"optimizer": 0.6, "rate": 0.3}, {"optimizer": 0.1, "rate": 0.02}),
        "gap": Importances(12, 9, {"layers": 1.0}),
    }
    made = replace(made, importances=shares).selecting([2, 3])
    return replace(
        made,
        beside=(made, replace(made, name="other", objectives=Objectives.of(Objective("val_score", False)))),
    )


@pytest.fixture(scope="module")
def drawn() -> Mapping[str, figures.Drawing]:
    made = study()
    return {name: figures.plot(figures.find(name), made) for name in ALL}


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts(each)


def test_every_figure_of_the_house_is_registered_and_says_what_it_shows() -> None:
    assert set(NAMES) <= set(figures.names())
    for name in NAMES:
        figure = figures.find(name)
        assert figure.name == name
        assert figure.title
        assert len(figure.help.split()) > 15


@pytest.mark.parametrize("name", ALL)
def test_a_drawing_is_plain_json_that_plotly_accepts(name: str, drawn: Mapping[str, Any]) -> None:
    assert drawn[name]["data"], "nothing was drawn"
    assert go.Figure(json.loads(json.dumps(drawn[name], allow_nan=False)))
    assert json.loads(json.dumps(drawn[name])) == drawn[name], "not plain values"


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("theme", figures.THEMES.values(), ids=list(figures.THEMES))
def test_options_of_every_kind_can_be_chosen_in_both_themes(name: str, theme: figures.Theme) -> None:
    figure, made = figures.find(name), study()
    for option in figure.options(made):
        values: list[Any] = [value for value, _ in option.choices][:3]
        if option.kind == "switch":
            values = [True, False]
        elif option.kind == "number":
            values = [option.low, option.high]
        elif option.kind == "choices":
            values = [(), tuple(values)]
        for value in values:
            drawing = figures.plot(figure, made, theme, {option.name: value})
            go.Figure(json.loads(json.dumps(drawing, allow_nan=False)))


@pytest.mark.parametrize("name", ALL)
def test_no_title_of_an_axis_is_shortened(name: str, drawn: Mapping[str, Any]) -> None:
    axes = [each for key, each in drawn[name]["layout"].items() if re.fullmatch(r"[xy]axis\d*", key)]
    assert axes or name == "parallel"
    assert not [axis["title"]["text"] for axis in axes if "…" in axis["title"]["text"]]


@pytest.mark.parametrize("name", ALL)
def test_no_text_of_a_user_is_read_as_markup(name: str, drawn: Mapping[str, Any]) -> None:
    for text in texts(drawn[name]):
        assert "<script" not in text
        assert "%{evil}" not in text
        # Of all markup only what figures write themselves is left.
        assert set(re.findall(r"<[^>]*>", text)) <= {"<br>", "<extra>", "</extra>"}


@pytest.mark.parametrize("name", ALL)
def test_names_of_parameters_and_metrics_are_not_read_as_markup(name: str) -> None:
    made = study()
    named = {old: f'<a href="{old}">%{{evil}}</a>' for old in made.params}
    metric = Objectives.of(Objective("<b>loss</b>"))
    made = replace(
        made,
        objectives=metric,
        space=SearchSpace.compose({named[n]: p for n, p in made.space if not p.when}),
        params={named[n]: column for n, column in made.params.items() if n != "momentum"},
        importances={
            each: Importances(of.trials, of.needed, {named[n]: s for n, s in of.items()})
            for each, of in made.importances.items()
        },
        beside=tuple(replace(each, objectives=metric) for each in made.beside),
    )
    for text in texts(figures.plot(figures.find(name), made)):
        if "|" in text and text.split("|")[0] in name:
            continue  # what tells zooms apart is not shown
        assert "%{evil}" not in text
        assert set(re.findall(r"<[^>]*>", text)) <= {"<br>", "<extra>", "</extra>"}


def test_hostile_texts_are_shown_letter_by_letter() -> None:
    from html import unescape

    assert unescape(figures.safe(HOSTILE)) == HOSTILE
    assert figures.safe("a\n b") == "a b"
    assert figures.safe("hidden units of layer one", 12) == "hidden…r one"
    assert len(unescape(figures.safe("<" * 500))) == 200


@pytest.mark.parametrize(
    "name",
    ["convergence", "tradeoffs", "train_validation", "curves", "slices", "parallel", "timeline", "contour"],
)
def test_every_point_that_stands_for_a_trial_carries_its_number(name: str, drawn: Mapping[str, Any]) -> None:
    made = study()
    numbers = set(made.trials.number.tolist())
    seen: set[int] = set()
    for trace in drawn[name]["data"]:
        if "customdata" in trace:
            assert isinstance(trace["customdata"], list)
            assert len(trace["customdata"]) == len(trace["x"])
            seen |= set(trace["customdata"])
    assert seen <= numbers
    assert {2, 3} <= seen or name in ("parallel", "contour"), "the selected are there"
    assert 2 in seen


def test_zoom_survives_new_data_and_goes_with_another_axis() -> None:
    figure = figures.find("convergence")
    few, more = frame(losses(1.0)), frame(losses(1.0, 0.5))

    def revision(made: Frame, **given: Any) -> str:
        return str(figures.plot(figure, made, given={"log": False} | given)["layout"]["uirevision"])

    assert revision(few) == revision(more)
    assert revision(few) != revision(few, axis="seconds")


EMPTY = {
    "no trials": frame({}),
    "a trial that has just started": frame({}, {0: {"state": TrialState.RUNNING}}),
    "nothing but failures": frame({}, {n: {"state": TrialState.FAILED} for n in range(3)}),
    "one trial that diverged": frame({0: curve([float("nan")], [float("inf")])}),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("empty", EMPTY.values(), ids=list(EMPTY))
def test_a_figure_without_anything_to_show_says_so_in_words(name: str, empty: Frame) -> None:
    drawing = figures.plot(figures.find(name), empty)
    go.Figure(json.loads(json.dumps(drawing, allow_nan=False)))
    said = [each["text"] for each in drawing["layout"].get("annotations", ())]
    assert drawing["data"] or any(len(text.split()) > 6 for text in said)


_CURVE = st.lists(
    st.tuples(st.floats(-1e9, 1e9) | st.floats(), st.floats(-1e9, 1e9) | st.floats()), min_size=0, max_size=7
)
_STATES = st.sampled_from(list(TrialState))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(_CURVE, _STATES, st.booleans()), max_size=14),
    st.sampled_from(ALL),
    st.booleans(),
    st.sets(st.integers(0, 13)),
)
def test_whatever_a_study_holds_can_be_drawn(
    trials: list[Any], name: str, minimize: bool, selected: set[int]
) -> None:
    curves = {n: curve([t for t, _ in each], [v for _, v in each]) for n, (each, _, _) in enumerate(trials)}
    facts = {
        n: {"state": state, "conclusive": conclusive, "started_at": "2026-01-01T00:00:00"}
        for n, (_, state, conclusive) in enumerate(trials)
    }
    made = frame(curves, facts, Objective("val_loss", minimize)).selecting(selected)
    drawing = figures.plot(figures.find(name), made)
    go.Figure(json.loads(json.dumps(drawing, allow_nan=False)))


def test_options_are_read_from_controls_and_addresses() -> None:
    assert Option("log", "", False).read("true") is True
    assert Option("log", "", False).read(False) is False
    assert Option("best", "", 4, low=0, high=20).read("99") == 20
    several = Option("names", "", ("a",), (("a", "a"), ("b", "b"), ("c,d", "c,d")))
    assert several.read("a,b") == ("a", "b")
    assert several.read("c,d") == ("c,d",)
    assert several.read(["b"]) == ("b",)


def test_options_that_a_figure_has_not_are_named_all_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        figures.settings(figures.find("convergence"), frame(losses(1.0)), {"axes": "epochs", "axis": "epoch"})
    assert caught.value.faults == (
        "convergence: unknown option 'axes'; known: axis, log, what; did you mean 'axis'?",
        "convergence: axis: unknown choice 'epoch'; known: epochs, seconds, trials; did you mean 'epochs'?",
    )


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(SpecError, match="best: a number is needed, found 'many'"):
        figures.settings(figures.find("curves"), frame(losses(1.0)), {"best": "many"})


def test_parameters_come_with_the_most_important_as_default() -> None:
    made = study()
    options = {option.name: option for option in figures.find("contour").options(made)}
    assert (options["across"].default, options["upward"].default) == ("optimizer", "rate")
    gap = {option.name: option for option in figures.find("gap_parameters").options(made)}
    assert gap["parameters"].default[0] == "layers"


def test_a_figure_of_ones_own_is_found_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from tuner.figures import Figure\n"
        "MINE = Figure('mine', 'Mine', 'How many.', lambda frame: len(frame),\n"
        "              lambda count, theme: {'data': [{'type': 'bar', 'y': [count]}],\n"
        "                                    'layout': theme.layout()})\n"
        "OTHER = 3\n"
    )
    mine = figures.find("./mine.py:MINE", tmp_path)
    assert isinstance(mine, Figure)
    assert figures.plot(mine, frame(losses(1.0, 2.0)))["data"][0]["y"] == [2]
    with pytest.raises(PluginError, match=r"is no tuner.figures.Figure, found int"):
        figures.find("./mine.py:OTHER", tmp_path)


def test_an_unknown_figure_is_told_with_the_near_names() -> None:
    with pytest.raises(PluginError, match="did you mean 'convergence'"):
        figures.find("convergance")


@pytest.mark.parametrize("amount", [1, 20, 2000])
def test_what_a_figure_says_in_place_of_a_drawing_fits_on_a_narrow_screen(amount: int) -> None:
    said = figures.LIGHT.empty("<b> " + "a word " * amount)["layout"]["annotations"][0]["text"]
    lines = said.split("<br>")
    assert lines[0].startswith("&lt;b&gt; a word")
    assert len(lines) <= 6
    assert max(len(line) for line in lines) <= 60
