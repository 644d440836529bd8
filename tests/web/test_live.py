from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.web.made import make_study, spec
from tuner.core.ports import Turn
from tuner.core.trial import Reading, Trial, TrialRecord, TrialState
from tuner.errors import StoreError
from tuner.figures import Frame
from tuner.store import Database
from tuner.store.columns import Reader
from tuner.web import table, verdict
from tuner.web.live import Live


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
            spec("made", 30, 6).goal(),
        )
    frame = live.look("made").frame
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
        store = database.create_study("grows", made, {}, "models")
        assert len(live.look("grows").frame) == 0
        trials = [Trial(n, space.defaults({"dropout": n / 20}), 0) for n in range(3)]
        store.record(
            Turn(started=trials[:2], readings=[(0, reading(1, 0.9)), (1, reading(1, 0.8))], seconds=1.0)
        )
        look = live.look("grows")
        assert look.frame.trials.value.tolist() == [0.9, 0.8]
        assert look.summary.is_driven
        first = look.version
        assert live.look("grows").version == first
        best = reading(2, 0.5)
        over = TrialRecord(0, trials[0].params, TrialState.FINISHED, 0.5, best, 2, True, seconds=2.0)
        store.record(
            Turn(started=trials[2:], readings=[(0, best), (1, reading(2, 0.7))], ended=[over], seconds=2.0)
        )
        second = live.look("grows")
        assert second.version != first
        assert table.columns(second)["columns"][0] == [0, 1, 2]
        seen = int(second.changed.max())
        store.record(Turn(restarted=[1], started=[trials[1]], readings=[(1, reading(1, 0.6))], seconds=3.0))
        third = live.look("grows")
        assert third.frame.trials.value[1] == 0.6
        assert 1 in table.columns(third, seen)["columns"][0]
        assert 0 not in table.columns(third, seen)["columns"][0]
        store.close()
    fresh = Live(Reader(f"sqlite:///{path}"))
    again = fresh.look("grows").frame
    fresh.close()
    for name in ("row", "epoch", "val_loss"):
        np.testing.assert_array_equal(getattr(again.epochs, name), getattr(third.frame.epochs, name))
    np.testing.assert_array_equal(again.trials.value, third.frame.trials.value)


def reading(epoch: int, loss: float) -> Reading:
    return Reading(epoch, train_loss=loss / 2, val_loss=loss, seconds=1.0)


def test_another_study_of_the_same_name_is_read_anew(path: Path, live: Live) -> None:
    url = make_study(path, "made", 12, 3)
    assert len(live.look("made").frame) == 12
    with Database.open(url) as database:
        database.delete_study("made")
    make_study(path, "made", 5, 3, seed=1)
    assert len(live.look("made").frame) == 5


def test_reading_leaves_the_database_as_it_was(path: Path, live: Live) -> None:
    make_study(path, "made", 12, 3)
    before = path.read_bytes()
    live.look("made")
    live.studies()
    assert path.read_bytes() == before


def test_tables_of_an_earlier_version_are_left_alone_and_told(path: Path, live: Live) -> None:
    make_study(path, "made", 5, 3)
    with sqlite3.connect(path) as earlier:
        earlier.execute("UPDATE tuner_schema SET version = 1")
    earlier.close()
    with pytest.raises(StoreError, match="`tune list` brings them to version"):
        live.look("made")


def test_verdict_tells_a_flat_search_from_one_that_improves(path: Path, live: Live) -> None:
    make_study(path, "made", 60, 4)
    frame = live.look("made").frame
    last = int(frame.trials.number[frame.best or 0])
    assert verdict.improvement(frame.only(range(max(last + 1, 20)))).short in (
        "Yes",
        "Hardly",
        "Too early to say",
    )
    assert verdict.choice(frame).trial == last
    assert str(last) in verdict.fitting(frame).text
    early = verdict.answers(frame.only([]))
    assert {answer.short for answer in early} == {"Too early to say"}
