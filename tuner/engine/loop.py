"""Engine: the loop that fills, polls, decides and records; it sees ports alone.

The only writer of a study; all of it runs in the thread that called `run`. What happens follows from the
stored study and the order of the executor's events, never from a clock, so that a study that was cut
off goes on as it would have.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tuner.artifacts import Artifacts
from tuner.core import garbage
from tuner.core.budget import Budget, Spent, StudyState
from tuner.core.events import (
    Event,
    Failed,
    Finished,
    Interrupted,
    Paused,
    Reported,
    Restarted,
    Stopped,
)
from tuner.core.objectives import Objectives
from tuner.core.ports import Callback, EndedCurves, Executor, Observer, Placement, Searcher, Store, Turn
from tuner.core.trial import Objective, Pause, Reading, Stop, TrialRecord, TrialState
from tuner.engine.ending import EndConditions
from tuner.engine.interrupts import Interrupts
from tuner.engine.progress import RunningTrial, StudyProgress, as_told
from tuner.engine.recording import TurnRecorder
from tuner.engine.requests import Requests
from tuner.engine.retention import ModelRetention
from tuner.engine.rules import Rules
from tuner.errors import StudyLocked, described

_POLL_S = 0.5
_SHOW_EVERY_S = 0.1
_LOG = logging.getLogger(__name__)


class Engine:
    """Drives one study from where it stands to an end."""

    def __init__(
        self,
        *,
        searcher: Searcher,
        executor: Executor,
        store: Store,
        callbacks: Sequence[Callback],
        objective: Objective | Objectives,
        budget: Budget,
        keep: int,
        artifacts: Artifacts,
        max_failures: int,
        study_seed: int,
        observer: Observer | None = None,
    ) -> None:
        """Wire the parts together.

        Args:
            searcher: chooses configurations.
            executor: trains trials; closed when `run` ends.
            store: keeps the study.
            callbacks: rules that end trials early; the first one that says so gives the reason.
                One of them at most is a scheduler.
            objective: what is searched for; rules and the budget go by the first of several objectives.
            budget: when the study ends.
            keep: how many of the best models stay.
            artifacts: the study's files.
            max_failures: failed trials of this run that end it.
            study_seed: `[search] seed`.
            observer: looks on, at most about ten times a second.
        """
        self._searcher = searcher
        self._executor = executor
        self._store = store
        self._rules = Rules(callbacks)
        self._scheduler = self._rules.scheduler
        objectives = Objectives.of(objective)
        self._artifacts = artifacts
        self._retention = ModelRetention(keep, artifacts, objectives)
        self._progress = StudyProgress(objectives)
        self._study_seed = study_seed
        self._observer = observer
        self._shown = -_SHOW_EVERY_S
        self._ends = EndConditions(budget, objectives.primary, max_failures, self._progress.gains)
        self._interrupts = Interrupts()
        self._closed = False
        self._origin = time.monotonic()
        self._recorder = TurnRecorder(store, executor, self._retention, self._progress.running, self._show)
        self._requests = Requests(store, searcher, self._seconds)

    def run(
        self,
        history: Sequence[TrialRecord] = (),
        curves: Mapping[int, Sequence[Reading]] | None = None,
        seconds_before: float = 0.0,
        position: Mapping[str, Any] | None = None,
        ended: EndedCurves | None = None,
    ) -> tuple[StudyState, str]:
        """Go on until the study ends.

        Args:
            history: the stored trials in the order of their numbers. Those that are not over go
                on where their curves end, before any new one.
            curves: the stored readings by number; those of trials that are over may be in `ended`.
            seconds_before: wall time of earlier sessions.
            position: `Turn.position` of the last recorded turn.
            ended: the curves of trials that are over.

        Returns:
            How the study ended, and why in words; both are stored.

        Raises:
            KeyboardInterrupt: after the study was stored as interrupted.
            Exception: whatever a part raised, after the study was stored as failed.
        """
        self._origin = time.monotonic() - seconds_before
        try:
            with self._interrupts:
                with garbage.postponed():
                    self._replay(history, curves or {}, ended)
                self._executor.restore(position or {})
                state, reason = self._timed()
        except KeyboardInterrupt:
            self._finish(StudyState.INTERRUPTED, "stopped by the user")
            raise
        except BaseException as error:
            self._finish(StudyState.FAILED, described(error))
            raise
        else:
            self._recorder.flush()
            # Workers that were killed may have left models that no record names.
            self._release()
            self._retention.tidy()
            self._store.finish(state, reason, self._seconds())
            self._show(last=True)
        finally:
            self._release()
        return state, reason

    def _release(self) -> None:
        """Close the executor, once."""
        if not self._closed:
            self._closed = True
            self._executor.close(at_once=self._interrupts.at_once)

    def _replay(
        self,
        history: Sequence[TrialRecord],
        curves: Mapping[int, Sequence[Reading]],
        ended: EndedCurves | None,
    ) -> None:
        """Take in a stored study, so that all parts know what they would know had it never stopped."""
        objective = self._progress.objective
        told = (as_told(record, curves.get(record.number, ()), objective) for record in history)
        self._searcher.replay(list(told))
        self._recorder.lost = self._retention.replay(history)
        lying = self._artifacts.checkpoints()
        self._recorder.dropped = [r.number for r in history if r.state.is_over and r.number in lying]
        self._progress.replay(history, curves, self._study_seed, has_scheduler=self._scheduler is not None)
        self._rules.replay(history, curves, ended, self._study_seed)

    def _timed(self) -> tuple[StudyState, str]:
        """The loop, broken off where an epoch goes on for long after the study's seconds are used up."""
        self._interrupts.limit(self._ends.left(self._seconds()))
        try:
            return self._loop()
        except KeyboardInterrupt:
            end = self._ends.early(self._progress.spent(self._seconds()))
            if self._interrupts.asked or end is None:
                raise
            return end

    def _loop(self) -> tuple[StudyState, str]:
        turn = Turn(forgotten=list(self._recorder.lost))
        while True:
            self._attend(turn)
            spent = self._progress.spent(self._seconds())
            end = self._ends.early(spent)
            if end is None:
                self._fill(turn, spent)
                end = self._all_done(turn)
            self._recorder.note(turn, self._seconds())
            # Trials that were told to leave have done their part: their records are waited for.
            if end is not None and not self._progress.leaving:
                return end
            if self._interrupts.asked:
                self._interrupts.calm()
                raise KeyboardInterrupt
            turn = Turn()
            self._take(self._executor.poll(self._patience(spent)), turn, ending=end is not None)

    def _all_done(self, turn: Turn) -> tuple[StudyState, str] | None:
        """Why nothing is left to train, if nothing is; trials that are still paused end with that."""
        if self._progress.is_busy or (self._progress.paused and not self._executor.free()):
            return None
        end = self._ends.done(self._progress.spent(0.0))
        if end is not None:
            self._attend(turn, at_once=True)  # its budget may be raised at the last moment
            end = self._ends.done(self._progress.spent(0.0))
        if end is not None:
            self._dismiss(turn, last=True)
        return end

    def _patience(self, spent: Spent) -> float:
        left = self._ends.left(spent.seconds)
        due = self._recorder.due - self._seconds()
        return max(0.0, min(_POLL_S, left, due))

    def _fill(self, turn: Turn, spent: Spent) -> None:
        """Submit as many trials as there is room for: interrupted, then promoted, then new ones."""
        self._go_on(turn)
        self._promote(turn, last=False)
        self._dismiss(turn, last=False)
        free, room = self._executor.free(), self._ends.room(spent)
        wanted = free if room is None else min(free, room)
        if wanted > 0 and not self._progress.waiting:
            given = self._requests.configurations(wanted) if self._progress.trials else []
            turn.taken |= {trial.number: request for request, trial in given}
            self._submit([Placement(trial) for _, trial in given], turn)
            wanted -= len(given)
        if wanted > 0 and not self._ends.is_space_used_up and not self._progress.waiting:
            chosen = self._searcher.ask(wanted)
            self._ends.is_space_used_up = len(chosen) < wanted
            self._submit([Placement(trial) for trial in chosen], turn)
        if not self._progress.running:
            self._promote(turn, last=True)

    def _go_on(self, turn: Turn) -> None:
        """Submit what an earlier session left running; what it had decided is carried out at once."""
        waiting = sorted(self._progress.waiting.values(), key=lambda f: (f.order is None, f.trial.number))
        ordered = [active for active in waiting if active.order is not None][: self._executor.free()]
        self._submit([active.placement for active in ordered], turn)
        self._order({active.trial.number: active.order for active in ordered if active.order is not None})
        others = [active for active in waiting if active.order is None][: self._executor.free()]
        self._submit([active.placement for active in others], turn)

    def _promote(self, turn: Turn, *, last: bool) -> None:
        free, paused = self._executor.free(), self._progress.paused
        if self._scheduler is not None and paused and free:
            numbers = self._scheduler.promote(paused.keys(), free, last=last)
            self._submit([paused[number].placement for number in numbers], turn)

    def _dismiss(self, turn: Turn, *, last: bool) -> None:
        """End paused trials that will not go on."""
        paused = self._progress.paused
        if self._scheduler is None or not paused:
            return
        stops = self._scheduler.dismiss(paused.keys(), last=last)
        for number, stop in sorted(stops.items()):
            self._give_up(paused.pop(number), stop, turn)
        if stops:
            self._searcher.tell(turn.ended[-len(stops) :])

    def _give_up(self, active: RunningTrial, stop: Stop, turn: Turn) -> None:
        self._close(active.dismissed(stop), turn)
        self._recorder.dropped.append(active.trial.number)

    def _attend(self, turn: Turn, *, at_once: bool = False) -> None:
        """Carry out what is asked for beside further trials."""
        for asked in self._requests.others(at_once=at_once):
            done = self._ends.heed(asked, turn) or self._end_trial(asked.content["trial"], turn)
            turn.answers[asked.id] = done
            self._interrupts.limit(self._ends.left(self._seconds()))

    def _end_trial(self, number: int, turn: Turn) -> str:
        stop, running = Stop("request", "it was ended on request", conclusive=False), self._progress.running
        if (idle := self._progress.taken_out(number)) is not None:
            self._give_up(idle, stop, turn)
            self._searcher.tell(turn.ended[-1:])
        elif number in running and running[number].order is None:
            turn.orders[number] = stop
            self._progress.order(number, stop)
            self._order({number: stop})
        else:
            return f"trial {number} has ended already"
        return f"trial {number} is ended"

    def _submit(self, placements: Sequence[Placement], turn: Turn) -> None:
        for placement in placements:
            self._progress.begin(placement.trial)
            turn.started.append(placement.trial)
        if placements:
            self._executor.submit(placements, self._retention.bar)

    def _take(self, events: Iterable[Event], turn: Turn, *, ending: bool) -> None:
        """Take in what happened, then decide in the order of trial numbers."""
        read: set[int] = set()
        ends: dict[int, Finished | Stopped | Paused | Failed] = {}
        for event in events:
            number = event.number
            if isinstance(event, Reported):
                self._progress.read(number, event.reading)
                turn.readings.append((number, event.reading))
                self._learn(event.reading.asked, turn)
                read.add(number)
            elif isinstance(event, Restarted):
                self._progress.restart(number)
                turn.readings = [each for each in turn.readings if each[0] != number]
                turn.restarted.append(number)
                read.discard(number)
            elif isinstance(event, Interrupted):
                self._progress.interrupt(number)
                turn.interrupted.append(number)
            else:
                ends[number] = event
        orders = self._rules.orders(sorted(read), self._progress, self._ends)
        for number in sorted(ends):
            self._end(ends[number], orders.pop(number, None), turn)
        if turn.ended or turn.paused:
            self._searcher.tell([*turn.paused, *turn.ended])
        if orders and not ending:
            turn.orders |= orders
            for number, order in orders.items():
                self._progress.order(number, order)
            self._order(orders)

    def _learn(self, asked: Mapping[str, Any], turn: Turn) -> None:
        """Search what a trainer has asked for, too, if the study says so."""
        if asked and (learned := self._searcher.learn(asked)):
            turn.changed["space"].update(learned)
            self._ends.is_space_used_up = False

    def _order(self, orders: Mapping[int, Stop | Pause]) -> None:
        """Tell the executor which trials leave their rows, and which models are wanted."""
        stops: dict[int, bool] = {}
        pauses: dict[int, bool] = {}
        for number, order in orders.items():
            active, paused = self._progress.running[number], isinstance(order, Pause)
            conclusive = isinstance(order, Stop) and order.conclusive
            wanted = self._retention.wants(number, active.value, active.best, conclusive=conclusive)
            (pauses if paused else stops)[number] = wanted
        if stops:
            self._executor.stop(stops)
        if pauses:
            self._executor.pause(pauses)

    def _end(
        self, event: Finished | Stopped | Paused | Failed, order: Stop | Pause | None, turn: Turn
    ) -> None:
        """A trial has left its row.

        Args:
            event: how.
            order: what a rule said of its last epoch, if it trained one in this turn.
            turn: takes the record.
        """
        active = self._progress.end(event.number)
        stop = order if isinstance(order, Stop) else None
        record = active.left(event, stop, self._progress.objective.metric)
        if record.state is not TrialState.PAUSED:
            self._close(record, turn)
            return
        record = self._kept(record, turn)
        self._progress.pause(active, record.model_path)
        turn.paused.append(record)

    def _close(self, record: TrialRecord, turn: Turn) -> None:
        """A trial is over."""
        record = self._kept(record, turn)
        turn.ended.append(record)
        self._progress.close(record)
        if record.state is TrialState.FAILED:
            self._ends.failed(record)

    def _kept(self, record: TrialRecord, turn: Turn) -> TrialRecord:
        """The record, with its model's path only if the model stays."""
        record, lost = self._retention.admit(record)
        self._recorder.lost += lost
        if record.model_path is not None and record.number in turn.forgotten:
            turn.forgotten.remove(record.number)
        for number in lost:
            if number != record.number:
                turn.forgotten.append(number)
                self._progress.forget(number)
        return record

    def _show(self, *, last: bool = False) -> None:
        moment = time.monotonic()
        if self._observer is not None and (moment - self._shown >= _SHOW_EVERY_S or last):
            self._shown = moment
            self._observer.turn(self._progress.status(self._ends.budget, self._seconds()))

    def _finish(self, state: StudyState, reason: str) -> None:
        """Note an end that was not planned; the error that is on its way says more than a second one."""
        try:
            self._recorder.flush()
            self._store.finish(state, reason, self._seconds())
        except Exception as error:  # noqa: BLE001
            note = _LOG.debug if isinstance(error, StudyLocked) else _LOG.exception  # another one has it
            note("the end of the study could not be stored")

    def _seconds(self) -> float:
        return time.monotonic() - self._origin
