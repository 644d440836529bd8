"""StudyProgress: the trials running, and the sums over all others, kept up event by event.

Nothing here may cost more for the thousandth trial than for the first: `loop` calls it for every event.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tuner.core.budget import Budget, Spent
from tuner.core.events import Failed, Finished, Paused, SaveFailure, Stopped
from tuner.core.objectives import Key, Objectives
from tuner.core.ports import Placement, Status
from tuner.core.time_left import Durations
from tuner.core.trial import Objective, Origin, Pause, Reading, Stop, Trial, TrialRecord, TrialState
from tuner.engine.gains import GainWatch
from tuner.errors import near

_NOT_SAVED = "its model was not kept: "


@dataclass(slots=True)
class RunningTrial:
    """A trial between its start and its end.

    Attributes:
        curve: its readings since it started, or started again.
        best: the reading with the best finite value.
        value: that value; nan before the first one.
        order: why it was ordered to leave its row; it has not answered yet.
        paused_at: see `TrialRecord`.
        model_path: where its model lies, if one was written when it paused.
        save_failure: why none was, where one was to be.
    """

    trial: Trial
    started_at: str
    interruptions: int = 0
    curve: list[Reading] = field(default_factory=list)
    best: Reading | None = None
    value: float = math.nan
    seconds: float = 0.0
    order: Stop | Pause | None = None
    paused_at: int = 0
    model_path: str | None = None
    save_failure: SaveFailure | None = None

    @property
    def placement(self) -> Placement:
        """The trial with what it has trained, to go on from there."""
        return Placement(self.trial, tuple(self.curve))

    def read(self, reading: Reading, objective: Objective) -> None:
        """One more epoch."""
        self.curve.append(reading)
        self.seconds += reading.seconds
        if objective.prefers(reading, self.best):
            self.best, self.value = reading, objective.of(reading)

    def restart(self) -> None:
        """Start again from the first epoch; the list of its readings until then stays as it is."""
        self.curve, self.best, self.value, self.seconds, self.paused_at = [], None, math.nan, 0.0, 0

    def left(
        self, event: Finished | Stopped | Paused | Failed, stop: Stop | None, metric: str
    ) -> TrialRecord:
        """The record of the trial as it has left its row.

        Args:
            event: how it left.
            stop: what a rule said of its last epoch, of a trial that trained to its end. The end outruns
                the rule, but a trial without any value has not finished.
            metric: what a value is of, for the reason of a trial that has none.
        """
        if isinstance(event, Failed):
            return self._record(TrialState.FAILED, reason=event.error, traceback=event.traceback)
        if isinstance(event, Paused) and isinstance(self.order, Pause):
            self.paused_at = len(self.curve)
            record = self._record(TrialState.PAUSED, rule=self.order.rule, reason=self.order.reason)
        elif isinstance(event, Stopped) and isinstance(why := event.why or self.order, Stop):
            record = self._stopped(why)
        elif self.best is not None:
            record = self._record(TrialState.FINISHED, conclusive=True)
        elif stop is not None:
            record = self._stopped(stop)
        else:
            record = self._record(TrialState.FAILED, reason=self._without_value(metric))
        self.save_failure = event.save_failure
        return self._noted(replace(record, model_path=event.model_path))

    def dismissed(self, stop: Stop) -> TrialRecord:
        """The record of a paused trial that does not go on; its model lies where it did."""
        return self._noted(self._stopped(stop))

    def _noted(self, record: TrialRecord) -> TrialRecord:
        """The record, with why its model is not kept."""
        if self.save_failure is None:
            return record
        why = f"{_NOT_SAVED}{self.save_failure.error}"
        reason = f"{record.reason}; {why}" if record.reason else why
        return replace(record, reason=reason, traceback=self.save_failure.traceback)

    def _stopped(self, stop: Stop) -> TrialRecord:
        return self._record(
            TrialState.STOPPED, conclusive=stop.conclusive, rule=stop.rule, reason=stop.reason
        )

    def _record(
        self,
        state: TrialState,
        *,
        conclusive: bool = False,
        rule: str | None = None,
        reason: str | None = None,
        traceback: str | None = None,
    ) -> TrialRecord:
        return TrialRecord(
            number=self.trial.number,
            params=self.trial.params,
            state=state,
            value=None if self.best is None else self.value,
            best=self.best,
            epochs=len(self.curve),
            conclusive=conclusive,
            rule=rule,
            reason=reason,
            traceback=traceback,
            seconds=self.seconds,
            interruptions=self.interruptions,
            paused_at=self.paused_at,
            model_path=None if state is TrialState.FAILED else self.model_path,
            started_at=self.started_at,
            ended_at=now(),
            origin=self.trial.origin,
        )

    def _without_value(self, metric: str) -> str:
        if not self.curve:
            return "it ended before its first epoch; a trainer must report at least one"
        extras = self.curve[-1].extras
        known = f"; {near(metric, extras)}" if extras and metric not in extras else ""
        return f"none of its {len(self.curve)} epochs has a finite {metric}{known}"


class StudyProgress:
    """What a study has come to so far."""

    def __init__(self, objective: Objective | Objectives) -> None:
        """Start with nothing."""
        self.objectives = Objectives.of(objective)
        self.objective = self.objectives.primary
        self.running: dict[int, RunningTrial] = {}
        self.waiting: dict[int, RunningTrial] = {}
        self.paused: dict[int, RunningTrial] = {}
        self.leaving = 0
        self.best: TrialRecord | None = None
        self.default: TrialRecord | None = None
        self._best_key: Key | None = None
        self._counts: Counter[str] = Counter()
        self._epochs = 0
        self._trials = 0
        self._durations = Durations()
        self.gains = GainWatch(self.objectives)

    def replay(
        self,
        history: Sequence[TrialRecord],
        curves: Mapping[int, Sequence[Reading]],
        study_seed: int,
        *,
        has_scheduler: bool,
    ) -> None:
        """Take in the stored trials; one that is not over waits to go on where its curve ends."""
        for record in history:
            self._replay(record, curves.get(record.number, ()), study_seed)
        if not has_scheduler:
            # They were paused under another rule; no rule of this study would resume them.
            self.waiting |= self.paused
            self.paused.clear()

    def _replay(self, record: TrialRecord, curve: Sequence[Reading], study_seed: int) -> None:
        if record.origin is Origin.IMPORTED:
            # What was trained elsewhere has cost this study nothing, and is none of its trials' best.
            return
        self._trials += 1
        if record.state.is_over:
            self._epochs += record.epochs
            self.close(record)
            return
        active = RunningTrial(
            Trial(record.number, record.params, study_seed, record.origin),
            record.started_at or now(),
            record.interruptions,
            order=record.order,
            paused_at=record.paused_at,
            model_path=record.model_path,
            save_failure=_save_failure(record),
        )
        for reading in curve:
            active.read(reading, self.objective)
        self._epochs += len(curve)
        if record.state is TrialState.PAUSED:
            self.paused[record.number] = active
        else:
            self.waiting[record.number] = active

    def begin(self, trial: Trial) -> None:
        """A trial is submitted, a new one or one that has waited or paused."""
        number = trial.number
        active = self.taken_out(number)
        if active is None:
            active = RunningTrial(trial, now())
            self._trials += 1
        self.leaving += active.order is not None
        self.running[number] = active

    def read(self, number: int, reading: Reading) -> None:
        """A trial has trained one more epoch."""
        self.running[number].read(reading, self.objective)
        self._epochs += 1

    def restart(self, number: int) -> None:
        """A trial starts again; what it has trained is void."""
        active = self.running[number]
        self._epochs -= len(active.curve)
        active.restart()

    def interrupt(self, number: int) -> None:
        """A trial lost its worker and goes on."""
        self.running[number].interruptions += 1

    def order(self, number: int, order: Stop | Pause) -> RunningTrial:
        """A trial is ordered to leave its row."""
        active = self.running[number]
        active.order = order
        self.leaving += 1
        return active

    def end(self, number: int) -> RunningTrial:
        """A trial is not running any longer."""
        active = self.running.pop(number)
        self.leaving -= active.order is not None
        return active

    def pause(self, active: RunningTrial, model_path: str | None) -> None:
        """A trial that was running has paused."""
        active.order, active.model_path = None, model_path
        self.paused[active.trial.number] = active

    def taken_out(self, number: int) -> RunningTrial | None:
        """Take out a trial that is paused or waits; None where it is neither."""
        return self.paused.pop(number, None) or self.waiting.pop(number, None)

    def forget(self, number: int) -> None:
        """The model of a trial that may go on is not kept any longer."""
        active = self.paused.get(number) or self.running.get(number) or self.waiting.get(number)
        if active is not None:
            active.model_path = None

    def close(self, record: TrialRecord) -> None:
        """Take in the record of a trial that is over."""
        self.gains.add(record)
        self._counts[record.state.value] += 1
        self._durations.add(record.seconds, record.epochs)
        if record.value is None or record.state is TrialState.FAILED:
            return
        if record.number == 0:
            self.default = record
        key = self.objectives.key(record)
        if self._best_key is None or key < self._best_key:
            self.best, self._best_key = record, key

    @property
    def is_busy(self) -> bool:
        """Whether any trial runs, or waits to go on."""
        return bool(self.running or self.waiting)

    @property
    def trials(self) -> int:
        """How many have started here."""
        return self._trials

    def spent(self, seconds: float) -> Spent:
        """What the study has used up, after so many seconds; a value that violates a bound is none."""
        best = self.best if self.best is not None and self.meets(self.best.best) else None
        return Spent(self._trials, seconds, self._epochs, None if best is None else best.value)

    def meets(self, best: Reading | None) -> bool:
        """Whether a best epoch meets every bound."""
        return not self.objectives.violation(best)

    def status(self, budget: Budget, seconds: float) -> Status:
        """What observers are shown."""
        running = {number: active.curve for number, active in self.running.items()}
        spent, counts = self.spent(seconds), self.counts()
        return Status(budget, spent, running, counts, self.best, self.default, replace(self._durations))

    def counts(self) -> dict[str, int]:
        """Trials by state name."""
        counts = {state.value: self._counts[state.value] for state in TrialState}
        counts[TrialState.RUNNING.value] = len(self.running)
        counts[TrialState.WAITING.value] = len(self.waiting)
        counts[TrialState.PAUSED.value] = len(self.paused)
        return counts


def _save_failure(record: TrialRecord) -> SaveFailure | None:
    """Why a stored trial that is not over has no model, as `RunningTrial` noted it when it paused."""
    _, found, why = (record.reason or "").rpartition(_NOT_SAVED)
    return SaveFailure(why, record.traceback) if found and record.traceback else None


def as_told(record: TrialRecord, curve: Sequence[Reading], objective: Objective) -> TrialRecord:
    """A stored trial as the searcher was told of it: one that goes on after a pause, as it was then."""
    if record.state.is_over or not record.paused_at:
        return record
    best = objective.best(curve[: record.paused_at])
    value = None if best is None else objective.of(best)
    return replace(record, state=TrialState.PAUSED, value=value, best=best, epochs=record.paused_at)


def now() -> str:
    """This moment in UTC, as ISO 8601 has it."""
    return datetime.now(UTC).isoformat()
