"""Numbers of a trainer's own, further objectives and scores are everywhere that losses are."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from math import nan
from pathlib import Path

import pytest
from plotly.io.json import to_json_plotly

from tuner.core.ports import Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Trial, TrialRecord, TrialState
from tuner.figures import THEMES
from tuner.store import Database
from tuner.store.columns import Reader
from tuner.web import pages, table
from tuner.web.live import Live
from tuner.web.renderer import PageRenderer
from tuner.web.route import Route

SPEC = StudySpec.parse(
    {
        "name": "own",
        "trainer": {"epochs": 3, "use": "./own.py:train"},
        "objective": {"metric": "val_f1", "direction": "maximize", "also": {"bytes": "minimize"}},
        "space": {
            "rate": {"type": "float", "low": 0.1, "high": 1.0, "default": 0.5},
            "norm": {"type": "choice", "choices": [True, False], "default": False},
        },
    }
)


def reading(epoch: int, number: int) -> Reading:
    f1 = 0.5 + 0.1 * epoch + 0.01 * number
    extras = {"val_f1": f1, "train_f1": f1 + 0.05, "bytes": 100.0 - number, "val_f1_se": 0.01, "cpu": 7.0}
    return Reading(epoch, nan, nan, extras=extras)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    url = f"sqlite:///{tmp_path / 'tuner.db'}"
    with Database.open(url, create=True) as database:
        store = database.create_study("own", SPEC, {})
        opened = Live(Reader(url))
        assert opened.snapshot("own").frame.measured == [], "before anything was trained"
        space = SPEC.search_space()
        trials = [Trial(n, space.defaults({"rate": 0.1 + n / 10}), 0) for n in range(4)]
        for trial in trials:
            curve = [reading(epoch, trial.number) for epoch in (1, 2, 3)]
            best = curve[-1]
            over = TrialRecord(
                trial.number, trial.params, TrialState.FINISHED, best.extras["val_f1"], best, 3, True
            )
            store.record(Turn(started=[trial], readings=[(trial.number, curve[0])], seconds=1.0))
            opened.snapshot("own")
            rest = [(trial.number, each) for each in curve[1:]]
            store.record(Turn(readings=rest, ended=[over], seconds=1.0))
    yield opened
    opened.close()


def test_they_are_in_the_frame_as_it_grows_and_as_it_is_read_at_once(live: Live) -> None:
    grown = live.snapshot("own").frame
    at_once = Live(live.reader).snapshot("own").frame
    assert grown.measured == at_once.measured == ["val_f1", "bytes", "train_f1", "cpu"]
    assert dict(grown.series) == {"f1": ("train_f1", "val_f1"), "bytes": ("bytes",), "cpu": ("cpu",)}
    for name in grown.measured:
        assert grown.reading(name).tolist() == at_once.reading(name).tolist()
        assert grown.at_best(name).tolist() == [reading(3, n).extras[name] for n in range(4)]


def test_they_are_in_the_table_and_in_the_file_of_curves(live: Live) -> None:
    found = table.columns(live.snapshot("own"))
    columns = dict(zip(found["names"], found["columns"], strict=True))
    assert columns["val_f1"] == pytest.approx([0.8, 0.81, 0.82, 0.83])
    assert columns["bytes"] == [100.0, 99.0, 98.0, 97.0]
    assert columns["norm"] == ["false"] * 4
    assert found["order"] == ["val_f1", False]
    rows = list(csv.DictReader(io.StringIO("".join(table.curves_csv(live.snapshot("own").frame)))))
    assert {row["cpu"] for row in rows} == {"7.0"}
    assert [float(row["val_f1"]) for row in rows[:3]] == pytest.approx([0.6, 0.7, 0.8])


@pytest.mark.parametrize("theme", THEMES.values(), ids=list(THEMES))
def test_no_page_asks_for_what_is_not_there(live: Live, theme: object) -> None:
    renderer = PageRenderer(live, pages.load())
    for page in renderer.pages.pages:
        route = Route(study="own", page=page.name, trial=2 if page.file.of == "trial" else None)
        state = renderer.state(route)
        body, _ = renderer.body(route, state)
        text = to_json_plotly(body)
        assert "unknown" not in text
        assert "choose another" not in text
        update = renderer.update(route, state, {}, at_once=True)
        drawn = {key: piece for key, piece in update.pieces.items() if isinstance(piece, dict)}
        if page.name == "overview":
            assert drawn["curves"]["layout"]["yaxis"]["title"]["text"] == "f1"
            assert drawn["train_validation"]["data"]
            assert "the study's front" in [trace["name"] for trace in drawn["tradeoffs"]["data"]]
        if page.name == "trial":
            assert "0.82" in text
            assert "98" in text
            assert len(drawn["readings"]["data"]) >= 4


def test_a_default_of_false_is_no_change(live: Live) -> None:
    renderer = PageRenderer(live, pages.load())
    route = Route(study="own", page="trial", trial=0)
    body, _ = renderer.body(route, renderer.state(route))
    assert '"changed"' not in to_json_plotly(body)
    route = replace(route, trial=3)
    body, _ = renderer.body(route, renderer.state(route))
    assert to_json_plotly(body).count('"changed"') == 1
