from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from tuner.core.budget import StudyState
from tuner.core.ports import Store, Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Pause, Reading, Stop, Trial, TrialRecord, TrialState
from tuner.errors import StoreError
from tuner.store import Database, StudyStore
from tuner.store.connect import connect, parse, writing
from tuner.store.connect import reading as reading_engine
from tuner.store.schema import tuner_studies

Trials = Callable[..., Trial]
Readings = Callable[..., Reading]
Ended = Callable[..., TrialRecord]


def test_a_study_store_is_a_store(store: StudyStore) -> None:
    port: Store = store
    port.record(Turn())


def test_a_turn_is_read_back(
    database: Database, store: StudyStore, trial: Trials, reading: Readings, ended: Ended
) -> None:
    first, second = trial(0), trial(1, optimizer="momentum")
    curve = [reading(1, 0.75), reading(2, 0.5), reading(3, 0.625)]
    record = ended(first, curve, model_path=str(store.artifacts.path(0)))
    store.record(
        Turn(started=[first, second], readings=[(0, r) for r in curve] + [(1, curve[0])], seconds=1.5)
    )
    store.record(Turn(ended=[record], seconds=2.5))
    over, running = database.records("nets")
    assert over.started_at is not None
    assert over.ended_at is not None
    assert over.started_at <= over.ended_at
    assert (over.number, over.params, over.state, over.value, over.best, over.epochs) == (
        0, first.params, TrialState.FINISHED, 0.5, curve[1], 3,
    )  # fmt: skip
    assert (over.conclusive, over.seconds, over.interruptions, over.model_path) == (
        True,
        1.5,
        0,
        str(store.artifacts.path(0)),
    )
    assert list(running.params) == list(second.params)
    assert (running.state, running.value, running.best) == (TrialState.RUNNING, 0.75, curve[0])
    assert (running.epochs, running.seconds, running.ended_at) == (1, 0.125, None)
    assert database.curves("nets") == {0: curve, 1: curve[:1]}
    assert database.curves("nets", 1) == {1: curve[:1]}
    assert database.curves("nets", 7) == {}
    assert database.study("nets").seconds == 2.5


def test_a_trial_may_begin_and_end_in_one_turn(
    database: Database, store: StudyStore, trial: Trials, reading: Readings, ended: Ended
) -> None:
    curve = [reading(1, 0.5)]
    store.record(Turn(started=[trial(0)], readings=[(0, curve[0])], ended=[ended(trial(0), curve)]))
    assert [r.state for r in database.records("nets")] == [TrialState.FINISHED]


def test_trials_of_one_turn_get_their_own_numbers_in_any_order(
    database: Database, url: str, store: StudyStore, trial: Trials
) -> None:
    import optuna

    depths = [1, 3, 5, 7]
    store.record(Turn(started=[trial(n, depth=depths[n]) for n in (2, 0, 3, 1)]))
    assert [r.params["depth"] for r in database.records("nets")] == depths
    assert [t.params["depth"] for t in optuna.load_study(study_name="nets", storage=url).trials] == depths


def test_a_restarted_trial_loses_its_readings(
    database: Database, store: StudyStore, trial: Trials, reading: Readings
) -> None:
    store.record(Turn(started=[trial(0), trial(1)], readings=[(0, reading(1)), (1, reading(1))]))
    store.record(Turn(restarted=[1], readings=[(0, reading(2))]))
    store.record(Turn(restarted=[1], readings=[(1, reading(1, 0.25))]))
    assert database.curves("nets") == {0: [reading(1), reading(2)], 1: [reading(1, 0.25)]}
    assert [r.state for r in database.records("nets")] == [TrialState.RUNNING] * 2


def test_an_interrupted_trial_keeps_its_readings_and_counts_an_interruption(
    database: Database, store: StudyStore, trial: Trials, reading: Readings
) -> None:
    store.record(Turn(started=[trial(0), trial(1)], readings=[(0, reading(1)), (1, reading(1))]))
    store.record(Turn(interrupted=[1]))
    store.record(Turn(interrupted=[1], readings=[(1, reading(2))]))
    assert [r.interruptions for r in database.records("nets")] == [0, 2]
    assert database.curves("nets") == {0: [reading(1)], 1: [reading(1), reading(2)]}


def test_a_trial_that_was_interrupted_and_restarted_counts_one_interruption(
    database: Database, store: StudyStore, trial: Trials, reading: Readings
) -> None:
    store.record(Turn(started=[trial(0)], readings=[(0, reading(1))]))
    store.record(Turn(interrupted=[0], restarted=[0]))
    assert [r.interruptions for r in database.records("nets")] == [1]
    assert database.curves("nets") == {}


def test_a_paused_trial_keeps_what_it_came_to_and_goes_on(
    database: Database, store: StudyStore, trial: Trials, reading: Readings, ended: Ended
) -> None:
    curve, path = [reading(1, 0.75), reading(2, 0.5)], str(store.artifacts.path(0))
    pause = ended(trial(0), curve, TrialState.PAUSED, rule="asha", reason="at rung 2", model_path=path)
    store.record(Turn(started=[trial(0)], readings=[(0, r) for r in curve]))
    store.record(Turn(paused=[pause]))
    [record] = database.records("nets")
    assert (record.state, record.value, record.best, record.epochs, record.model_path, record.ended_at) == (
        TrialState.PAUSED, 0.5, curve[1], 2, path, None,
    )  # fmt: skip
    assert (record.rule, record.reason, record.interruptions) == ("asha", "at rung 2", 0)
    assert database.study("nets").counts["paused"] == 1
    assert database.curves("nets") == {0: curve}
    store.record(Turn(started=[trial(0)]))
    store.record(Turn(readings=[(0, reading(3, 0.25))]))
    [record] = database.records("nets")
    assert (record.state, record.rule, record.reason, record.value) == (TrialState.RUNNING, None, None, 0.25)
    curve.append(reading(3, 0.25))
    store.record(Turn(ended=[ended(trial(0), curve)]))
    [record] = database.records("nets")
    assert (record.state, record.value, record.interruptions) == (TrialState.FINISHED, 0.25, 0)
    assert database.curves("nets") == {0: curve}


def test_a_trial_that_pauses_and_goes_on_in_one_turn_goes_on(
    database: Database, store: StudyStore, trial: Trials, reading: Readings, ended: Ended
) -> None:
    store.record(Turn(started=[trial(0)], readings=[(0, reading(1))]))
    store.record(Turn(paused=[ended(trial(0), [reading(1)], TrialState.PAUSED)], started=[trial(0)]))
    assert [r.state for r in database.records("nets")] == [TrialState.RUNNING]


def test_a_paused_trial_may_end_without_going_on(
    database: Database, store: StudyStore, trial: Trials, reading: Readings, ended: Ended
) -> None:
    store.record(Turn(started=[trial(0)], readings=[(0, reading(1))]))
    store.record(Turn(paused=[ended(trial(0), [reading(1)], TrialState.PAUSED)]))
    stopped = ended(trial(0), [reading(1)], TrialState.STOPPED, rule="asha", reason="not promoted")
    store.record(Turn(ended=[stopped]))
    [record] = database.records("nets")
    assert (record.state, record.reason, record.value) == (TrialState.STOPPED, "not promoted", 0.5)


@pytest.mark.parametrize("order", [Stop("patience", "no better", conclusive=True), Pause("asha", "rung 1")])
def test_what_was_decided_of_a_trial_is_kept_until_it_is_carried_out(
    database: Database, store: StudyStore, trial: Trials, reading: Readings, ended: Ended, order: Stop | Pause
) -> None:
    store.record(Turn(started=[trial(0), trial(1)], readings=[(0, reading(1))], orders={0: order}))
    store.close()
    resumed = database.resume_study("nets")
    assert [r.order for r in database.records("nets")] == [order, None]
    resumed.record(Turn(started=[trial(0), trial(1)]))
    assert database.records("nets")[0].order == order
    resumed.record(Turn(paused=[ended(trial(0), [reading(1)], TrialState.PAUSED)], orders={1: order}))
    assert [r.order for r in database.records("nets")] == [None, order]
    resumed.record(Turn(restarted=[1]))
    assert [r.order for r in database.records("nets")] == [None, None]
    resumed.close()


@pytest.mark.parametrize("is_finished", [True, False])
def test_a_resumed_study_goes_on_where_its_trials_were(
    database: Database, store: StudyStore, trial: Trials, reading: Readings, ended: Ended, is_finished: bool
) -> None:
    started = [trial(n) for n in range(3)]
    store.record(Turn(started=started, readings=[(n, reading(1, 0.25)) for n in range(3)]))
    store.record(Turn(ended=[ended(started[0], [reading(1, 0.25)])]))
    store.record(Turn(paused=[ended(started[2], [reading(1, 0.25)], TrialState.PAUSED)]))
    curves = database.curves("nets")
    if is_finished:
        store.finish(StudyState.INTERRUPTED, "Ctrl-C", 4.0)
    store.close()
    resumed = database.resume_study("nets")
    records = database.records("nets")
    states = [TrialState.FINISHED, TrialState.WAITING, TrialState.PAUSED]
    assert [(r.state, r.interruptions) for r in records] == list(zip(states, [0, 1, 0], strict=True))
    assert [(r.value, r.epochs) for r in records] == [(0.25, 1)] * 3
    assert database.curves("nets") == curves
    # A session that comes to nothing interrupts only what it has set running.
    resumed.finish(StudyState.INTERRUPTED, "Ctrl-C", 5.0)
    resumed = database.resume_study("nets")
    assert [r.interruptions for r in database.records("nets")] == [0, 1, 0]
    resumed.record(Turn(started=[started[2], started[1], trial(3)], readings=[(1, reading(2, 0.125))]))
    assert database.curves("nets")[1] == [reading(1, 0.25), reading(2, 0.125)]
    assert [r.state for r in database.records("nets")[1:]] == [TrialState.RUNNING] * 3
    resumed.close()
    database.resume_study("nets").close()
    assert [r.interruptions for r in database.records("nets")] == [0, 2, 1, 1]


def test_numbers_come_back_bit_for_bit(
    database: Database, store: StudyStore, trial: Trials, reading: Readings
) -> None:
    odd = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, 1 / 3, float("inf"), 2.0**53 + 2]
    curve = [reading(n, x, train_loss=x, extras={"mine": x}) for n, x in enumerate(odd, 1)]
    store.record(Turn(started=[trial(0)], readings=[(0, r) for r in curve]))
    assert database.curves("nets") == {0: curve}


def test_a_turn_that_cannot_be_stored_leaves_no_trace_and_can_be_tried_again(
    database: Database, store: StudyStore, trial: Trials, reading: Readings
) -> None:
    store.record(Turn(started=[trial(0)], readings=[(0, reading(1))], seconds=1.0))
    twice = Turn(started=[trial(1)], readings=[(1, reading(1)), (0, reading(1))], seconds=2.0)
    with pytest.raises(StoreError, match=r"UNIQUE|unique"):
        store.record(twice)
    assert [r.number for r in database.records("nets")] == [0]
    assert database.study("nets").seconds == 1.0
    store.record(Turn(started=[trial(1)], readings=[(1, reading(1)), (0, reading(2))], seconds=2.0))
    assert {n: len(curve) for n, curve in database.curves("nets").items()} == {0: 2, 1: 1}


def test_a_number_that_is_over_is_never_given_again(
    database: Database, store: StudyStore, trial: Trials, reading: Readings, ended: Ended
) -> None:
    store.record(Turn(started=[trial(0)], readings=[(0, reading(1))]))
    store.record(Turn(ended=[ended(trial(0), [reading(1)])]))
    with pytest.raises(StoreError):
        store.record(Turn(started=[trial(0)]))
    assert database.curves("nets") == {0: [reading(1)]}


def test_a_failed_trial_keeps_its_traceback(
    database: Database, store: StudyStore, trial: Trials, ended: Ended
) -> None:
    text = "Traceback (most recent call last):\n  ...\nValueError: 'ü'"
    failed = ended(trial(0), [], TrialState.FAILED, reason="ValueError: 'ü'", traceback=text)
    store.record(Turn(started=[trial(0)]))
    store.record(Turn(ended=[failed]))
    [record] = database.records("nets")
    assert (record.reason, record.traceback) == ("ValueError: 'ü'", text)


def test_a_message_that_no_database_takes_is_kept_as_far_as_it_goes(
    database: Database, url: str, store: StudyStore, trial: Trials, ended: Ended
) -> None:
    odd = ended(trial(0), [], TrialState.FAILED, reason="no file '\udcff'", traceback="a\0b")
    store.record(Turn(started=[trial(0)]))
    store.record(Turn(ended=[odd]))
    [record] = database.records("nets")
    assert (record.reason, record.traceback) == ("no file '?'", "a\ufffdb")


def test_a_forgotten_model_has_no_path(
    database: Database, store: StudyStore, trial: Trials, ended: Ended
) -> None:
    store.record(Turn(started=[trial(0), trial(1)]))
    store.record(Turn(ended=[ended(trial(n), [], model_path=f"models/{n}") for n in (0, 1)]))
    store.record(Turn(forgotten=[0]))
    assert [r.model_path for r in database.records("nets")] == [None, str(store.artifacts.path(1))]


def test_a_model_may_be_forgotten_in_the_turn_in_which_its_trial_ends(
    database: Database, store: StudyStore, trial: Trials, ended: Ended
) -> None:
    store.record(Turn(started=[trial(0)]))
    store.record(Turn(ended=[ended(trial(0), [], model_path="models/0")], forgotten=[0]))
    assert [r.model_path for r in database.records("nets")] == [None]


def test_facts_are_added_and_replaced(database: Database, store: StudyStore) -> None:
    store.facts({"device": "cuda", "notes": ["two rows without target dropped"]})
    assert database.study("nets").facts == {"device": "cuda", "notes": ["two rows without target dropped"]}


def test_the_end_of_a_study_is_noted(database: Database, store: StudyStore, trial: Trials) -> None:
    store.record(Turn(started=[trial(0)]))
    store.finish(StudyState.FINISHED, "all 1 trials", 12.5)
    summary = database.study("nets")
    assert (summary.state, summary.reason, summary.seconds) == (StudyState.FINISHED, "all 1 trials", 12.5)
    assert not summary.is_driven
    assert summary.counts["waiting"] == 1


def test_nothing_is_recorded_after_the_end(store: StudyStore, trial: Trials) -> None:
    store.finish(StudyState.FINISHED, "done", 1.0)
    store.close()
    with pytest.raises(StoreError, match="no longer driven from here"):
        store.record(Turn(started=[trial(0)]))


def test_readers_and_the_writer_do_not_wait_for_each_other(
    database: Database, url: str, store: StudyStore, trial: Trials
) -> None:
    store.record(Turn(started=[trial(0)]))
    engine = connect(parse(url))
    seconds = select(tuner_studies.c.seconds)
    with writing(engine).begin() as other:
        other.execute(tuner_studies.update().values(seconds=99.0))
        assert database.study("nets").seconds == 0.0
        assert len(database.records("nets")) == 1
    assert database.study("nets").seconds == 99.0
    with reading_engine(engine).begin() as other:
        assert other.scalar(seconds) == 99.0
        store.record(Turn(seconds=100.0))
        assert other.scalar(seconds) == 99.0
    engine.dispose()


def test_turns_that_are_stored_together_leave_what_they_leave_one_by_one(
    database: Database, store: StudyStore, spec: StudySpec, trial: Trials, reading: Readings, ended: Ended
) -> None:
    curve = [reading(1), reading(2)]

    def end(number: int, **rest: Any) -> TrialRecord:
        return ended(trial(number), curve, reason=f"'\"{number}: größer\\, %s", **rest)

    turns = [
        Turn(started=[trial(n) for n in range(4)], readings=[(n, curve[0]) for n in range(4)]),
        Turn(
            orders={n: Stop("median", "it is worse", conclusive=False) for n in range(3)},
            readings=[(n, curve[1]) for n in range(4)],
            paused=[ended(trial(3), curve, TrialState.PAUSED, paused_at=2)],
        ),
        Turn(started=[trial(3)], ended=[end(0, model_path="0"), end(1, seconds=math.inf, model_path="1")]),
        Turn(ended=[end(2)], forgotten=[0], orders={3: Stop("median", "it is worse", conclusive=False)}),
    ]
    other = database.create_study("other", spec, {})
    store.record(*turns)
    for turn in turns:
        other.record(turn)
    other.close()
    found, single = database.records("nets"), database.records("other")
    assert [replace(r, model_path=None, started_at="", ended_at="") for r in found] == [
        replace(r, model_path=None, started_at="", ended_at="") for r in single
    ]
    assert [r.model_path is None for r in found] == [True, False, True, True]
    assert [r.model_path is None for r in single] == [True, False, True, True]
    assert [r.order is None for r in found] == [True, True, True, False]
    assert found[1].seconds == math.inf
    assert database.curves("nets") == database.curves("other")


def test_two_studies_of_one_database_do_not_mix(
    database: Database, store: StudyStore, spec: StudySpec, trial: Trials, reading: Readings, ended: Ended
) -> None:
    other = database.create_study("other", spec, {})
    for turn in range(3):
        for each, loss in ((store, 0.5), (other, 0.25)):
            each.record(Turn(started=[trial(turn)], readings=[(turn, reading(1, loss))]))
            each.record(Turn(ended=[ended(trial(turn), [reading(1, loss)])]))
    other.close()
    for name, loss in (("nets", 0.5), ("other", 0.25)):
        assert [r.number for r in database.records(name)] == [0, 1, 2]
        assert database.curves(name) == {n: [reading(1, loss)] for n in range(3)}
        assert database.study(name).best_value == loss


def test_each_statement_takes_its_rows_and_says_how_many_it_met(tmp_path: Any) -> None:
    from sqlalchemy import create_engine, select

    from tuner.store.schema import METADATA, tuner_epochs
    from tuner.store.statements import Statements

    rows = [(1, epoch, 0.1 * epoch, None, 0.3, 0.4, 0.5, 0.6, 0.7, None) for epoch in (1, 2)]
    engine = create_engine(f"sqlite:///{tmp_path}/statements.db")
    METADATA.create_all(engine)
    do = Statements(engine.dialect)
    with engine.begin() as connection:
        do.add_epochs.run(connection, rows)
        do.add_ours.run(connection, [(1, 1, 0, "{}", "running", 0, False, 0.0, 0, "now", "given")])
        assert do.interrupt.run(connection, [(1,)]) == 1
        assert do.go_on.run(connection, [("waiting", None, None, 1)]) == 1
        assert do.go_on.run(connection, [("waiting", None, None, 2)]) == 0
        assert [tuple(row) for row in connection.execute(select(tuner_epochs))] == rows
        found = connection.exec_driver_sql("SELECT state, interruptions, number FROM tuner_trials").all()
        assert found == [("waiting", 1, 0)]
    engine.dispose()


def test_where_a_trial_paused_stays_known_while_it_goes_on(
    database: Database, store: StudyStore, trial: Trials, reading: Readings, ended: Ended
) -> None:
    curve = [reading(1), reading(2)]
    paused = ended(trial(0), curve, TrialState.PAUSED, paused_at=2)
    store.record(Turn(started=[trial(0)], readings=[(0, r) for r in curve]))
    store.record(Turn(paused=[paused]))
    store.record(Turn(started=[trial(0)], readings=[]))
    (found,) = database.records("nets")
    assert (found.state, found.paused_at) == (TrialState.RUNNING, 2)
