"""Engine: the loop that fills, polls, decides and records; it sees ports alone.

The only writer of a study; all of it runs in the thread that called `run`. What happens follows from the
stored study and the order of the executor's events, never from a clock, so that a study that was cut
off goes on as it would have.
"""

from __future__ import annotations

import logging
import math
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
from tuner.core.trial import Objective, Pause, Reading, Stop, Trial, TrialRecord, TrialState
from tuner.engine.ending import EndConditions
from tuner.engine.enqueued import EnqueuedTrials
from tuner.engine.interrupts import Interrupts
from tuner.engine.progress import StudyProgress, as_told
from tuner.engine.recording import TurnRecorder
from tuner.engine.retention import ModelRetention
from tuner.engine.rules import Rules
from tuner.errors import described

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
            keep: how many of the best models are kept.
            artifacts: the study's files.
            max_failures: failed trials of this run that end it.
            study_seed: `[search] seed`, for trials that start again.
            observer: looks on, at most about ten times a second.
        """
        self._searcher = searcher
        self._executor = executor
        self._store = store
        self._rules = Rules(callbacks)
        self._scheduler = self._rules.scheduler
        objectives = Objectives.of(objective)
        self._objective = objectives.primary
        self._budget = budget
        self._artifacts = artifacts
        self._retention = ModelRetention(keep, artifacts, objectives)
        self._progress = StudyProgress(objectives)
        self._study_seed = study_seed
        self._observer = observer
        self._shown = -_SHOW_EVERY_S
        self._ends = EndConditions(budget, objectives.primary, max_failures)
        self._interrupts = Interrupts()
        self._closed = False
        self._origin = time.monotonic()
        self._recorder = TurnRecorder(store, executor, self._retention, self._progress.running, self._show)
        self._enqueued = EnqueuedTrials(store, searcher, self._seconds)

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
        told = (as_told(record, curves.get(record.number, ()), self._objective) for record in history)
        self._searcher.replay(list(told))
        self._recorder.lost = self._retention.replay(history)
        lying = self._artifacts.checkpoints()
        self._recorder.dropped = [r.number for r in history if r.state.is_over and r.number in lying]
        for record in history:
            stored = curves.get(record.number, ())
            self._progress.replay(record, stored, self._study_seed)
            if stored:
                self._rules.replay(Trial(record.number, record.params, self._study_seed), stored)
        if ended is not None:
            params = {record.number: record.params for record in history}
            self._rules.recall(ended, params, self._study_seed)
        if self._scheduler is None:
            # They were paused under another rule; no rule of this study would resume them.
            self._progress.waiting |= self._progress.paused
            self._progress.paused.clear()

    def _timed(self) -> tuple[StudyState, str]:
        """The loop, broken off where an epoch goes on for long after the study's seconds are used up."""
        if self._budget.seconds is not None:
            self._interrupts.limit(self._budget.seconds - self._seconds())
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
            self._dismiss(turn, last=True)
        return end

    def _patience(self, spent: Spent) -> float:
        left = math.inf if self._budget.seconds is None else self._budget.seconds - spent.seconds
        due = self._recorder.due - self._seconds()
        return max(0.0, min(_POLL_S, left, due))

    def _fill(self, turn: Turn, spent: Spent) -> None:
        """Submit as many trials as there is room for: interrupted, then promoted, then new ones."""
        self._go_on(turn)
        self._promote(turn, last=False)
        self._dismiss(turn, last=False)
        free, room = self._executor.free(), self._budget.room(spent)
        wanted = free if room is None else min(free, room)
        if wanted > 0 and not self._progress.waiting:
            given = self._enqueued.take(wanted) if self._progress.trials else {}
            turn.claimed |= {trial.number: key for key, trial in given.items()}
            self._submit([Placement(trial) for trial in given.values()], turn)
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
            active = paused.pop(number)
            self._close(active.dismissed(stop), turn)
            self._recorder.dropped.append(number)
        if stops:
            self._searcher.tell(turn.ended[-len(stops) :])

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
        orders = self._decide(sorted(read))
        for number in sorted(ends):
            self._end(ends[number], orders.pop(number, None), turn)
        if turn.ended or turn.paused:
            self._searcher.tell([*turn.paused, *turn.ended])
        if orders and not ending:
            turn.orders |= orders
            for number, order in orders.items():
                self._progress.order(number, order)
            self._order(orders)

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

    def _decide(self, numbers: Iterable[int]) -> dict[int, Stop | Pause]:
        orders: dict[int, Stop | Pause] = {}
        target = self._budget.target
        for number in numbers:
            active = self._progress.running[number]
            order = self._rules.decide(active.trial, active.curve)
            reached = target is not None and not self._objective.better(target, active.value)
            if reached and not isinstance(order, Stop) and self._progress.meets(active.best):
                reason = f"its {self._objective.metric} of {active.value:g} reaches the target of {target:g}"
                order = Stop("target", reason, conclusive=True)
                self._ends.reached = active.value
            if order is not None and active.order is None:
                orders[number] = order
        return orders

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
        record = active.left(event, stop, self._objective.metric)
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
            self._observer.turn(self._progress.status(self._budget, self._seconds()))

    def _finish(self, state: StudyState, reason: str) -> None:
        """Note an end that was not planned; the error that is on its way says more than a second one."""
        try:
            self._recorder.flush()
            self._store.finish(state, reason, self._seconds())
        except Exception:  # noqa: BLE001
            _LOG.exception("the end of the study could not be stored")

    def _seconds(self) -> float:
        return time.monotonic() - self._origin
