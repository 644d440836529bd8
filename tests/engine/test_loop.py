"""Engine: the loop, with small real ports around it."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.parts import CountingSearcher, ListStore, Looker, Lots, Rule, Whim, engine, numbers
from tuner.core.budget import StudyState
from tuner.core.events import Event, Failed, Finished, Interrupted, Paused, Reported, Restarted, Stopped
from tuner.core.ports import Placement, Turn
from tuner.core.request import Request, RequestKind
from tuner.core.trial import Origin, Pause, Reading, Stop, Trial, TrialRecord, TrialState
from tuner.errors import DeviceError, StoreError, StudyLocked
from tuner.testing.executor import models_in


class Steady:
    """Trains each trial for `epochs` epochs; its loss is what `curve` says."""

    def __init__(self, rows: int = 2, epochs: int = 3, curve: object = None) -> None:
        self.rows = rows
        self.epochs = epochs
        self.running: dict[int, int] = {}
        self.leaving: list[Event] = []
        self.polls = 0
        self.closed = 0
        self.bars: list[float | None] = []
        self.order: list[int] = []

    def loss(self, number: int, epoch: int) -> float:
        return number + 1 / epoch

    def free(self) -> int:
        return self.rows - len(self.running)

    def submit(self, placements: Sequence[Placement], bar: float | None) -> None:
        self.running.update({each.trial.number: len(each.curve) for each in placements})
        self.order += [each.trial.number for each in placements]
        self.bars.append(bar)

    def stop(self, orders: Mapping[int, bool]) -> None:
        for number in orders:
            del self.running[number]
            self.leaving.append(Stopped(number))

    def pause(self, orders: Mapping[int, bool]) -> None:
        for number in orders:
            del self.running[number]
            self.leaving.append(Paused(number))

    def drop(self, numbers: Collection[int]) -> None:
        """No checkpoints are written."""

    def position(self) -> Mapping[str, Any]:
        return {}

    def restore(self, position: Mapping[str, Any]) -> None:
        """Every order is as good as another."""

    def poll(self, timeout_s: float) -> Sequence[Event]:
        self.polls += 1
        events, self.leaving = self.leaving, []
        # Neighbours answer in an order of their own.
        for number in sorted(self.running, reverse=True):
            epoch = self.running[number] = self.running[number] + 1
            loss = self.loss(number, epoch)
            events.append(Reported(number, Reading(epoch, loss, loss, seconds=0.25)))
            if epoch == self.epochs:
                events.append(Finished(number))
                del self.running[number]
        return events

    def close(self, *, at_once: bool = False) -> None:
        self.closed += 1


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 5),
    weights=st.tuples(*[st.integers(0, 5)] * 7).filter(lambda w: w[0] + w[1] + w[2] + w[3] > 0),
    trials=st.integers(1, 20),
    size=st.integers(1, 25),
    epochs=st.none() | st.integers(1, 60),
    target=st.none() | st.sampled_from([0.1, 0.2]),
    max_failures=st.integers(1, 8),
    keep=st.integers(1, 3),
)
def test_every_started_trial_is_accounted_for_exactly_once_whatever_happens(
    seed: int,
    rows: int,
    weights: tuple[int, ...],
    trials: int,
    size: int,
    epochs: int | None,
    target: float | None,
    max_failures: int,
    keep: int,
) -> None:
    lots = random.Random(seed)
    store = ListStore()
    with tempfile.TemporaryDirectory() as name:
        for _ in range(3):
            executor, searcher, looker = (
                Lots(lots, rows, Path(name), weights),
                CountingSearcher(size),
                Looker(),
            )
            store = store.resumed()
            driver = engine(
                executor,
                store,
                Path(name),
                searcher=searcher,
                callbacks=[Whim(lots)],
                keep=keep,
                max_failures=max_failures,
                observer=looker,
                trials=trials,
                epochs=epochs,
                target=target,
            )
            state, reason = driver.run(store.history(), store.curves, store.seconds)

            assert store.end == (state, reason)
            assert executor.closed == 1
            assert len(store.records) == searcher.next <= min(trials, size)
            over = [number for number, record in store.records.items() if record.state.is_over]
            told = [record.number for record in searcher.told if record.state.is_over]
            assert sorted(told) == sorted(over)
            left = (TrialState.WAITING, TrialState.PAUSED)
            assert all(record.state in left for n, record in store.records.items() if n not in over)
            for number in over:
                record, curve = store.records[number], store.curves[number]
                finite = [reading.val_loss for reading in curve if 0 <= reading.val_loss < 10]
                assert record.epochs == len(curve)
                assert [reading.epoch for reading in curve] == list(range(1, len(curve) + 1))
                assert record.value == (min(finite) if finite else None)
                assert record.seconds == sum(reading.seconds for reading in curve)
                assert (record.reason is None) == (record.state is TrialState.FINISHED)
            assert {path.name for path in Path(name).iterdir()} >= {
                str(n) for n, record in store.records.items() if record.model_path is not None
            }
            status = looker.seen[-1] if looker.seen else None
            if status is not None:
                assert status.spent.trials == len(store.records)
                assert sum(status.counts.values()) == len(store.records)
                assert status.spent.epochs == sum(len(store.curves[n]) for n in store.curves)
            if state is StudyState.FINISHED and reason.endswith(("trials is used up", "has been tried")):
                assert len(over) == len(store.records)
                return


def test_turns_that_come_thick_and_fast_are_stored_together_and_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counting(ListStore):
        def __init__(self) -> None:
            super().__init__()
            self.sizes: list[int] = []

        def record(self, *turns: Turn) -> None:
            self.sizes.append(len(turns))
            super().record(*turns)

    stores = []
    for together_s in (0.0, 1e9):
        monkeypatch.setattr("tuner.engine.recording._TOGETHER_S", together_s)
        stores.append(Counting())
        engine(Steady(), stores[-1], tmp_path, trials=20).run()
    each, together = stores
    assert set(each.sizes) == {1}
    assert together.sizes == [1, len(each.sizes) - 1]
    assert [(turn.started, turn.readings) for turn in together.turns] == [
        (turn.started, turn.readings) for turn in each.turns
    ]
    assert together.curves == each.curves


def test_a_trial_is_stored_as_started_before_it_trains_for_long(tmp_path: Path) -> None:
    store = ListStore()

    class Watched(Steady):
        def poll(self, timeout_s: float) -> Sequence[Event]:
            assert set(self.running) <= set(store.records)
            time.sleep(0.25)
            return super().poll(timeout_s)

    engine(Watched(), store, tmp_path, trials=5).run()
    assert numbers(store.records, TrialState.FINISHED) == [0, 1, 2, 3, 4]


def test_a_freed_row_is_refilled_in_the_turn_that_frees_it(tmp_path: Path) -> None:
    executor, store = Steady(rows=2, epochs=2), ListStore()
    engine(executor, store, tmp_path, trials=6).run()
    assert executor.polls == 6
    assert [[trial.number for trial in turn.started] for turn in store.turns if turn.started] == [
        [0, 1],
        [2, 3],
        [4, 5],
    ]


def test_a_turn_without_news_is_not_stored(tmp_path: Path) -> None:
    class Slow(Steady):
        def poll(self, timeout_s: float) -> Sequence[Event]:
            events = super().poll(timeout_s) if self.polls % 3 == 2 else []
            self.polls += not events
            return events

    store = ListStore()
    engine(Slow(rows=1, epochs=1), store, tmp_path, trials=2).run()
    assert len(store.turns) == 3


def test_rules_are_asked_in_the_order_of_trial_numbers_about_every_reading(tmp_path: Path) -> None:
    first = Rule(lambda trial, curve: Stop("first", "odd", True) if trial.number == 1 else None)
    second = Rule(lambda trial, curve: Stop("second", "odd too", False) if trial.number == 1 else None)
    store = ListStore()
    engine(Steady(rows=3), store, tmp_path, callbacks=[first, second], trials=3).run()
    assert first.asked == second.asked == [(0, 1), (1, 1), (2, 1), (0, 2), (2, 2), (0, 3), (2, 3)]
    stopped = store.records[1]
    assert (stopped.state, stopped.rule, stopped.reason) == (TrialState.STOPPED, "first", "odd")
    assert stopped.conclusive
    assert stopped.epochs == 1


def test_a_rule_that_speaks_in_the_last_epoch_comes_too_late(tmp_path: Path) -> None:
    late = Rule(lambda trial, curve: Stop("late", "now", False) if len(curve) == 3 else None)
    store = ListStore()
    engine(Steady(), store, tmp_path, callbacks=[late], trials=2).run()
    assert numbers(store.records, TrialState.FINISHED) == [0, 1]
    assert all(record.conclusive and record.rule is None for record in store.records.values())


def test_a_trial_that_finishes_without_a_finite_value_fails_or_has_diverged(tmp_path: Path) -> None:
    class Diverging(Steady):
        def loss(self, number: int, epoch: int) -> float:
            return float("nan")

    store = ListStore()
    engine(Diverging(epochs=1), store, tmp_path, trials=1).run()
    assert store.records[0].state is TrialState.FAILED
    assert "none of its 1 epochs has a finite val_loss" in str(store.records[0].reason)

    store = ListStore()
    rule = Rule(lambda trial, curve: Stop("divergence", "train_loss is nan", False))
    engine(Diverging(epochs=1), store, tmp_path, callbacks=[rule], trials=1).run()
    assert store.records[0].state is TrialState.STOPPED
    assert (store.records[0].rule, store.records[0].conclusive) == ("divergence", False)


def test_a_trial_that_reports_nothing_fails_with_a_reason(tmp_path: Path) -> None:
    class Silent(Steady):
        def poll(self, timeout_s: float) -> Sequence[Event]:
            events: list[Event] = [Finished(number) for number in self.running]
            self.running = {}
            return events

    store = ListStore()
    state, reason = engine(Silent(), store, tmp_path, max_failures=2, trials=9).run()
    assert state is StudyState.FAILED
    assert reason == (
        "2 trials failed; the last: trial 1: it ended before its first epoch; "
        "a trainer must report at least one"
    )


def test_the_record_has_the_best_epoch_and_utc_times(tmp_path: Path) -> None:
    class Humped(Steady):
        def loss(self, number: int, epoch: int) -> float:
            return (3.0, 1.0, 2.0)[epoch - 1]

    store = ListStore()
    engine(Humped(), store, tmp_path, trials=1).run()
    record = store.records[0]
    assert record.value == 1.0
    assert record.best is not None
    assert record.best.epoch == 2
    assert (record.epochs, record.seconds) == (3, 0.75)
    started, ended = (datetime.fromisoformat(str(at)) for at in (record.started_at, record.ended_at))
    assert started.utcoffset() == timedelta(0)
    assert started <= ended


def test_trials_fail_one_by_one_until_too_many_have(tmp_path: Path) -> None:
    class Faulty(Steady):
        def poll(self, timeout_s: float) -> Sequence[Event]:
            events = list(super().poll(timeout_s))
            for number in [n for n in self.running if n % 2]:
                del self.running[number]
                events.append(Failed(number, "ValueError: odd", "Traceback ..."))
            return events

    store = ListStore()
    state, reason = engine(Faulty(), store, tmp_path, max_failures=3, trials=100).run()
    assert (state, reason) == (StudyState.FAILED, "3 trials failed; the last: trial 5: ValueError: odd")
    assert numbers(store.records, TrialState.FAILED) == [1, 3, 5]
    assert store.records[1].traceback == "Traceback ..."


def test_the_budget_of_trials_lets_running_ones_finish(tmp_path: Path) -> None:
    store = ListStore()
    end = engine(Steady(rows=4), store, tmp_path, trials=6).run()
    assert end == (StudyState.FINISHED, "the budget of 6 trials is used up")
    assert numbers(store.records, TrialState.FINISHED) == list(range(6))


def test_imported_trials_are_known_and_cost_no_budget(tmp_path: Path) -> None:
    store, searcher = ListStore(), CountingSearcher()
    history = [
        TrialRecord(
            number,
            {"x": number},
            TrialState.FINISHED,
            -1.0,
            epochs=9,
            conclusive=True,
            origin=Origin.IMPORTED,
        )
        for number in range(4)
    ]
    steady = engine(Steady(rows=2), store, tmp_path, searcher=searcher, trials=3, epochs=10)
    end = steady.run(history)
    assert end == (StudyState.FINISHED, "the budget of 3 trials is used up")
    assert numbers(store.records, TrialState.FINISHED) == [4, 5, 6]
    assert searcher.told[:4] == history


def test_the_budget_of_epochs_leaves_running_ones_for_resume(tmp_path: Path) -> None:
    store = ListStore()
    end = engine(Steady(), store, tmp_path, epochs=8).run()
    assert end == (StudyState.FINISHED, "the budget of 8 epochs is used up")
    assert numbers(store.records, TrialState.FINISHED) == [0, 1]
    assert numbers(store.records, TrialState.WAITING) == [2, 3]


def test_the_budget_of_seconds_counts_earlier_sessions(tmp_path: Path) -> None:
    store, executor = ListStore(), Steady()
    state, reason = engine(executor, store, tmp_path, seconds=50).run(seconds_before=50.5)
    assert (state, reason) == (StudyState.FINISHED, "the budget of 50 seconds is used up")
    assert executor.order == []
    assert store.seconds > 50.5


def test_the_trial_that_reaches_the_target_is_stopped_and_recorded(tmp_path: Path) -> None:
    store = ListStore()
    state, reason = engine(Steady(epochs=9), store, tmp_path, target=0.5).run()
    assert (state, reason) == (StudyState.FINISHED, "the target of 0.5 is reached with 0.5")
    record = store.records[0]
    assert (record.state, record.rule, record.value) == (TrialState.STOPPED, "target", 0.5)
    assert record.conclusive
    assert numbers(store.records, TrialState.WAITING) == [1]


def test_a_used_up_space_ends_the_study_when_its_last_trial_does(tmp_path: Path) -> None:
    store, searcher = ListStore(), CountingSearcher(size=3)
    end = engine(Steady(rows=2), store, tmp_path, searcher=searcher, trials=50).run()
    assert end == (StudyState.FINISHED, "every configuration of the space has been tried")
    assert numbers(store.records, TrialState.FINISHED) == [0, 1, 2]
    assert searcher.asked == [2, 2]


def test_an_interrupt_is_stored_and_the_executor_closed(tmp_path: Path) -> None:
    class Interrupted(Steady):
        def poll(self, timeout_s: float) -> Sequence[Event]:
            if self.polls == 4:
                raise KeyboardInterrupt
            return super().poll(timeout_s)

    store, executor = ListStore(), Interrupted()
    with pytest.raises(KeyboardInterrupt):
        engine(executor, store, tmp_path, trials=50).run()
    assert store.end == (StudyState.INTERRUPTED, "stopped by the user")
    assert executor.closed == 1
    assert numbers(store.records, TrialState.WAITING) == [2, 3]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DeviceError("cuda:0: out of memory\nmore"), "cuda:0: out of memory"),
        (KeyError("x"), "KeyError: 'x'"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_any_other_error_is_stored_in_a_sentence_and_raised(
    tmp_path: Path, error: Exception, reason: str
) -> None:
    class Broken(Steady):
        def poll(self, timeout_s: float) -> Sequence[Event]:
            raise error

    store, executor = ListStore(), Broken()
    with pytest.raises(type(error)):
        engine(executor, store, tmp_path, trials=5).run()
    assert store.end == (StudyState.FAILED, reason)
    assert executor.closed == 1


def test_the_first_error_is_raised_even_if_the_end_cannot_be_stored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(ListStore):
        def finish(self, state: StudyState, reason: str, seconds: float) -> None:
            raise StoreError("the disk is full, still")

        def record(self, *turns: object) -> None:
            raise StoreError("the disk is full")

    executor = Steady()
    with pytest.raises(StoreError, match=r"the disk is full$"):
        engine(executor, Full(), tmp_path, trials=5).run()
    assert executor.closed == 1
    assert "could not be stored" in caplog.text


def test_a_driver_whose_study_another_one_has_says_so_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Taken(ListStore):
        def finish(self, state: StudyState, reason: str, seconds: float) -> None:
            raise StudyLocked("taken over")

        def record(self, *turns: object) -> None:
            raise StudyLocked("taken over")

    with pytest.raises(StudyLocked, match="taken over"):
        engine(Steady(), Taken(), tmp_path, trials=5).run()
    assert not caplog.records


def test_a_resumed_study_goes_on_under_its_own_numbers(tmp_path: Path) -> None:
    store = ListStore()
    engine(Steady(), store, tmp_path, epochs=8).run()
    assert len(store.records) == 4
    store = store.resumed()

    executor, searcher, rule, looker = Steady(rows=3), CountingSearcher(), Rule(), Looker()
    driver = engine(executor, store, tmp_path, searcher=searcher, callbacks=[rule], observer=looker, trials=6)
    driver.run(store.history(), store.curves, store.seconds)
    assert executor.order == [2, 3, 4, 5]
    assert [trial.params for trial in store.turns[-1].started] == []
    assert rule.asked[:8] == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (2, 1), (3, 1)]
    assert numbers(store.records, TrialState.FINISHED) == list(range(6))
    assert [store.records[n].interruptions for n in range(6)] == [0, 0, 1, 1, 0, 0]
    assert [len(store.curves[n]) for n in range(6)] == [3] * 6
    assert looker.seen[-1].spent.epochs == 18
    assert looker.seen[-1].best == store.records[0] == looker.seen[-1].default


def test_a_restarted_trial_starts_afresh(tmp_path: Path) -> None:
    class Dying(Steady):
        def poll(self, timeout_s: float) -> Sequence[Event]:
            events = list(super().poll(timeout_s))
            if self.polls == 2:
                self.running[1] = 0
                events.append(Restarted(1, "its worker was killed by SIGKILL"))
            return events

    rule, store = Rule(), ListStore()
    engine(Dying(), store, tmp_path, callbacks=[rule], trials=2).run()
    assert [reading.epoch for reading in store.curves[1]] == [1, 2, 3]
    assert (store.records[1].epochs, store.records[1].interruptions) == (3, 0)
    assert [length for number, length in rule.asked if number == 1] == [1, 1, 2, 3]


def test_an_interrupted_trial_goes_on_and_the_interruption_is_counted(tmp_path: Path) -> None:
    class Shaken(Steady):
        def poll(self, timeout_s: float) -> Sequence[Event]:
            events = list(super().poll(timeout_s))
            return [*events, Interrupted(1, "its worker was killed")] if self.polls == 2 else events

    store = ListStore()
    engine(Shaken(), store, tmp_path, trials=2).run()
    assert [reading.epoch for reading in store.curves[1]] == [1, 2, 3]
    assert (store.records[1].epochs, store.records[1].interruptions) == (3, 1)


def test_the_bar_is_the_worst_value_that_is_kept(tmp_path: Path) -> None:
    class Saving(Steady):
        def poll(self, timeout_s: float) -> Sequence[Event]:
            events: list[Event] = []
            for event in super().poll(timeout_s):
                if isinstance(event, Finished):
                    (tmp_path / str(event.number)).mkdir()
                    event = Finished(event.number, str(tmp_path / str(event.number)))
                events.append(event)
            return events

        def loss(self, number: int, epoch: int) -> float:
            return (9.0, 5.0, 7.0, 6.0, 1.0)[number]

    executor, store = Saving(rows=1, epochs=1), ListStore()
    engine(executor, store, tmp_path, keep=2, trials=5).run()
    assert executor.bars == [None, None, 9.0, 7.0, 6.0]
    assert models_in(tmp_path) == {"0", "1", "4"}
    assert [n for n, record in store.records.items() if record.model_path is not None] == [0, 1, 4]


class Promoted(Steady):
    """Trial 2 pauses with a model; when it goes on, trial 1 ends with a better one, and then 2 with the best.

    A trial's model is there when its lane has trained, whether its answer has been asked for or not.
    """

    def __init__(self, models: Path, *, late: bool) -> None:
        super().__init__(rows=3)
        self.models = models
        self.late = late
        self.answer: list[Event] = []

    def write(self, number: int) -> str:
        folder = self.models / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "epochs").write_text(str(self.running.get(number, 0)))
        return str(folder)

    def pause(self, orders: Mapping[int, bool]) -> None:
        assert orders == {2: True}
        self.leaving.append(Paused(2, self.write(2)))
        del self.running[2]

    def loss(self, number: int, epoch: int) -> float:
        return (1.0, 3.0, 5.0 if epoch == 1 else 2.0)[number]

    def poll(self, timeout_s: float) -> Sequence[Event]:
        self.polls += 1
        if self.answer:
            events, self.answer = self.answer, []
            return events
        events, self.leaving = self.leaving, []
        ends = {0: 1, 1: 2, 2: 3}
        for number in sorted(self.running):
            if number == 1 and self.running[1] == 1 and self.running.get(2) != 2:
                continue  # until trial 2 comes to its end
            epoch = self.running[number] = self.running[number] + 1
            loss = self.loss(number, epoch)
            told: list[Event] = [Reported(number, Reading(epoch, loss, loss, seconds=0.25))]
            if epoch == ends[number]:
                told.append(Finished(number, self.write(number)))
                del self.running[number]
            events += told
        if self.late and any(event == Finished(2, str(self.models / "2")) for event in events):
            self.answer = [event for event in events if event.number == 2]
            events = [event for event in events if event.number != 2]
        return events


@pytest.mark.parametrize("late", [False, True])
def test_a_model_that_is_written_while_its_forerunner_is_given_up_stays(tmp_path: Path, late: bool) -> None:
    class Once(Rule):
        def promote(self, paused: Collection[int], room: int, *, last: bool) -> Sequence[int]:
            return list(paused)[:room]

        def dismiss(self, paused: Collection[int], *, last: bool) -> Mapping[int, Stop]:
            return {}

    def says(trial: Trial, curve: Sequence[Reading]) -> Pause | None:
        return Pause("once", "not now") if trial.number == 2 and len(curve) == 1 else None

    store = ListStore()
    executor = Promoted(tmp_path, late=late)
    engine(executor, store, tmp_path, callbacks=[Once(says)], keep=2, trials=3).run()
    assert [record.value for record in store.history()] == [1.0, 3.0, 2.0]
    named = {str(n) for n, record in store.records.items() if record.model_path is not None}
    assert named == {"0", "2"}
    assert models_in(tmp_path) == named


def test_the_models_of_stopped_trials_are_wanted_while_they_are_among_the_best(tmp_path: Path) -> None:
    wanted: dict[int, bool] = {}

    class Noting(Steady):
        def loss(self, number: int, epoch: int) -> float:
            return (9.0, 5.0, 7.0, 8.0, 6.0, 5.5)[number]

        def stop(self, orders: Mapping[int, bool]) -> None:
            wanted.update(orders)
            super().stop(orders)

        def poll(self, timeout_s: float) -> Sequence[Event]:
            return [
                Stopped(event.number, str(event.number)) if isinstance(event, Stopped) else event
                for event in super().poll(timeout_s)
            ]

    cut = Rule(lambda trial, curve: Stop("cut", "it is bad", False))
    engine(Noting(rows=1), ListStore(), tmp_path, callbacks=[cut], keep=2, trials=6).run()
    assert wanted == {0: True, 1: True, 2: True, 3: False, 4: True, 5: True}


def test_the_observer_sees_the_end_and_not_every_turn(tmp_path: Path) -> None:
    looker, store = Looker(), ListStore()
    engine(Steady(), store, tmp_path, observer=looker, trials=400).run()
    assert len(store.turns) > 500
    assert looker.seen[-1].counts["finished"] == 400
    assert looker.seen[-1].spent.epochs == 1200
    assert len(looker.seen) <= 2 + store.seconds / 0.1


class Asking(ListStore):
    """Somebody asks for something after so many turns."""

    def __init__(self, asked: Mapping[int, Request]) -> None:
        super().__init__()
        self.later = asked

    def append(self, turn: Turn) -> None:
        super().append(turn)
        if (request := self.later.get(len(self.turns))) is not None:
            self.asked.append(request)


@pytest.fixture
def _attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.engine.requests._LOOK_EVERY_S", 0.0)
    monkeypatch.setattr("tuner.engine.recording._TOGETHER_S", 0.0)


@pytest.mark.usefixtures("_attentive")
def test_a_trial_is_ended_and_the_study_is_stopped_on_request(tmp_path: Path) -> None:
    store = Asking(
        {
            2: Request(1, RequestKind.END, {"trial": 1}),
            4: Request(2, RequestKind.END, {"trial": 1}),
            9: Request(3, RequestKind.STOP),
        }
    )
    end = engine(Steady(epochs=4), store, tmp_path, trials=40).run()
    assert end == (StudyState.INTERRUPTED, "stopped on request")
    record = store.records[1]
    assert (record.state, record.rule, record.conclusive) == (TrialState.STOPPED, "request", False)
    assert store.answers == {
        1: "trial 1 is ended",
        2: "trial 1 has ended already",
        3: "the study is stopped",
    }
    assert 2 < len(store.records) < 40


@pytest.mark.usefixtures("_attentive")
def test_the_budget_of_a_running_study_is_raised_on_request(tmp_path: Path) -> None:
    store = Asking({1: Request(1, RequestKind.RAISE, {"trials": 7})})
    assert engine(Steady(), store, tmp_path, trials=3).run()[1] == "the budget of 7 trials is used up"
    assert sorted(store.records) == list(range(7))


@pytest.mark.usefixtures("_attentive")
def test_a_paused_trial_is_ended_on_request_and_a_configuration_that_is_none_is_refused(
    tmp_path: Path,
) -> None:
    class Patient(Whim):
        """Pauses trial 0 and never lets it go on."""

        def lot(self, trial: Trial, curve: Sequence[Reading]) -> Stop | Pause | None:
            return Pause("patient", "not now") if trial.number == 0 else None

        def promote(self, paused: Collection[int], room: int, *, last: bool) -> Sequence[int]:
            return []

        def dismiss(self, paused: Collection[int], *, last: bool) -> Mapping[int, Stop]:
            return {}

    store = Asking(
        {
            3: Request(1, RequestKind.END, {"trial": 0}),
            4: Request(2, RequestKind.TRY, {"y": 1}),
            5: Request(3, RequestKind.TRY, {"x": 77}),
        }
    )
    engine(Steady(), store, tmp_path, callbacks=[Patient(random.Random(0))], trials=8).run()
    assert (store.records[0].state, store.records[0].rule) == (TrialState.STOPPED, "request")
    assert store.answers[2] == "it is not trained: x: is missing"
    tried = [number for number, record in store.records.items() if record.params["x"] == 77]
    assert store.answers[3] == f"trial {tried[0]}"
