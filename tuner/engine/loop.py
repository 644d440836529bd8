"""Engine: the loop that fills, polls, decides and records.

The only writer of a study. It sees ports alone: not where trials train, how configurations are
chosen, what is stored where, or what a rule looks at.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tuner.core.budget import Budget, Spent, StudyState
from tuner.core.events import Event, Failed, Finished, Reported, Restarted, Stopped
from tuner.core.ports import Callback, Executor, Observer, Searcher, Status, Store, Turn
from tuner.core.trial import Objective, Reading, Stop, Trial, TrialRecord, TrialState
from tuner.engine.keeper import Keeper
from tuner.engine.ledger import Ledger
from tuner.errors import TunerError

_POLL_S = 0.5
_SHOW_EVERY_S = 0.1
_SIGN_OF_LIFE_S = 10.0
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
        objective: Objective,
        budget: Budget,
        keep: int,
        models: Path,
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
            objective: what is searched for.
            budget: when the study ends.
            keep: how many of the best models are kept.
            models: the folder they are in.
            max_failures: failed trials of this run that end it.
            study_seed: `[search] seed`, for trials that start again.
            observer: looks on, at most about ten times a second.
        """
        self._searcher = searcher
        self._executor = executor
        self._store = store
        self._callbacks = tuple(callbacks)
        self._objective = objective
        self._budget = budget
        self._keeper = Keeper(keep, models, objective)
        self._ledger = Ledger(objective)
        self._max_failures = max_failures
        self._study_seed = study_seed
        self._observer = observer
        self._shown = -_SHOW_EVERY_S
        self._failures = 0
        self._last_failure = ""
        self._space_used_up = False
        self._reached: float | None = None
        self._lost: list[int] = []
        self._origin = time.monotonic()
        self._recorded = 0.0

    def run(
        self,
        history: Sequence[TrialRecord] = (),
        curves: Mapping[int, Sequence[Reading]] | None = None,
        seconds_before: float = 0.0,
    ) -> tuple[StudyState, str]:
        """Go on until the study ends.

        Args:
            history: the stored trials in the order of their numbers. Those that are not over
                start again, before any new one.
            curves: the stored readings of those that are over, by number.
            seconds_before: wall time of earlier sessions.

        Returns:
            How the study ended, and why in words; both are stored.

        Raises:
            KeyboardInterrupt: after the study was stored as interrupted.
            Exception: whatever a part raised, after the study was stored as failed.
        """
        self._origin = time.monotonic() - seconds_before
        self._recorded = seconds_before
        try:
            self._replay(history, curves or {})
            state, reason = self._loop()
        except KeyboardInterrupt:
            self._finish(StudyState.INTERRUPTED, "stopped by the user")
            raise
        except BaseException as error:
            self._finish(StudyState.FAILED, _sentence(error))
            raise
        else:
            self._store.finish(state, reason, self._seconds())
            self._show(last=True)
        finally:
            self._executor.close()
        return state, reason

    def _replay(self, history: Sequence[TrialRecord], curves: Mapping[int, Sequence[Reading]]) -> None:
        self._searcher.replay(history)
        self._lost = self._keeper.replay(history)
        for record in history:
            self._ledger.replay(record, self._study_seed)
            if not record.state.is_over:
                continue
            trial = Trial(record.number, record.params, self._study_seed)
            curve: list[Reading] = []
            for reading in curves.get(record.number, ()):
                curve.append(reading)
                self._judge(trial, curve)

    def _loop(self) -> tuple[StudyState, str]:
        turn = Turn(forgotten=list(self._lost))
        while True:
            spent = self._ledger.spent(self._seconds())
            end = self._left_early(spent)
            if end is None:
                self._fill(turn, spent)
                end = self._all_done()
            self._record(turn)
            # Trials that were told to stop have done their part: their records are waited for.
            if end is not None and not self._ledger.stopping:
                return end
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

    def _all_done(self) -> tuple[StudyState, str] | None:
        """Why nothing is left to train, if nothing is."""
        ledger = self._ledger
        if ledger.flights or ledger.waiting:
            return None
        if self._budget.room(ledger.spent(0.0)) == 0:
            return StudyState.FINISHED, f"the budget of {self._budget.trials} trials is used up"
        if self._space_used_up:
            return StudyState.FINISHED, "every configuration of the space has been tried"
        return None

    def _patience(self, spent: Spent) -> float:
        left = _POLL_S if self._budget.seconds is None else self._budget.seconds - spent.seconds
        return max(0.0, min(_POLL_S, left))

    def _fill(self, turn: Turn, spent: Spent) -> None:
        """Submit as many trials as the executor has room for, interrupted ones first."""
        free = self._executor.free()
        if free <= 0:
            return
        trials = [flight.trial for flight, _ in zip(self._ledger.waiting.values(), range(free), strict=False)]
        room = self._budget.room(spent)
        wanted = free - len(trials) if room is None else min(free - len(trials), room)
        if wanted > 0 and not self._space_used_up:
            chosen = self._searcher.ask(wanted)
            self._space_used_up = len(chosen) < wanted
            trials += chosen
        if trials:
            for trial in trials:
                self._ledger.begin(trial)
            turn.started += trials
            self._executor.submit(trials, self._keeper.bar)

    def _take(self, events: Iterable[Event], turn: Turn, *, ending: bool) -> None:
        """Take in what happened, then decide in the order of trial numbers."""
        read: set[int] = set()
        ends: dict[int, Finished | Stopped | Failed] = {}
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
            else:
                ends[number] = event
        stops = self._decide(sorted(read))
        for number in sorted(ends):
            self._end(ends[number], stops.pop(number, None), turn)
        if turn.ended:
            self._searcher.tell(turn.ended)
        if stops and not ending:
            self._executor.stop({number: self._order(number, stop) for number, stop in stops.items()})

    def _order(self, number: int, stop: Stop) -> bool:
        """Note that a trial is ordered to stop, and say whether its model is wanted."""
        flight = self._ledger.order(number, stop)
        return self._keeper.wants(number, flight.value, conclusive=stop.conclusive)

    def _decide(self, numbers: Iterable[int]) -> dict[int, Stop]:
        stops: dict[int, Stop] = {}
        target = self._budget.target
        for number in numbers:
            flight = self._ledger.flights[number]
            stop = self._judge(flight.trial, flight.curve)
            if stop is None and target is not None and not self._objective.better(target, flight.value):
                reason = f"its {self._objective.metric} of {flight.value:g} reaches the target of {target:g}"
                stop = Stop("target", reason, conclusive=True)
                self._reached = flight.value
            if stop is not None and flight.stop is None:
                stops[number] = stop
        return stops

    def _judge(self, trial: Trial, curve: Sequence[Reading]) -> Stop | None:
        """Ask every rule, so that each has seen every reading; the first that stops is right."""
        found: Stop | None = None
        for callback in self._callbacks:
            stop = callback.decide(trial, curve)
            found = found or stop
        return found

    def _end(self, event: Finished | Stopped | Failed, stop: Stop | None, turn: Turn) -> None:
        flight = self._ledger.end(event.number)
        if isinstance(event, Failed):
            record = flight.record(TrialState.FAILED, reason=event.error, traceback=event.traceback)
        elif isinstance(event, Stopped) and flight.stop is not None:
            record = flight.stopped(flight.stop, event.model_path)
        else:
            record = flight.finished(self._objective.metric, stop, event.model_path)
        record, lost = self._keeper.admit(record)
        self._lost += lost
        turn.forgotten += (number for number in lost if number != record.number)
        turn.ended.append(record)
        self._ledger.close(record)
        if record.state is TrialState.FAILED:
            self._failures += 1
            self._last_failure = f"trial {record.number}: {record.reason}"

    def _record(self, turn: Turn) -> None:
        """Store a turn that brings news; only then delete the models that it forgets.

        Without news, a turn is stored now and then as a sign of life.
        """
        turn.seconds = self._seconds()
        news = turn.started or turn.restarted or turn.readings or turn.ended or turn.forgotten
        if not news and turn.seconds - self._recorded < _SIGN_OF_LIFE_S:
            return
        self._recorded = turn.seconds
        self._store.record(turn)
        self._keeper.discard(self._lost)
        self._lost = []
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
            self._store.finish(state, reason, self._seconds())
        except Exception:  # noqa: BLE001
            _LOG.exception("the end of the study could not be stored")

    def _seconds(self) -> float:
        return time.monotonic() - self._origin


def _sentence(error: BaseException) -> str:
    text = str(error).strip()
    first = text.splitlines()[0] if text else ""
    if isinstance(error, TunerError) and first:
        return first
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
