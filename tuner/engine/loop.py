"""Engine: the loop that fills, polls, decides and records.

The only writer of a study. It sees ports alone: not where trials train, how configurations are
chosen, what is stored where, or what a rule looks at.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tuner.artifacts import Artifacts
from tuner.core import garbage, words
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
    Unkept,
)
from tuner.core.goals import Goals
from tuner.core.ports import (
    Callback,
    Ended,
    Executor,
    Observer,
    Placement,
    Recalling,
    Scheduler,
    Searcher,
    Status,
    Store,
    Turn,
)
from tuner.core.trial import Objective, Params, Pause, Reading, Stop, Trial, TrialRecord, TrialState
from tuner.engine.interrupts import Interrupts
from tuner.engine.keeper import Keeper
from tuner.engine.ledger import Ledger
from tuner.errors import SpecError, described

_POLL_S = 0.5
_SHOW_EVERY_S = 0.1
_TOGETHER_S = 0.05
"""Turns that come sooner after the last transaction wait for the next one."""

_SIGN_OF_LIFE_S = 10.0
_LOOK_EVERY_S = 1.0
"""How often it is looked whether somebody has enqueued a trial."""

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
        objective: Objective | Goals,
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
            objective: what is searched for; rules and the budget go by the first of several goals.
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
        self._callbacks = tuple(callbacks)
        self._scheduler = next((each for each in self._callbacks if isinstance(each, Scheduler)), None)
        goals = Goals.of(objective)
        self._objective = goals.primary
        self._budget = budget
        self._artifacts = artifacts
        self._keeper = Keeper(keep, artifacts, goals)
        self._ledger = Ledger(goals)
        self._max_failures = max_failures
        self._study_seed = study_seed
        self._observer = observer
        self._shown = -_SHOW_EVERY_S
        self._failures = 0
        self._last_failure = ""
        self._space_used_up = False
        self._reached: float | None = None
        self._lost: list[int] = []
        self._dropped: list[int] = []
        self._interrupts = Interrupts()
        self._closed = False
        self._origin = time.monotonic()
        self._recorded = -math.inf
        self._turns: list[Turn] = []
        self._enqueued: deque[tuple[int, Params]] = deque()
        self._known_ids: set[int] = set()
        self._looked = -math.inf

    def run(
        self,
        history: Sequence[TrialRecord] = (),
        curves: Mapping[int, Sequence[Reading]] | None = None,
        seconds_before: float = 0.0,
        position: Mapping[str, Any] | None = None,
        ended: Ended | None = None,
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
                with garbage.put_off():
                    self._replay(history, curves or {})
                    if ended is not None:
                        self._recall(ended, {record.number: record.params for record in history})
                self._executor.restore(position or {})
                state, reason = self._timed()
        except KeyboardInterrupt:
            self._finish(StudyState.INTERRUPTED, "stopped by the user")
            raise
        except BaseException as error:
            self._finish(StudyState.FAILED, described(error))
            raise
        else:
            self._record()
            # Workers that were killed may have left models that nobody knows of.
            self._release()
            self._keeper.tidy()
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

    def _replay(self, history: Sequence[TrialRecord], curves: Mapping[int, Sequence[Reading]]) -> None:
        self._searcher.replay([self._known(record, curves.get(record.number, ())) for record in history])
        self._lost = self._keeper.replay(history)
        lying = self._artifacts.checkpoints()
        self._dropped = [r.number for r in history if r.state.is_over and r.number in lying]
        for record in history:
            stored = curves.get(record.number, ())
            self._ledger.replay(record, stored, self._study_seed)
            if stored:
                trial = Trial(record.number, record.params, self._study_seed)
                _judge_again(self._callbacks, trial, stored)
        if self._scheduler is None:
            # They were paused under another rule; nobody else would let them go on.
            self._ledger.waiting |= self._ledger.paused
            self._ledger.paused.clear()

    def _recall(self, ended: Ended, params: Mapping[int, Params]) -> None:
        """Let the rules know the trials that are over, the built-in ones without an object per epoch."""
        recalling = [rule for rule in self._callbacks if isinstance(rule, Recalling)]
        others = [rule for rule in self._callbacks if not isinstance(rule, Recalling)]
        for past in ended.columns() if recalling else ():
            for rule in recalling:
                rule.recall(past, self._study_seed)
        for number, curve in ended.curves() if others else ():
            _judge_again(others, Trial(number, params[number], self._study_seed), curve)

    def _known(self, record: TrialRecord, curve: Sequence[Reading]) -> TrialRecord:
        """A stored trial as the searcher knew it: one that goes on after a pause, as it was then."""
        if record.state.is_over or not record.paused_at:
            return record
        best = self._objective.best(curve[: record.paused_at])
        value = None if best is None else self._objective.of(best)
        return replace(record, state=TrialState.PAUSED, value=value, best=best, epochs=record.paused_at)

    def _timed(self) -> tuple[StudyState, str]:
        """The loop, broken off where an epoch goes on for long after the study's seconds are used up."""
        if self._budget.seconds is not None:
            self._interrupts.limit(self._budget.seconds - self._seconds())
        try:
            return self._loop()
        except KeyboardInterrupt:
            end = self._left_early(self._ledger.spent(self._seconds()))
            if self._interrupts.asked or end is None:
                raise
            return end

    def _loop(self) -> tuple[StudyState, str]:
        turn = Turn(forgotten=list(self._lost))
        while True:
            spent = self._ledger.spent(self._seconds())
            end = self._left_early(spent)
            if end is None:
                self._fill(turn, spent)
                end = self._all_done(turn)
            self._note(turn)
            # Trials that were told to leave have done their part: their records are waited for.
            if end is not None and not self._ledger.leaving:
                return end
            if self._interrupts.asked:
                self._interrupts.calm()
                raise KeyboardInterrupt
            turn = Turn()
            self._take(self._executor.poll(self._patience(spent)), turn, ending=end is not None)

    def _left_early(self, spent: Spent) -> tuple[StudyState, str] | None:
        """Why running trials are left where they are, if they are."""
        if self._failures >= self._max_failures:
            return StudyState.FAILED, f"{self._failures} trials failed; the last: {self._last_failure}"
        if self._reached is not None:
            spent = replace(spent, best=self._reached)
        reason = self._budget.exhausted(spent, self._objective)
        return None if reason is None else (StudyState.FINISHED, reason)

    def _all_done(self, turn: Turn) -> tuple[StudyState, str] | None:
        """Why nothing is left to train, if nothing is; trials that are still paused end with that."""
        ledger = self._ledger
        if ledger.flights or ledger.waiting or (ledger.paused and not self._free()):
            return None
        if self._budget.room(ledger.spent(0.0)) == 0:
            reason = f"the budget of {words.count(self._budget.trials or 0, 'trial')} is used up"
        elif self._space_used_up:
            reason = "every configuration of the space has been tried"
        else:
            return None
        self._dismiss(turn, last=True)
        return StudyState.FINISHED, reason

    def _patience(self, spent: Spent) -> float:
        left = math.inf if self._budget.seconds is None else self._budget.seconds - spent.seconds
        due = self._recorded + _TOGETHER_S - self._seconds() if self._turns else math.inf
        return max(0.0, min(_POLL_S, left, due))

    def _fill(self, turn: Turn, spent: Spent) -> None:
        """Submit as many trials as there is room for: interrupted, then promoted, then new ones."""
        self._go_on(turn)
        self._promote(turn, last=False)
        self._dismiss(turn, last=False)
        free, room = self._executor.free(), self._budget.room(spent)
        wanted = free if room is None else min(free, room)
        if wanted > 0 and not self._ledger.waiting:
            wanted -= self._submit_enqueued(turn, wanted)
        if wanted > 0 and not self._space_used_up and not self._ledger.waiting:
            chosen = self._searcher.ask(wanted)
            self._space_used_up = len(chosen) < wanted
            self._submit([Placement(trial) for trial in chosen], turn)
        if not self._ledger.flights:
            self._promote(turn, last=True)

    def _submit_enqueued(self, turn: Turn, most: int) -> int:
        """Submit configurations that others want trained, after the default one, and say how many."""
        if self._ledger.trials and self._seconds() - self._looked >= _LOOK_EVERY_S:
            self._looked = self._seconds()
            new = {i: given for i, given in self._store.enqueued().items() if i not in self._known_ids}
            self._known_ids.update(new)
            self._enqueued.extend(new.items())
        trials: list[Trial] = []
        refused: dict[int, str] = {}
        while self._enqueued and len(trials) < most:
            key, given = self._enqueued.popleft()
            try:
                trial = self._searcher.take(given)
            except SpecError as error:
                refused[key] = f"it is not trained: {'; '.join(error.faults)}"
                _LOG.warning("an enqueued trial %s: %s", dict(given), refused[key])
                continue
            turn.claimed[trial.number] = key
            trials.append(trial)
        if refused:
            self._store.refuse(refused)
        self._submit([Placement(trial) for trial in trials], turn)
        return len(trials)

    def _go_on(self, turn: Turn) -> None:
        """Submit what an earlier session left in flight; what it had decided is carried out at once."""
        waiting = sorted(self._ledger.waiting.values(), key=lambda f: (f.order is None, f.trial.number))
        ordered = [flight for flight in waiting if flight.order is not None][: self._free()]
        self._submit([flight.placement for flight in ordered], turn)
        self._order({flight.trial.number: flight.order for flight in ordered if flight.order is not None})
        others = [flight for flight in waiting if flight.order is None][: self._free()]
        self._submit([flight.placement for flight in others], turn)

    def _promote(self, turn: Turn, *, last: bool) -> None:
        free, paused = self._free(), self._ledger.paused
        if self._scheduler is not None and paused and free:
            numbers = self._scheduler.promote(paused.keys(), free, last=last)
            self._submit([paused[number].placement for number in numbers], turn)

    def _dismiss(self, turn: Turn, *, last: bool) -> None:
        """End paused trials that will not go on."""
        paused = self._ledger.paused
        if self._scheduler is None or not paused:
            return
        stops = self._scheduler.dismiss(paused.keys(), last=last)
        for number, stop in sorted(stops.items()):
            flight = paused.pop(number)
            self._close(flight.stopped(stop, flight.model_path), turn)
            self._dropped.append(number)
        if stops:
            self._searcher.tell(turn.ended[-len(stops) :])

    def _free(self) -> int:
        return max(0, self._executor.free())

    def _submit(self, placements: Sequence[Placement], turn: Turn) -> None:
        for placement in placements:
            self._ledger.begin(placement.trial)
            turn.started.append(placement.trial)
        if placements:
            self._executor.submit(placements, self._keeper.bar)

    def _take(self, events: Iterable[Event], turn: Turn, *, ending: bool) -> None:
        """Take in what happened, then decide in the order of trial numbers."""
        read: set[int] = set()
        ends: dict[int, Finished | Stopped | Paused | Failed] = {}
        for event in events:
            number = event.number
            if isinstance(event, Reported):
                self._ledger.read(number, event.reading)
                turn.readings.append((number, event.reading))
                read.add(number)
            elif isinstance(event, Restarted):
                self._ledger.restart(number)
                turn.readings = [each for each in turn.readings if each[0] != number]
                turn.restarted.append(number)
                read.discard(number)
            elif isinstance(event, Interrupted):
                self._ledger.interrupt(number)
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
                self._ledger.order(number, order)
            self._order(orders)

    def _order(self, orders: Mapping[int, Stop | Pause]) -> None:
        """Tell the executor which trials leave their rows, and which models are wanted."""
        stops: dict[int, bool] = {}
        pauses: dict[int, bool] = {}
        for number, order in orders.items():
            flight, paused = self._ledger.flights[number], isinstance(order, Pause)
            conclusive = isinstance(order, Stop) and order.conclusive
            wanted = self._keeper.wants(number, flight.value, flight.best, conclusive=conclusive)
            (pauses if paused else stops)[number] = wanted
        if stops:
            self._executor.stop(stops)
        if pauses:
            self._executor.pause(pauses)

    def _decide(self, numbers: Iterable[int]) -> dict[int, Stop | Pause]:
        orders: dict[int, Stop | Pause] = {}
        target = self._budget.target
        for number in numbers:
            flight = self._ledger.flights[number]
            order = self._judge(flight.trial, flight.curve)
            reached = target is not None and not self._objective.better(target, flight.value)
            if reached and not isinstance(order, Stop) and self._ledger.meets(flight.best):
                reason = f"its {self._objective.metric} of {flight.value:g} reaches the target of {target:g}"
                order = Stop("target", reason, conclusive=True)
                self._reached = flight.value
            if order is not None and flight.order is None:
                orders[number] = order
        return orders

    def _judge(self, trial: Trial, curve: Sequence[Reading]) -> Stop | Pause | None:
        """Ask every rule, so that each has seen every reading; the first that stops is right."""
        stop: Stop | None = None
        pause: Pause | None = None
        for callback in self._callbacks:
            order = callback.decide(trial, curve)
            if isinstance(order, Stop):
                stop = stop or order
            else:
                pause = pause or order
        return stop or pause

    def _end(
        self, event: Finished | Stopped | Paused | Failed, order: Stop | Pause | None, turn: Turn
    ) -> None:
        """A trial has left its row.

        Args:
            event: how.
            order: what a rule said of its last epoch, if it trained one in this turn.
            turn: takes the record.
        """
        flight = self._ledger.end(event.number)
        if isinstance(event, Failed):
            self._close(flight.record(TrialState.FAILED, reason=event.error, traceback=event.traceback), turn)
        elif isinstance(event, Paused) and isinstance(flight.order, Pause):
            record = self._kept(_noted(flight.paused(flight.order, event.model_path), event.unkept), turn)
            self._ledger.park(flight, record.model_path)
            turn.paused.append(record)
        elif isinstance(event, Stopped) and isinstance(flight.order, Stop):
            self._close(_noted(flight.stopped(flight.order, event.model_path), event.unkept), turn)
        else:
            stop = order if isinstance(order, Stop) else None
            record = flight.finished(self._objective.metric, stop, event.model_path)
            self._close(_noted(record, event.unkept), turn)

    def _close(self, record: TrialRecord, turn: Turn) -> None:
        """A trial is over."""
        record = self._kept(record, turn)
        turn.ended.append(record)
        self._ledger.close(record)
        if record.state is TrialState.FAILED:
            self._failures += 1
            self._last_failure = f"trial {record.number}: {record.reason}"

    def _kept(self, record: TrialRecord, turn: Turn) -> TrialRecord:
        """The record, with its model's path only if the model stays."""
        record, lost = self._keeper.admit(record)
        self._lost += lost
        if record.model_path is not None and record.number in turn.forgotten:
            turn.forgotten.remove(record.number)
        for number in lost:
            if number != record.number:
                turn.forgotten.append(number)
                self._ledger.forget(number)
        return record

    def _note(self, turn: Turn) -> None:
        """Record a turn that brings news: at once, or with those that come thick and fast behind it.

        Whoever is killed before that goes on where the last transaction left the study, and comes
        by the same turns again. Without news, a turn is recorded now and then as a sign of life.
        """
        turn.seconds, turn.position = self._seconds(), self._executor.position()
        news = (
            turn.started
            or turn.readings
            or turn.ended
            or turn.paused
            or turn.restarted
            or turn.interrupted
            or turn.forgotten
            or self._dropped
        )
        since = turn.seconds - self._recorded
        if news or since >= _SIGN_OF_LIFE_S:
            self._turns.append(turn)
        # A model that is no longer kept goes before its trial can write another one in its place.
        if since >= _TOGETHER_S or self._lost:
            self._record()

    def _record(self) -> None:
        """Store the turns that were noted; only then delete the models that they forget."""
        turns, self._turns = self._turns, []
        if not turns:
            return
        self._recorded = turns[-1].seconds
        self._store.record(*turns)
        self._keeper.discard(self._lost, self._ledger.flights)
        self._executor.drop(self._dropped)
        self._lost, self._dropped = [], []
        self._show()

    def _show(self, *, last: bool = False) -> None:
        moment = time.monotonic()
        if self._observer is None or (moment - self._shown < _SHOW_EVERY_S and not last):
            return
        self._shown = moment
        ledger = self._ledger
        running = {number: flight.curve for number, flight in ledger.flights.items()}
        spent = ledger.spent(self._seconds())
        self._observer.turn(
            Status(self._budget, spent, running, ledger.counts(), ledger.best, ledger.default)
        )

    def _finish(self, state: StudyState, reason: str) -> None:
        """Note an end that was not planned; the error that is on its way says more than a second one."""
        try:
            self._record()
            self._store.finish(state, reason, self._seconds())
        except Exception:  # noqa: BLE001
            _LOG.exception("the end of the study could not be stored")

    def _seconds(self) -> float:
        return time.monotonic() - self._origin


def _noted(record: TrialRecord, unkept: Unkept | None) -> TrialRecord:
    """The record, with why its model is not kept."""
    if unkept is None:
        return record
    why = f"its model was not kept: {unkept.error}"
    reason = f"{record.reason}; {why}" if record.reason else why
    return replace(record, reason=reason, traceback=unkept.traceback)


def _judge_again(rules: Sequence[Callback], trial: Trial, stored: Sequence[Reading]) -> None:
    """Show rules every reading of a stored trial, as it came; what they decide was decided then."""
    curve: list[Reading] = []
    for reading in stored:
        curve.append(reading)
        for rule in rules:
            rule.decide(trial, curve)
