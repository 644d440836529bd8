from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plotly.io.json import to_json_plotly

import tuner
from tests.figures.parts import frame as framed
from tests.judging.made import CLEAR, confirmed
from tests.web.made import make_study, spec
from tuner.cli.contract import curved_trial_table
from tuner.cli.show import overfitting as in_a_terminal
from tuner.core import words
from tuner.core.baseline import Baseline
from tuner.core.budget import StudyState
from tuner.core.ports import Turn
from tuner.core.spec import IMPORTED, StudySpec
from tuner.core.trial import Objective, Reading, Trial, TrialRecord, TrialState
from tuner.errors import StoreError
from tuner.figures import Frame
from tuner.findings import Evidence
from tuner.judging.verdict import Verdict
from tuner.machine import MachineReading
from tuner.store import Database, lease
from tuner.store.columns import Reader
from tuner.store.values import CONFIRMS
from tuner.web import answers, pages, parts, table
from tuner.web.insights import Insights
from tuner.web.live import Live
from tuner.web.renderer import PageRenderer, StudyPageState
from tuner.web.route import Route


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tuner.db"


@pytest.fixture
def live(path: Path) -> Iterator[Live]:
    opened = Live(Reader(f"sqlite:///{path}"))
    yield opened
    opened.close()


def test_a_look_gives_what_the_store_gives(path: Path, live: Live) -> None:
    url = make_study(path, "made", 30, 6)
    with Database.open(url) as database:
        whole = Frame.of(
            database.records("made"),
            database.curves("made"),
            spec("made", 30, 6).search_space(),
            spec("made", 30, 6).primary_objective(),
        )
    frame = live.snapshot("made").frame
    for name in ("number", "state", "value", "epochs", "best_epoch", "train_loss", "seconds", "rule"):
        np.testing.assert_array_equal(getattr(frame.trials, name), getattr(whole.trials, name))
    for name in ("row", "epoch", "train_loss", "val_loss", "grad_norm", "value"):
        np.testing.assert_array_equal(getattr(frame.epochs, name), getattr(whole.epochs, name))
    for name, column in whole.params.items():
        np.testing.assert_array_equal(frame.params[name], column)


def test_a_study_that_grows_is_read_bit_by_bit_and_equals_one_read_at_once(path: Path, live: Live) -> None:
    made = spec("grows", 9, 4)
    space = made.search_space()
    with Database.open(f"sqlite:///{path}", create=True) as database:
        store = database.create_study("grows", made, {})
        assert len(live.snapshot("grows").frame) == 0
        trials = [Trial(n, space.defaults({"dropout": n / 20}), 0) for n in range(3)]
        store.record(
            Turn(started=trials[:2], readings=[(0, reading(1, 0.9)), (1, reading(1, 0.8))], seconds=1.0)
        )
        snapshot = live.snapshot("grows")
        assert snapshot.frame.trials.value.tolist() == [0.9, 0.8]
        assert snapshot.summary.is_driven
        live.settle("grows")  # what is computed meanwhile makes another version
        first = live.snapshot("grows").version
        assert live.snapshot("grows").version == first
        best = reading(2, 0.5)
        over = TrialRecord(0, trials[0].params, TrialState.FINISHED, 0.5, best, 2, True, seconds=2.0)
        store.record(
            Turn(started=trials[2:], readings=[(0, best), (1, reading(2, 0.7))], ended=[over], seconds=2.0)
        )
        second = live.snapshot("grows")
        assert second.version != first
        assert table.columns(second)["columns"][0] == [0, 1, 2]
        assert table.columns(second, most=2)["columns"][0] == [0, 1]
        seen = int(second.changed.max())
        store.record(Turn(restarted=[1], started=[trials[1]], readings=[(1, reading(1, 0.6))], seconds=3.0))
        third = live.snapshot("grows")
        assert third.frame.trials.value[1] == 0.6
        assert 1 in table.columns(third, seen)["columns"][0]
        assert 0 not in table.columns(third, seen)["columns"][0]
        store.close()
    fresh = Live(Reader(f"sqlite:///{path}"))
    again = fresh.snapshot("grows").frame
    fresh.close()
    for name in ("row", "epoch", "val_loss"):
        np.testing.assert_array_equal(getattr(again.epochs, name), getattr(third.frame.epochs, name))
    np.testing.assert_array_equal(again.trials.value, third.frame.trials.value)


def reading(epoch: int, loss: float) -> Reading:
    return Reading(epoch, train_loss=loss / 2, val_loss=loss, seconds=1.0)


def test_over_fitting_is_told_of_ones_own_numbers_where_there_are_no_losses(odd: Path) -> None:
    looked = Live(Reader(f"sqlite:///{odd}"))
    frame = looked.snapshot("own").frame
    looked.close()
    best = frame.trials.number[frame.ranking[0]]
    answer = answers.fitting(frame, int(best))
    assert answer.short == "No"
    assert "val_f1 does not fall while train_f1 rises. At its best epoch train_f1 0." in answer.text
    value = frame.epochs.value - 0.1 * np.maximum(frame.epochs.epoch - 4, 0)
    answer = answers.fitting(replace(frame, epochs=replace(frame.epochs, value=value)), int(best))
    assert answer.short in ("Yes", "A little")
    assert re.search(r"from epoch \d on val_f1 falls, by ", answer.text)
    without = replace(frame, epochs=replace(frame.epochs, extras={}))
    answer = answers.fitting(without, int(best))
    assert answer.text.endswith("no training loss, and no training side of what is searched for.")


def test_over_fitting_is_told_of_the_number_that_is_searched_for_among_several_of_its_name() -> None:
    train, val = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95], [0.5, 0.6, 0.55, 0.5, 0.4, 0.3]
    for metric, more in (("f1", {}), ("val_f1", {"f1": 0.1})):
        curve = [
            Reading(i, math.nan, math.nan, extras={**more, metric: v, "train_f1": t})
            for i, (t, v) in enumerate(zip(train, val, strict=True), 1)
        ]
        facts = {0: {"best": curve[1], "value": 0.6}}
        answer = answers.fitting(framed({0: curve}, facts, Objective(metric, minimize=False)), 0)
        assert answer.short == "Yes"
        assert f"from epoch 2 on {metric} falls, by " in answer.text
        assert f"At its best epoch train_f1 0.6, {metric} 0.6." in answer.text


def test_another_study_of_the_same_name_is_read_anew(path: Path, live: Live) -> None:
    url = make_study(path, "made", 12, 3)
    assert len(live.snapshot("made").frame) == 12
    with Database.open(url) as database:
        database.delete_study("made")
    make_study(path, "made", 5, 3, seed=1)
    assert len(live.snapshot("made").frame) == 5


def test_reading_leaves_the_database_as_it_was(path: Path, live: Live) -> None:
    make_study(path, "made", 12, 3)
    before = path.read_bytes()
    live.snapshot("made")
    live.studies()
    assert path.read_bytes() == before


def test_tables_of_an_earlier_version_are_left_alone_and_told(path: Path, live: Live) -> None:
    make_study(path, "made", 5, 3)
    with sqlite3.connect(path) as earlier:
        earlier.execute("UPDATE tuner_schema SET version = 1")
    earlier.close()
    with pytest.raises(StoreError, match="`tune list` brings them to version"):
        live.snapshot("made")


def test_verdict_tells_a_flat_search_from_one_that_improves(path: Path, live: Live) -> None:
    make_study(path, "made", 60, 4)
    frame = live.snapshot("made").frame
    last = int(frame.trials.number[frame.best or 0])
    assert answers.improvement(frame.only(range(max(last + 1, 20)))).short in (
        "Yes",
        "Hardly",
        "Too early to say",
    )
    verdict = live.snapshot("made").verdict
    assert answers.choice(verdict).trial == last
    trees = Baseline("boosted trees", "accuracy", 0.3, 0.9, 100, kind="boosted_trees")
    assert "boosted trees 0.3 (0.9)" in answers.choice(verdict, [trees]).text
    assert str(last) in answers.fitting(frame, last).text
    early = answers.answers(frame.only([]), verdict, live.snapshot("made").summary)
    assert {answer.short for answer in early[:3]} == {"Too early to say"}


@pytest.mark.parametrize(
    ("name", "short", "told"),
    [
        ("failed", "Look at why they failed", "6 of 6 trials failed with ValueError: no such file"),
        ("three", "Confirm it", "`tune confirm three`"),
        ("one", "Search on", "`tune resume one --trials N` goes on with the study, N above 1."),
        ("none", "Search on", "`tune resume none`"),
    ],
)
def test_what_to_do_next_follows_from_how_the_study_stands(
    odd: Path, name: str, short: str, told: str
) -> None:
    looked = Live(Reader(f"sqlite:///{odd}"))
    snapshot = looked.snapshot(name)
    answer = answers.answers(snapshot.frame, snapshot.verdict, snapshot.summary)[-1]
    looked.close()
    assert answer.short == short
    assert told in answer.text
    running = replace(snapshot.verdict, is_running=True)
    assert answers.next_step(snapshot.frame, running, snapshot.summary).short == "Wait"


def test_what_to_do_next_is_a_command_that_the_study_takes(odd: Path) -> None:
    looked = Live(Reader(f"sqlite:///{odd}"))
    snapshot = looked.snapshot("three")
    looked.close()

    def told(verdict: Verdict = snapshot.verdict, **changed: Any) -> tuple[str, str]:
        summary = replace(snapshot.summary, **changed)
        answer = answers.next_step(snapshot.frame, verdict, summary)
        return answer.short, answer.text

    assert told() == ("Confirm it", "`tune confirm three` tells luck from gain.")
    cut = StudyState.INTERRUPTED
    assert told(state=cut) == ("Search on", "`tune resume three` goes on with the study.")
    imported = {**snapshot.summary.spec, "trainer": {"use": IMPORTED}}
    new = "`tune resume study.toml --name three --allow-changes` goes on with the study."
    assert told(state=cut, spec=imported) == ("Search on", new)
    first = replace(snapshot.verdict, trials=1)
    timed = {**snapshot.summary.spec, "budget": {"seconds": 10.0}}
    more = "`tune resume three --seconds S` goes on with the study, S above 24."
    assert told(first, spec=timed, seconds=24.0) == ("Search on", more)
    assert snapshot.verdict.best is not None
    short = replace(snapshot.verdict, best=replace(snapshot.verdict.best, conclusive=False))
    assert told(short)[0] == "Search on"
    its = told(name="three~confirm", facts={CONFIRMS: "three"})
    assert its == (
        "See what it confirms",
        "Its trainings judge 'three': `tune confirm three` says what to take.",
    )
    unkept = replace(snapshot.verdict, confirmation=confirmed(CLEAR))
    assert told(unkept)[1] == "`tune best three` shows its settings; its model was not kept."
    kept = replace(snapshot.verdict, confirmation=replace(confirmed(CLEAR), model_path="8"))
    assert told(kept)[1] == "`tune export three DIR` writes the model and its card."


def test_findings_and_importances_come_behind_the_first_look(path: Path, live: Live) -> None:
    make_study(path, "made", 120, 6)
    first = live.snapshot("made")
    live.settle("made")
    later = live.snapshot("made")
    assert later.version != first.version
    assert set(later.frame.importances) == {"value", "gap"}
    assert later.findings
    assert live.snapshot("made") is later


def test_nothing_is_computed_any_more_once_the_database_is_closed(path: Path) -> None:
    live = Live(Reader(make_study(path, "made", 120, 6)))
    live.snapshot("made")
    insights = live.study("made").insights
    thread = insights._thread
    assert thread is not None
    live.close()
    assert not thread.is_alive()  # a process that ends aborts a thread within compiled code
    insights._next = 0.0
    insights.of(Evidence(live.snapshot("made").frame, 6, 0.5), lambda _: [])
    assert insights._thread is thread
    live.reader.close()


def test_what_an_end_or_a_confirmation_changes_is_not_waited_for(path: Path, live: Live) -> None:
    make_study(path, "made", 120, 6)
    snapshot = live.snapshot("made")
    insights = Insights()

    def found(trials: int, spread: float | None = None, *, is_driven: bool) -> int:
        frame = snapshot.frame.only(range(trials))
        insights.of(Evidence(frame, 6, spread), lambda _: [], is_driven=is_driven)
        insights.settle(None)
        return insights._of[0]

    first = found(60, is_driven=True)
    assert found(90, is_driven=True) == first  # good for some seconds
    last = found(120, is_driven=False)
    assert last > first
    assert found(90, is_driven=False) == last  # somebody else's trials: looked at in time
    assert found(90, 0.1, is_driven=False) != last


def test_a_study_with_constraints_and_further_objectives_has_their_numbers_bit_by_bit(
    path: Path, live: Live
) -> None:
    table = spec("bound", 9, 4).to_table()
    table["objective"] |= {"also": {"bytes": "minimize"}, "at_most": {"latency": 2.0, "gap": 0.5}}
    made = StudySpec.parse(table)
    params = made.search_space().defaults()

    def told(epoch: int, loss: float, size: float, latency: float) -> Reading:
        return Reading(epoch, 0.4, loss, extras={"bytes": size, "latency": latency})

    with Database.open(f"sqlite:///{path}", create=True) as database:
        store = database.create_study("bound", made, {})
        trials = [Trial(n, params, 0) for n in range(3)]
        first = [(0, told(1, 0.5, 9, 3.0)), (1, told(1, 0.8, 7, 1.0))]
        store.record(Turn(started=trials, readings=first, seconds=1.0))
        begun = live.snapshot("bound").frame
        assert (begun.best, begun.feasible.tolist()) == (1, [False, True, False])
        store.record(Turn(readings=[(1, told(2, 0.7, 6, 1.0)), (2, told(1, 0.9, 2, 1.0))], seconds=2.0))
        frame = live.snapshot("bound").frame
        assert frame.trials.named["bytes"].tolist() == [9, 6, 2]
        assert frame.epochs.extras["latency"].tolist() == [3, 1, 1, 1]
        assert frame.trials.number[frame.front].tolist() == [1, 2]
        store.close()


def test_the_page_of_a_trial_of_folds_shows_how_sure_its_means_are(path: Path, live: Live) -> None:
    make_study(path, "made", 12, 3)
    extras = '{"val_loss_se": 0.125, "gap_se": NaN, "val_loss": 7}'
    with sqlite3.connect(path) as stored:
        of = "SELECT trial_id FROM tuner_trials WHERE number = 3"
        stored.execute(f"UPDATE tuner_epochs SET extras = ? WHERE trial_id = ({of})", (extras,))
    stored.close()
    renderer = PageRenderer(live, pages.load())
    route = Route(study="made", page="trial", trial=3)
    state = renderer.state(route)
    assert isinstance(state, StudyPageState)
    assert state.frame.errors["val_loss"].tolist() == [0.125] * 3
    body = to_json_plotly(renderer.body(route, state)[0])
    assert " 0.125 (standard error)" in body
    assert "one standard error" in body
    other = replace(route, trial=4)
    assert "standard error" not in to_json_plotly(renderer.body(other, renderer.state(other))[0])


def test_the_verdict_says_which_way_a_setting_makes_the_gap_smaller(path: Path, live: Live) -> None:
    make_study(path, "made", 200, 6)
    live.snapshot("made")
    live.settle("made")
    told = answers.drivers(live.snapshot("made").frame, most=10)
    assert re.search(r"width \([^)]*; lower: smaller gap\)", told)


def test_a_running_study_says_what_its_machine_does_and_since_when(
    path: Path, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 3600.0)  # nothing is read of this machine meanwhile
    told = MachineReading("", "ada", 4, 1.75, 3 * 2**30, 1.9, 2, 6 * 2**30, 16 * 2**30)
    renderer = PageRenderer(live, pages.load())
    route = Route(study="runs")

    def reads(at: datetime) -> tuple[str, str]:
        reading = replace(told, at=at.isoformat(timespec="seconds"))
        with sqlite3.connect(path) as stored:
            stored.execute("UPDATE tuner_lease SET machine = ?", (reading.to_text(),))
        stored.close()
        state = renderer.state(route)
        assert isinstance(state, StudyPageState)
        return state.version, to_json_plotly(parts.header(state.snapshot))

    with Database.open(f"sqlite:///{path}", create=True) as database:
        store = database.create_study("runs", spec("runs", 9, 4), {"workers": 4, "rows": 1})
        params = spec("runs", 9, 4).search_space().defaults()
        store.record(Turn(started=[Trial(n, params, 0) for n in range(3)], seconds=1.0))
        before, header = reads(datetime.now(UTC))
        assert "; 3 of 4 workers busy" in header
        assert "ada: the study keeps 1.8 cores busy" in header
        assert "no longer up to date" not in header
        snapshot = live.snapshot("runs")
        after, header = reads(datetime.now(UTC) - timedelta(hours=1))
        assert "no longer up to date: ada" in header
        assert after != before
        assert live.snapshot("runs").version == snapshot.version  # no figure is drawn again for it
        store.close()
    assert "ada" not in to_json_plotly(parts.header(live.snapshot("runs")))


def copies(component: Any) -> list[str]:
    """What the buttons of a part of a page copy."""
    return [
        found.replace('\\"', '"')
        for found in re.findall(r'"data-copy":"((?:[^"\\\\]|\\\\.)*)"', to_json_plotly(component))
    ]


def panel_of(renderer: PageRenderer, name: str, number: int) -> str:
    return str(to_json_plotly(renderer.panel(Route(study=name, open=number))))


def test_what_may_be_asked_of_a_running_study_is_a_command_to_copy_without_the_flag(
    path: Path, live: Live
) -> None:
    renderer = PageRenderer(live, pages.load())
    with Database.open(f"sqlite:///{path}", create=True) as database:
        store = database.create_study("runs it", spec("runs it", 9, 4), {})
        store.record(Turn(started=[Trial(0, {}, 0)], seconds=1.0))
        snapshot = live.snapshot("runs it")
        told = copies(parts.header(snapshot))
        assert told == [
            "tune stop 'runs it'",
            "tune raise 'runs it' --trials 18",
            "tune comment 'runs it' TEXT",
        ]
        assert copies(parts.header(snapshot, allows=True)) == []
        end = "tune stop 'runs it' --trial 0"
        route = Route(study="runs it", page="trial", trial=0)
        page = to_json_plotly(renderer.body(route, renderer.state(route))[0])
        assert end in panel_of(renderer, "runs it", 0)
        assert end in page
        store.close()
    live.settle("runs it")
    assert copies(parts.header(live.snapshot("runs it")))[-2:] == [
        "tune rename 'runs it' NEW",
        "tune delete 'runs it'",
    ]
    assert end not in panel_of(renderer, "runs it", 0)


def test_a_large_limit_is_doubled_to_all_of_its_digits(path: Path, live: Live) -> None:
    with Database.open(f"sqlite:///{path}", create=True) as database:
        limits = {"trials": 1_234_567, "epochs": 10**9, "seconds": 1e6}
        file = {**spec("large", 9, 4).to_table(), "budget": limits}
        store = database.create_study("large", StudySpec.parse(file), {})
        store.record(Turn(seconds=1.0))
        snapshot = live.snapshot("large")
        raised = [each for each in copies(parts.header(snapshot)) if "raise" in each]
        assert raised == [
            "tune raise large --trials 2469134",
            "tune raise large --seconds 2000000",
            "tune raise large --epochs 2000000000",
        ]
        assert "double its budget to 2,469,134 trials" in to_json_plotly(parts.header(snapshot, allows=True))
        store.close()


def test_the_page_and_the_terminal_say_alike_that_a_curve_is_too_short(path: Path, live: Live) -> None:
    """Eight epochs, of which only four have both losses, are too few; eight whole ones are not."""
    with Database.open(f"sqlite:///{path}", create=True) as database:
        store = database.create_study("short", spec("short", 2, 8), {})
        for number in range(2):
            losses = [1 / (1 + e) if number or e > 4 else math.nan for e in range(1, 9)]
            store.record(Turn(started=[Trial(number, {}, number)]))
            store.record(Turn(readings=[(number, Reading(e, x, x)) for e, x in enumerate(losses, 1)]))
        store.close()
    study, renderer = tuner.load("short", storage=f"sqlite:///{path}"), PageRenderer(live, pages.load())
    for number, told in enumerate(("too few epochs with both losses to tell", "it does not over-fit")):
        assert told in in_a_terminal(study.trial(number))
        assert told in panel_of(renderer, "short", number)


def test_a_running_confirmation_is_told_on_the_page_of_its_study(path: Path, live: Live) -> None:
    url = make_study(path, "made", 60, 4)
    before = live.snapshot("made")
    assert before.confirming is None
    with Database.open(url) as database:
        repeats = spec("made~confirm", 5, 4)
        store = database.create_study("made~confirm", repeats, {CONFIRMS: "made"})
        params = repeats.search_space().defaults()
        store.record(Turn(started=[Trial(n, params, 0) for n in range(2)], seconds=1.0))
        best = reading(1, 0.5)
        over = TrialRecord(0, params, TrialState.FINISHED, 0.5, best, 1, conclusive=True, seconds=2.0)
        store.record(Turn(readings=[(0, best)], ended=[over], seconds=2.0))
        running = live.snapshot("made")
        assert running.version != before.version
        header, tiles = (
            to_json_plotly(each) for each in (parts.header(running), parts.verdict_tiles(running))
        )
        assert "it is being confirmed" in header
        assert "1 of 5 trainings are over" in header
        assert "It is being confirmed: 1 of 5 trainings are over." in tiles
        assert "Confirm it" not in tiles
        assert copies(parts.header(running))[0] == "tune stop made"
        assert "raise" not in to_json_plotly(parts.header(running, allows=True))
        store.close()
    over_ = live.snapshot("made")
    assert over_.confirming is None
    assert over_.version != running.version


def test_over_fitting_is_that_of_tune_show(odd: Path) -> None:
    name, live = "over-fitted", Live(Reader(f"sqlite:///{odd}"))
    study, snapshot = tuner.load(name, storage=f"sqlite:///{odd}"), live.snapshot(name)
    sent = table.columns(snapshot)
    shown = dict(zip(sent["names"], sent["columns"], strict=True))
    few = table.columns(snapshot, most=7)
    assert dict(zip(few["names"], few["columns"], strict=True))["onset_epoch"] == shown["onset_epoch"][:7]
    renderer, seen = PageRenderer(live, pages.load()), 0
    for at, number in enumerate(shown["number"]):
        trial = curved_trial_table(study.trial(number))
        onset, last = trial["onset_epoch"], trial["gap_last"]
        assert shown["onset_epoch"][at] == onset
        assert shown["rise"][at] == pytest.approx(trial["rise"], rel=1e-7)
        assert shown["gap_last"][at] == (None if math.isnan(last) else pytest.approx(last, rel=1e-7))
        if onset is not None and not seen:
            seen = number
            told = f"from epoch {onset} on: validation loss has risen by {words.percent(trial['rise'])} since"
            assert told in in_a_terminal(study.trial(number))
            route = Route(study=name, page="trial", trial=number)
            page = to_json_plotly(renderer.body(route, renderer.state(route))[0])
            for text in (panel_of(renderer, name, number), page):
                assert told in text
                assert '"gap at the end"' in text
                assert f'"{words.number(last)}"' in text
    live.close()
    assert seen


def test_words_of_comments_lead_to_the_trials_that_have_them(path: Path, live: Live) -> None:
    with Database.open(make_study(path, "made", 12, 3)) as database:
        database.comment("made", "#late #wide-nets", 3)
        database.comment("made", "see #wide-nets, not 50#60 <b>, nor #of-no-trial")
    snapshot = live.snapshot("made")
    header, tools = (
        to_json_plotly(each).replace("\\u0026", "&")
        for each in (parts.header(snapshot), parts.trials_tools(snapshot))
    )
    assert "?study=made&page=trials&q=%23wide-nets" in header
    assert "60" not in "".join(re.findall('q=[^"]*', header))
    assert "#of-no-trial" in header
    assert "q=%23of-no-trial" not in header + tools
    assert "q=%23late" in tools
    assert "q=%23wide-nets" in tools
    allowed = to_json_plotly(parts.header(snapshot, allows=True))
    assert "a comment on this study" in allowed
    assert "see #wide-nets, not 50#60" in allowed


def test_a_log_that_grows_makes_another_version_of_the_page_and_of_the_panel(path: Path, live: Live) -> None:
    renderer = PageRenderer(live, pages.load())
    make_study(path, "made", 12, 3)
    route = Route(study="made", page="trial", trial=3)
    before, panel = renderer.state(route).version, renderer.panel(Route(study="made", open=3))
    log = live.reader.artifacts("made").log(3)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("epoch 1 is done")
    assert live.reader.log_size("made", 3) == 15
    assert renderer.state(route).version != before
    later = renderer.panel(Route(study="made", open=3))
    assert getattr(panel, "data-digest") != getattr(later, "data-digest")
    assert "epoch 1 is done" in to_json_plotly(later)
