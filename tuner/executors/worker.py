"""Worker: what runs in each of them, a population whose rows take trials and give them back.

Carries out orders and answers with events. It deliberately does not know who gives the orders,
over which wire they come, or why a trial is to stop.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import select
import shutil
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import cloudpickle

from tuner.core.events import Event, Failed, Finished, Reported, Stopped
from tuner.core.ports import Exhausted, Failure, Population
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Trial
from tuner.errors import DeviceError

WRITING = ".writing-"
"""How the name of a model's folder begins until the model is whole."""

_GRACE_S = 0.5


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is told to do in one tick.

    Attributes:
        stop: trials that leave their rows, and whether with a model; see `Executor.stop`.
        place: trials that start; at most as many as rows are free after `stop`.
        bar: see `Executor.submit`.
    """

    stop: Mapping[int, bool] = field(default_factory=dict)
    place: tuple[Trial, ...] = ()
    bar: float | None = None


@dataclass(slots=True)
class _Row:
    index: int
    number: int
    best: float = math.nan


class Worker:
    """Trials in the rows of a population."""

    def __init__(self, population: Population, spec: StudySpec, models: Path) -> None:
        """Take over an empty population.

        Args:
            population: what trains.
            spec: the study; its epochs and its objective are looked at.
            models: the folder in which trial 7's model becomes the folder ``7``.
        """
        self._population = population
        self._epochs = spec.trainer.epochs
        self._goal = spec.goal()
        self._models = models.absolute()
        self._bar: float | None = None
        self._rows: dict[int, _Row] = {}
        self._numbers: dict[int, int] = {}
        self._free = list(range(population.capacity))[::-1]

    @property
    def capacity(self) -> int:
        """How many trials fit in."""
        return self._population.capacity

    def tick(self, orders: Orders) -> list[Event]:
        """Stop, place, then train every occupied row for one epoch.

        Returns:
            What became of the trials, row by row.

        Raises:
            DeviceError: see `Population.advance`.
        """
        self._bar = orders.bar
        events: list[Event] = []
        for number, wanted in orders.stop.items():
            row = self._rows[self._numbers[number]]
            events.append(self._leave(row, Stopped, wanted=wanted))
        for trial in orders.place:
            events += self._place(trial)
        if self._rows:
            events += self._advance()
        return events

    def _place(self, trial: Trial) -> list[Event]:
        row = _Row(self._free.pop(), trial.number)
        self._rows[row.index] = row
        self._numbers[row.number] = row.index
        try:
            self._population.place(row.index, trial)
        except DeviceError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001
            return [self._failed(row, error)]
        return []

    def _advance(self) -> list[Event]:
        try:
            outcomes = self._population.advance()
        except DeviceError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001
            # It cannot be told whose fault it was.
            return [self._failed(row, error) for row in list(self._rows.values())]
        events: list[Event] = []
        for index, outcome in outcomes.items():
            row = self._rows[index]
            if isinstance(outcome, Reading):
                events.append(Reported(row.number, outcome))
                value = outcome.get(self._goal.metric)
                if math.isfinite(value) and self._goal.better(value, row.best):
                    row.best = value
                if outcome.epoch >= self._epochs:
                    events.append(self._leave(row, Finished, wanted=self._reaches_bar(row)))
            elif isinstance(outcome, Exhausted):
                events.append(self._leave(row, Finished, wanted=self._reaches_bar(row)))
            else:
                events.append(self._fail(row, outcome))
        return events

    def _reaches_bar(self, row: _Row) -> bool:
        return row.number == 0 or self._bar is None or not self._goal.better(self._bar, row.best)

    def _leave(self, row: _Row, event: type[Finished | Stopped], *, wanted: bool) -> Event:
        try:
            model_path = self._save(row) if wanted else None
        except DeviceError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001
            return self._failed(row, error)
        self._clear(row)
        return event(row.number, model_path)

    def _failed(self, row: _Row, error: BaseException) -> Failed:
        text = "".join(traceback.format_exception(error))
        return self._fail(row, Failure(f"{type(error).__name__}: {error}".splitlines()[0], text))

    def _fail(self, row: _Row, failure: Failure) -> Failed:
        self._clear(row)
        return Failed(row.number, failure.error, failure.traceback)

    def _clear(self, row: _Row) -> None:
        self._population.clear(row.index)
        del self._rows[row.index], self._numbers[row.number]
        self._free.append(row.index)

    def _save(self, row: _Row) -> str | None:
        """Write the row's model so that its folder is either whole or not there."""
        if math.isnan(row.best):
            return None
        writing = self._models / f"{WRITING}{row.number}"
        shutil.rmtree(writing, ignore_errors=True)
        writing.mkdir(parents=True)
        if not self._population.save(row.index, writing):
            shutil.rmtree(writing)
            return None
        folder = self._models / str(row.number)
        if folder.exists():
            shutil.rmtree(folder)
        writing.rename(folder)
        return str(folder)


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker process is set up and waits for orders."""

    capacity: int


@dataclass(frozen=True, slots=True)
class Broken:
    """A worker process cannot go on, and another one in its place could not either.

    Attributes:
        error: the exception, pickled; None where it cannot be.
        text: its traceback.
    """

    error: bytes | None
    text: str


Answer = Ready | Broken | list[Event]
"""What a worker process sends; events answer Orders, each message one."""


def serve(wire: int, payload: int) -> None:
    """Be a worker process: answer each message of orders with the events of one tick.

    Args:
        wire: file descriptor of the connection to the parent; its end is ours.
        payload: file descriptor of the pickled (make, job, models).
    """
    orders = Connection(wire)
    threading.Thread(target=_outlive, args=(wire,), daemon=True).start()
    try:
        with mmap.mmap(payload, 0, access=mmap.ACCESS_READ) as memory:
            make, job, models = cloudpickle.loads(memory)
        worker = Worker(make().populate(job), job.spec, models)
        orders.send(Ready(worker.capacity))
        while True:
            orders.send(worker.tick(orders.recv()))
    except (EOFError, ConnectionError):
        return
    except Exception as error:
        with contextlib.suppress(ConnectionError):
            orders.send(Broken(_pickled(error), traceback.format_exc()))
        raise


def _outlive(wire: int) -> None:
    """End this process soon after its parent's end of the wire is gone, whatever it is busy with."""
    poller = select.poll()
    poller.register(wire, 0)
    poller.poll()
    time.sleep(_GRACE_S)
    os._exit(1)


def _pickled(error: Exception) -> bytes | None:
    try:
        text: bytes = cloudpickle.dumps(error)
        cloudpickle.loads(text)
    except Exception:  # noqa: BLE001
        return None
    return text
