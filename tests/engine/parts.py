"""Small real implementations of the ports: a store in a list, a searcher that counts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tuner.core.budget import Budget, StudyState
from tuner.core.events import Event, Failed, Finished, Reported, Restarted, Stopped
from tuner.core.ports import Callback, Executor, Observer, Status, Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Objective, Reading, Stop, Trial, TrialRecord, TrialState
from tuner.engine import Engine

SEED = 3
KINDS = ("report", "finish", "exhaust", "fail", "restart", "rest")


class ListStore:
    """Keeps turns in a list, and what they add up to as a database would."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.records: dict[int, TrialRecord] = {}
        self.curves: dict[int, list[Reading]] = {}
        self.end: tuple[StudyState, str] | None = None
        self.seconds = 0.0

    def record(self, turn: Turn) -> None:
        self.turns.append(turn)
        for trial in turn.started:
            known = self.records.get(trial.number)
            again = 0 if known is None else known.interruptions + 1
            self.records[trial.number] = TrialRecord(
                trial.number, trial.params, TrialState.RUNNING, interruptions=again, started_at="then"
            )
            self.curves[trial.number] = []
        for number in turn.restarted:
            self.curves[number] = []
            previous = self.records[number]
            self.records[number] = replace(previous, interruptions=previous.interruptions + 1)
        for number, reading in turn.readings:
            assert not self.records[number].state.is_over
            self.curves[number].append(reading)
        for record in turn.ended:
            assert not self.records[record.number].state.is_over, "a trial ended twice"
            self.records[record.number] = record
        for number in turn.forgotten:
            assert self.records[number].model_path is not None, "there was nothing to forget"
            self.records[number] = replace(self.records[number], model_path=None)
        self.seconds = turn.seconds

    def finish(self, state: StudyState, reason: str, seconds: float) -> None:
        assert self.end is None, "the study ended twice"
        self.end = (state, reason)
        self.seconds = seconds
        for number, record in self.records.items():
            if not record.state.is_over:
                epochs = len(self.curves[number])
                self.records[number] = replace(record, state=TrialState.WAITING, epochs=epochs)

    def history(self) -> list[TrialRecord]:
        return [self.records[number] for number in sorted(self.records)]

    def over(self) -> dict[int, list[Reading]]:
        return {n: curve for n, curve in self.curves.items() if self.records[n].state.is_over}


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

    def tell(self, records: Sequence[TrialRecord]) -> None:
        self.told += records

    def replay(self, history: Sequence[TrialRecord]) -> None:
        self.next = len(history)
        self.told += [record for record in history if record.state.is_over]


@dataclass
class Rule:
    """A callback that answers what a function says, and notes what it was asked."""

    says: Callable[[Trial, Sequence[Reading]], Stop | None] = lambda trial, curve: None
    asked: list[tuple[int, int]] = field(default_factory=list)

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | None:
        self.asked.append((trial.number, len(curve)))
        return self.says(trial, curve)


class Lots:
    """An executor that casts lots: what becomes of a trial in a tick is drawn, within the port's rules."""

    def __init__(self, lots: random.Random, rows: int, models: Path, weights: Sequence[int]) -> None:
        self.lots = lots
        self.rows = rows
        self.models = models
        self.weights = weights
        self.epochs: dict[int, int] = {}
        self.best: dict[int, float] = {}
        self.stopping: dict[int, bool] = {}
        self.closed = 0
        self.bar: float | None = None

    def free(self) -> int:
        return self.rows - len(self.epochs)

    def submit(self, trials: Sequence[Trial], bar: float | None) -> None:
        assert len(trials) <= self.free()
        self.bar = bar
        for trial in trials:
            assert trial.number not in self.epochs, "submitted twice"
            assert trial.study_seed == SEED
            self.epochs[trial.number] = 0

    def stop(self, orders: Mapping[int, bool]) -> None:
        for number, wanted in orders.items():
            del self.epochs[number]
            self.stopping[number] = wanted

    def poll(self, timeout_s: float) -> Sequence[Event]:
        events: list[Event] = []
        for number, wanted in self.stopping.items():
            events.append(Stopped(number, self.save(number) if wanted else None))
        self.stopping = {}
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
                events.append(Restarted(number, "its worker died"))
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

    def close(self) -> None:
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
    searcher: CountingSearcher | None = None,
    callbacks: Iterable[Callback] = (),
    objective: Objective | None = None,
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
        models=models,
        max_failures=max_failures,
        study_seed=SEED,
        observer=observer,
    )


def numbers(records: Mapping[int, TrialRecord], state: TrialState) -> list[int]:
    return sorted(number for number, record in records.items() if record.state is state)
