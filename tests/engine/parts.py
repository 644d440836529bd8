"""Small real implementations of the ports: a store in a list, a searcher that counts."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tuner.core.budget import Budget, StudyState
from tuner.core.events import Event, Failed, Finished, Interrupted, Paused, Reported, Restarted, Stopped
from tuner.core.objectives import Objectives
from tuner.core.ports import Callback, Executor, Observer, Placement, Searcher, Status, Turn
from tuner.core.request import Request
from tuner.core.spec import StudySpec
from tuner.core.trial import Objective, Origin, Params, Pause, Reading, Stop, Trial, TrialRecord, TrialState
from tuner.engine import Engine
from tuner.errors import SpecError
from tuner.testing.executor import artifacts

SEED = 3
KINDS = ("report", "finish", "exhaust", "fail", "restart", "interrupt", "rest")


class ListStore:
    """Keeps turns in a list, and what they add up to as a database would."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.records: dict[int, TrialRecord] = {}
        self.curves: dict[int, list[Reading]] = {}
        self.end: tuple[StudyState, str] | None = None
        self.seconds = 0.0
        self.position: Mapping[str, Any] = {}
        self.asked: list[Request] = []
        self.answers: dict[int, str] = {}

    def record(self, *turns: Turn) -> None:
        for turn in turns:
            self.append(turn)

    def append(self, turn: Turn) -> None:
        self.turns.append(turn)
        for number in turn.restarted:
            self.curves[number] = []
            self.records[number] = replace(self.records[number], paused_at=0)
        for number in turn.interrupted:
            previous = self.records[number]
            self.records[number] = replace(previous, interruptions=previous.interruptions + 1)
        for number, reading in turn.readings:
            assert self.records[number].state is TrialState.RUNNING
            self.curves[number].append(reading)
            assert reading.epoch == len(self.curves[number]), "an epoch is missing or there twice"
        for number, order in turn.orders.items():
            self.records[number] = replace(self.records[number], order=order)
        for record in (*turn.paused, *turn.ended):
            assert not self.records[record.number].state.is_over, "a trial ended twice"
            assert record.order is None
            self.records[record.number] = record
        for number in turn.forgotten:
            dismissed = any(record.number == number for record in turn.ended)
            assert dismissed or self.records[number].model_path is not None, "there was nothing to forget"
            self.records[number] = replace(self.records[number], model_path=None)
        for trial in turn.started:
            known = self.records.get(trial.number)
            if known is None:
                known = TrialRecord(trial.number, trial.params, TrialState.RUNNING, started_at="then")
                self.curves[trial.number] = []
            assert not known.state.is_over, "a trial that is over starts again"
            self.records[trial.number] = replace(known, state=TrialState.RUNNING)
        self.answers |= {request.id: f"trial {number}" for number, request in turn.taken.items()}
        self.answers |= turn.answers
        self.seconds, self.position = turn.seconds, turn.position

    def finish(self, state: StudyState, reason: str, seconds: float) -> None:
        assert self.end is None, "the study ended twice"
        self.end = (state, reason)
        self.seconds = seconds
        for number, record in self.records.items():
            if record.state is TrialState.RUNNING:
                epochs = len(self.curves[number])
                self.records[number] = replace(record, state=TrialState.WAITING, epochs=epochs)

    def requests(self) -> Sequence[Request]:
        return [each for each in self.asked if each.id not in self.answers]

    def refuse(self, reasons: Sequence[tuple[Request, str]]) -> None:
        self.answers |= {request.id: reason for request, reason in reasons}

    def history(self) -> list[TrialRecord]:
        return [self.records[number] for number in sorted(self.records)]

    def resumed(self, again: ListStore | None = None) -> ListStore:
        """As a database is opened again: trials running have been interrupted once more."""
        again = again or ListStore()
        again.curves = {number: list(curve) for number, curve in self.curves.items()}
        again.seconds, again.position = self.seconds, self.position
        for number, record in self.records.items():
            if record.state in (TrialState.RUNNING, TrialState.WAITING):
                epochs, times = len(self.curves[number]), record.interruptions + 1
                record = replace(record, state=TrialState.WAITING, epochs=epochs, interruptions=times)
            again.records[number] = record
        return again


class CountingSearcher:
    """Chooses x = 0, 1, 2, ... until `size` configurations are chosen."""

    def __init__(self, size: int = 10**9) -> None:
        self.size = size
        self.next = 0
        self.asked: list[int] = []
        self.told: list[TrialRecord] = []

    def ask(self, count: int) -> Sequence[Trial]:
        self.asked.append(count)
        numbers = range(self.next, min(self.next + count, self.size))
        self.next += len(numbers)
        return [Trial(number, {"x": number}, SEED) for number in numbers]

    def take(self, given: Params) -> Trial:
        if "x" not in given:
            raise SpecError("x: is missing")
        self.next += 1
        return Trial(self.next - 1, given, SEED, Origin.GIVEN)

    def learn(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}

    def tell(self, records: Sequence[TrialRecord]) -> None:
        self.told += records

    def replay(self, history: Sequence[TrialRecord]) -> None:
        self.next = len(history)
        self.told += [record for record in history if record.state.is_over or record.paused_at]


@dataclass
class Rule:
    """A callback that answers what a function says, and notes what it was asked."""

    says: Callable[[Trial, Sequence[Reading]], Stop | Pause | None] = lambda trial, curve: None
    asked: list[tuple[int, int]] = field(default_factory=list)

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | Pause | None:
        self.asked.append((trial.number, len(curve)))
        return self.says(trial, curve)


class Whim(Rule):
    """A scheduler that casts lots: stops, pauses, promotes and dismisses."""

    def __init__(self, lots: random.Random) -> None:
        super().__init__(self.lot)
        self.lots = lots

    def lot(self, trial: Trial, curve: Sequence[Reading]) -> Stop | Pause | None:
        match self.lots.randrange(12):
            case 0:
                return Stop("whim", "so", self.lots.random() < 0.5)
            case 1:
                return Pause("whim", "not now")
        return None

    def promote(self, paused: Collection[int], room: int, *, last: bool) -> Sequence[int]:
        assert paused, "nobody is to be promoted"
        assert room > 0
        return self.lots.sample(sorted(paused), k=self.lots.randrange(min(room, len(paused)) + 1))

    def dismiss(self, paused: Collection[int], *, last: bool) -> Mapping[int, Stop]:
        gone = [number for number in paused if last or self.lots.random() < 0.1]
        return {number: Stop("whim", "for good", conclusive=False) for number in gone}


class Lots:
    """An executor that casts lots: what becomes of a trial in a tick is drawn, within the port's rules."""

    def __init__(self, lots: random.Random, rows: int, models: Path, weights: Sequence[int]) -> None:
        self.lots = lots
        self.rows = rows
        self.models = models
        self.weights = weights
        self.epochs: dict[int, int] = {}
        self.best: dict[int, float] = {}
        self.leaving: dict[int, tuple[bool, type[Stopped | Paused]]] = {}
        self.closed = 0
        self.bar: float | None = None

    def free(self) -> int:
        return self.rows - len(self.epochs)

    def submit(self, placements: Sequence[Placement], bar: float | None) -> None:
        assert len(placements) <= self.free()
        self.bar = bar
        for placement in placements:
            number = placement.trial.number
            assert number not in self.epochs, "submitted twice"
            assert placement.trial.study_seed == SEED
            self.epochs[number] = len(placement.curve)
            finite = [r.val_loss for r in placement.curve if math.isfinite(r.val_loss)]
            self.best |= {number: min(finite)} if finite else {}

    def stop(self, orders: Mapping[int, bool]) -> None:
        self.leave(orders, Stopped)

    def pause(self, orders: Mapping[int, bool]) -> None:
        self.leave(orders, Paused)

    def leave(self, orders: Mapping[int, bool], event: type[Stopped | Paused]) -> None:
        for number, wanted in orders.items():
            del self.epochs[number]
            self.leaving[number] = (wanted, event)

    def drop(self, numbers: Collection[int]) -> None:
        assert not set(numbers) & set(self.epochs), "it is not over"

    def position(self) -> Mapping[str, Any]:
        return {}

    def restore(self, position: Mapping[str, Any]) -> None:
        """Every order is as good as another."""

    def poll(self, timeout_s: float) -> Sequence[Event]:
        events: list[Event] = []
        for number, (wanted, event) in self.leaving.items():
            events.append(event(number, self.save(number) if wanted else None))
        self.leaving = {}
        for number in self.lots.sample(sorted(self.epochs), k=len(self.epochs)):
            kind = self.lots.choices(KINDS, self.weights)[0]
            if kind in ("report", "finish"):
                events.append(self.report(number))
            if kind in ("finish", "exhaust"):
                reaches = number == 0 or self.bar is None or self.best.get(number, 9.0) <= self.bar
                events.append(Finished(number, self.save(number) if reaches else None))
                del self.epochs[number]
            elif kind == "fail":
                events.append(Failed(number, "a bad lot", "Traceback ..."))
                del self.epochs[number]
            elif kind == "restart":
                self.epochs[number] = 0
                self.best.pop(number, None)
                events.append(Restarted(number, "it came out otherwise"))
            elif kind == "interrupt":
                events.append(Interrupted(number, "its worker died"))
        return events

    def report(self, number: int) -> Reported:
        self.epochs[number] += 1
        loss = self.lots.choice((0.1, 0.2, 0.5, 1.0, float("nan"), float("inf")))
        if loss < self.best.get(number, float("inf")):
            self.best[number] = loss
        return Reported(number, Reading(self.epochs[number], loss, loss, seconds=0.5))

    def save(self, number: int) -> str | None:
        if number not in self.best:
            return None
        folder = self.models / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def close(self, *, at_once: bool = False) -> None:
        self.closed += 1


class Looker:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.seen: list[Status] = []

    def begin(self, spec: StudySpec, notes: Sequence[str]) -> None:
        """Nothing to remember."""

    def turn(self, status: Status) -> None:
        self.seen.append(replace(status, running=dict(status.running)))


def engine(
    executor: Executor,
    store: ListStore,
    models: Path,
    *,
    searcher: Searcher | None = None,
    callbacks: Iterable[Callback] = (),
    objective: Objective | Objectives | None = None,
    keep: int = 2,
    max_failures: int = 20,
    observer: Observer | None = None,
    **budget: Any,
) -> Engine:
    return Engine(
        searcher=searcher or CountingSearcher(),
        executor=executor,
        store=store,
        callbacks=tuple(callbacks),
        objective=objective or Objective(),
        budget=Budget(**budget),
        keep=keep,
        artifacts=artifacts(models),
        max_failures=max_failures,
        study_seed=SEED,
        observer=observer,
    )


def numbers(records: Mapping[int, TrialRecord], state: TrialState) -> list[int]:
    return sorted(number for number, record in records.items() if record.state is state)
