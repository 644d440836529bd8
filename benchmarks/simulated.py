"""Workers that compute nothing, and what a driver of thousands of them would do.

`InstantPool` is a real pool whose workers' answers are ready at once. `utilized` is a simulation: one
driver, whose service times were measured, and any number of workers, whose epochs take some seconds each.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tuner.artifacts import Artifacts
from tuner.core.events import Event, Finished, Paused, Reported, Stopped
from tuner.core.job import Job
from tuner.core.ports import Placement
from tuner.core.trial import Reading, Stop
from tuner.executors.limits import Limits, Watched
from tuner.executors.links import Link
from tuner.executors.orders import Orders, Removal
from tuner.executors.pool import WorkerPool
from tuner.executors.serving import Answer, Ready


class Instant:
    """A link whose worker answers at once; a trial's loss falls to a floor of its own."""

    def __init__(self, epochs: int) -> None:
        self.epochs, self.answer = epochs, [Ready(1)]  # type: tuple[int, list[Answer]]
        self.running: dict[int, int] = {}

    def send(self, orders: Orders | None) -> None:
        """Answer orders with one tick."""
        tick: list[Event] = []
        for step in orders.steps if orders is not None else ():
            if isinstance(step, Placement):
                self.running[step.trial.number] = len(step.curve)
            elif isinstance(step, Removal):
                self.running.pop(step.number, None)
                tick.append((Paused if step.pause else Stopped)(step.number))
        for number in list(self.running):
            epoch = self.running[number] = self.running[number] + 1
            loss = (number * 0.618) % 1 + 1 / epoch
            tick.append(Reported(number, Reading(epoch, loss, loss, seconds=0.01)))
            if epoch == self.epochs:
                del self.running[number]
                tick.append(Finished(number))
        self.answer.append([tick])

    def recv(self) -> Answer:
        """The tick."""
        return self.answer.pop()

    def broken(self, limits: Limits, trials: int, log: Path, watched: Watched) -> Stop | None:  # noqa: ARG002
        """Never."""
        return None

    def kill(self) -> None:
        """Nothing runs."""

    def ending(self) -> str:
        """None."""
        return ""

    def tail(self) -> str:
        """Nothing is printed."""
        return ""

    def close(self, timeout_s: float) -> None:
        """Nothing is open."""


class InstantPool(WorkerPool):
    """Of those that have answered, no more than `ready` are seen at once."""

    def __init__(self, epochs: int, ready: int, workers: int, job: Job, files: Artifacts) -> None:
        self.epochs, self.ready, self.polls, self._first = epochs, ready, 0, 0
        super().__init__(workers, job, files)

    def _launch(self, index: int) -> Instant:  # noqa: ARG002
        return Instant(self.epochs)

    def _answered(self, links: Sequence[Link], timeout_s: float) -> Sequence[Link]:
        """The next ones in turn; nothing more in the same poll."""
        if timeout_s <= 0 or not links:
            return []
        self.polls += 1
        self._first = (self._first + self.ready) % len(links)
        return (list(links) * 2)[self._first : self._first + min(self.ready, len(links))]


@dataclass(frozen=True)
class Service:
    """Seconds of CPU time of a driver.

    Attributes:
        poll: of each turn.
        worker: of each turn, for each worker there is.
        event: of each answer.
    """

    poll: float
    worker: float
    event: float

    @classmethod
    def fitted(cls, measured: Sequence[tuple[int, int, int, float]]) -> Service:
        """From turns, workers, events and seconds of runs: least squares of relative errors, none below 0."""
        rows = np.array([[turns, turns * workers, events] for turns, workers, events, _ in measured], float)
        rows /= np.array([seconds for *_, seconds in measured])[:, None]
        keep = [0, 1, 2]
        while True:
            found = np.linalg.lstsq(rows[:, keep], np.ones(len(rows)), rcond=None)[0]
            if (found >= 0).all():
                break
            keep = [each for each, value in zip(keep, found, strict=True) if value >= 0]
        whole = dict(zip(keep, found.tolist(), strict=True))
        return cls(*(whole.get(column, 0.0) for column in range(3)))


def utilized(
    service: Service, workers: int, epoch_s: float, turns: int = 400, ahead: int = 1
) -> tuple[float, float]:
    """How busy workers are with training, and the driver with them, once it has settled.

    Args:
        service: of the driver.
        workers: how many.
        epoch_s: how long an epoch takes, plus or minus a half.
        turns: of the driver that are simulated, after as many that are not counted.
        ahead: epochs that a worker trains before it answers.
    """
    lots = random.Random(0)

    def epochs_s() -> float:
        return sum(lots.uniform(0.5, 1.5) * epoch_s for _ in range(ahead))

    waiting = [(lots.random() * epoch_s * ahead, number) for number in range(workers)]
    heapq.heapify(waiting)
    clock = begun = trained = served = 0.0
    for turn in range(2 * turns):
        if turn == turns:
            begun, trained, served = clock, 0.0, 0.0
        clock = max(clock, waiting[0][0])
        answered = []
        while waiting and waiting[0][0] <= clock:
            answered.append(heapq.heappop(waiting)[1])
        took = service.poll + service.worker * workers + service.event * ahead * len(answered)
        clock, served = clock + took, served + took
        for number in answered:
            training_s = epochs_s()
            trained += training_s
            heapq.heappush(waiting, (clock + training_s, number))
    return min(1.0, trained / (workers * (clock - begun))), served / (clock - begun)
