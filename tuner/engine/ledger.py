"""Ledger: the trials in flight, and the sums over all others, kept up event by event.

Nothing here costs more for the thousandth trial than for the first. It does not know where trials
come from, where they train or how they are stored.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tuner.core.budget import Spent
from tuner.core.trial import Objective, Reading, Stop, Trial, TrialRecord, TrialState
from tuner.errors import near


@dataclass(slots=True)
class Flight:
    """A trial between its start and its end.

    Attributes:
        curve: its readings since it started, or started again.
        best: the reading with the best finite value.
        value: that value; nan before the first one.
        stop: why it was ordered to stop; it has not answered yet.
        void: epochs of an earlier session, which count until the trial starts again.
    """

    trial: Trial
    started_at: str
    interruptions: int = 0
    curve: list[Reading] = field(default_factory=list)
    best: Reading | None = None
    value: float = math.nan
    seconds: float = 0.0
    stop: Stop | None = None
    void: int = 0

    def restart(self) -> None:
        """Start again from the first epoch; the old curve's list is left to who holds it."""
        self.curve, self.best, self.value, self.seconds = [], None, math.nan, 0.0
        self.interruptions += 1

    def record(
        self,
        state: TrialState,
        *,
        conclusive: bool = False,
        rule: str | None = None,
        reason: str | None = None,
        traceback: str | None = None,
        model_path: str | None = None,
    ) -> TrialRecord:
        """The trial as it is stored once it is over."""
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
            model_path=model_path,
            started_at=self.started_at,
            ended_at=now(),
        )

    def stopped(self, stop: Stop, model_path: str | None = None) -> TrialRecord:
        """The record of a trial that a rule has ended."""
        return self.record(
            TrialState.STOPPED,
            conclusive=stop.conclusive,
            rule=stop.rule,
            reason=stop.reason,
            model_path=model_path,
        )

    def finished(self, metric: str, stop: Stop | None, model_path: str | None) -> TrialRecord:
        """The record of a trial that trained to its end, in whose last epoch a rule said `stop`.

        The end outruns the rule, but a trial without any value has not finished.
        """
        if self.best is not None:
            return self.record(TrialState.FINISHED, conclusive=True, model_path=model_path)
        if stop is not None:
            return self.stopped(stop, model_path)
        if not self.curve:
            reason = "it ended before its first epoch; a trainer must report at least one"
        else:
            extras = self.curve[-1].extras
            known = f"; {near(metric, extras)}" if extras and metric not in extras else ""
            reason = f"none of its {len(self.curve)} epochs has a finite {metric}{known}"
        return self.record(TrialState.FAILED, reason=reason, model_path=model_path)


class Ledger:
    """What a study has come to so far."""

    def __init__(self, objective: Objective) -> None:
        """Start with nothing."""
        self.objective = objective
        self.flights: dict[int, Flight] = {}
        self.waiting: dict[int, Flight] = {}
        self.stopping = 0
        self.best: TrialRecord | None = None
        self.default: TrialRecord | None = None
        self._counts: Counter[str] = Counter()
        self._epochs = 0
        self._trials = 0

    def replay(self, record: TrialRecord, study_seed: int) -> None:
        """Take in a stored trial; one that is not over waits to start again."""
        self._trials += 1
        self._epochs += record.epochs
        if record.state.is_over:
            self.close(record)
            return
        trial = Trial(record.number, record.params, study_seed)
        begun = record.started_at or now()
        self.waiting[record.number] = Flight(trial, begun, record.interruptions + 1, void=record.epochs)

    def begin(self, trial: Trial) -> None:
        """A trial is submitted, a new one or one that has waited."""
        flight = self.waiting.pop(trial.number, None)
        if flight is None:
            flight = Flight(trial, now())
            self._trials += 1
        self._epochs -= flight.void
        self.flights[trial.number] = flight

    def read(self, number: int, reading: Reading) -> None:
        """A trial has trained one more epoch."""
        flight = self.flights[number]
        flight.curve.append(reading)
        flight.seconds += reading.seconds
        value = reading.get(self.objective.metric)
        if math.isfinite(value) and self.objective.better(value, flight.value):
            flight.best, flight.value = reading, value
        self._epochs += 1

    def restart(self, number: int) -> None:
        """A trial starts again; what it has trained is void."""
        flight = self.flights[number]
        self._epochs -= len(flight.curve)
        flight.restart()

    def order(self, number: int, stop: Stop) -> Flight:
        """A trial is ordered to stop."""
        flight = self.flights[number]
        flight.stop = stop
        self.stopping += 1
        return flight

    def end(self, number: int) -> Flight:
        """A trial is not in flight any longer."""
        flight = self.flights.pop(number)
        self.stopping -= flight.stop is not None
        return flight

    def close(self, record: TrialRecord) -> None:
        """Take in the record of a trial that is over."""
        self._counts[record.state.value] += 1
        if record.value is None or record.state is TrialState.FAILED:
            return
        if record.number == 0:
            self.default = record
        if self.best is None or self._beats(record, self.best):
            self.best = record

    def spent(self, seconds: float) -> Spent:
        """What the study has used up, after so many seconds."""
        return Spent(self._trials, seconds, self._epochs, None if self.best is None else self.best.value)

    def counts(self) -> dict[str, int]:
        """Trials by state name."""
        counts = {state.value: self._counts[state.value] for state in TrialState}
        counts[TrialState.RUNNING.value] = len(self.flights)
        counts[TrialState.WAITING.value] = len(self.waiting)
        return counts

    def _beats(self, record: TrialRecord, other: TrialRecord) -> bool:
        """A value that stands beats one that was cut short; of equal ones the lower number's is first."""
        if record.conclusive is not other.conclusive:
            return record.conclusive
        a, b = _value(record), _value(other)
        return self.objective.better(a, b) or (a == b and record.number < other.number)


def _value(record: TrialRecord) -> float:
    return math.nan if record.value is None else record.value


def now() -> str:
    """This moment in UTC, as ISO 8601 has it."""
    return datetime.now(UTC).isoformat()
