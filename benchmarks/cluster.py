"""What one driver carries: events a second from simulated workers that compute nothing, and what Ray adds.

The pool is the one that trains; its workers are answers that are ready at once (`instant`), or worker
processes behind Ray actors on this machine (`ray`) or without Ray (`processes`).

Run: python -m benchmarks.cluster [--workers 4 32 256] [--epochs N] [--ray]
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.processes import machine
from tuner.artifacts import Artifacts
from tuner.core.events import Event, Finished, Reported
from tuner.core.job import Job, Resources
from tuner.core.ports import Placement
from tuner.core.training import Outcome, Snapshot, TrialBatch
from tuner.core.trial import Reading, Stop, Trial
from tuner.executors import Processes
from tuner.executors.limits import Limits, Watched
from tuner.executors.links import Link
from tuner.executors.orders import Orders
from tuner.executors.pool import WorkerPool
from tuner.executors.ray_pool import RayPool
from tuner.executors.serving import Answer, Ready
from tuner.testing.executor import FakeBatch, FakeTrainer, artifacts, study


class Idle(FakeBatch):
    """Computes and writes nothing."""

    def step(self, row: int) -> Outcome:
        trial, epoch = self.rows[row]
        self.rows[row] = (trial, epoch + 1)
        return Reading(epoch + 1, 1.0, 1.0)

    def snapshot(self, row: int) -> Snapshot | None:
        trial, epoch = self.rows[row]
        return Snapshot(epoch, {}, {"trial": trial.number})

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        self.rows[row] = (trial, snapshot.epoch if snapshot else 0)


class IdleTrainer(FakeTrainer):
    def open_batch(self, job: Job) -> TrialBatch:
        return Idle(job.rows)


class Instant:
    """A link whose worker answers at once."""

    def __init__(self, epochs: int) -> None:
        self.epochs, self.answer = epochs, [Ready(1)]  # type: tuple[int, list[Answer]]
        self.running: dict[int, int] = {}

    def send(self, orders: Orders | None) -> None:
        for step in orders.steps if orders is not None else ():
            if isinstance(step, Placement):
                self.running[step.trial.number] = 0
        tick: list[Event] = []
        for number in list(self.running):
            self.running[number] += 1
            tick.append(Reported(number, Reading(self.running[number], 1.0, 1.0)))
            if self.running[number] == self.epochs:
                del self.running[number]
                tick.append(Finished(number))
        self.answer.append([tick])

    def recv(self) -> Answer:
        return self.answer.pop()

    def broken(self, limits: Limits, trials: int, log: Path, watched: Watched) -> Stop | None:  # noqa: ARG002
        return None

    def kill(self) -> None:
        pass

    def ending(self) -> str:
        return ""

    def tail(self) -> str:
        return ""

    def close(self, timeout_s: float) -> None:
        pass


class InstantLauncher:
    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def start(self, index: int) -> Instant:  # noqa: ARG002
        return Instant(self.epochs)

    def wait(self, links: Sequence[Link], timeout_s: float) -> Sequence[Link]:  # noqa: ARG002
        return links

    def close(self) -> None:
        pass


def pool(kind: str, workers: int, epochs: int, files: Artifacts) -> WorkerPool:
    told: Mapping[str, object] = {
        "use": "tests:none",
        "epochs": epochs,
        "workers": workers,
        "cluster": "local:64",
    }
    job = Job(study(epochs, trainer=dict(told)), None)
    if kind == "instant":
        return WorkerPool(InstantLauncher(epochs), workers, job, files)
    if kind == "processes":
        return Processes(IdleTrainer, job, files, [Resources()] * workers)
    return RayPool(IdleTrainer, job, files, workers)


def measure(kind: str, workers: int, epochs: int) -> str:
    """One row of the table: trials of so many epochs, two for each worker."""
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(pool(kind, workers, epochs, artifacts(Path(folder) / "models"))) as made,
    ):
        while made.free() < workers:
            made.poll(0.1)
        waiting = [Trial(number, {}, 0) for number in range(2 * workers)]
        events = ended = 0
        begun, cpu = time.perf_counter(), time.process_time()
        while ended < 2 * workers:
            room = made.free()
            if batch := [Placement(waiting.pop()) for _ in range(min(room, len(waiting)))]:
                made.submit(batch, 2.0)
            told = made.poll(1.0)
            events += len(told)
            ended += sum(isinstance(event, Finished) for event in told)
        took, cpu = time.perf_counter() - begun, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"| {kind} | {workers} | {events:,} | {events / took:,.0f} | {cpu / took:.2f} "
        f"| {1e6 * cpu / events:,.0f} | {memory:,.0f} |"
    )


def main() -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[4, 32, 256])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--ray", action="store_true", help="also two workers without Ray and behind it")
    chosen = parser.parse_args()
    print(machine())
    print("\n| kind | workers | events | events/s | driver's cores | its µs per event | its peak MB |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for workers in chosen.workers:
        print(measure("instant", workers, chosen.epochs), flush=True)
    for kind in ("processes", "ray") if chosen.ray else ():
        print(measure(kind, 2, chosen.epochs), flush=True)


if __name__ == "__main__":
    main()
