"""What one driver carries, what Ray adds, and what Ray Tune does with the same trials.

* The driver: a whole study, engine, store and pool, on simulated workers whose answers are ready at once,
  so that nothing but the driver limits it. Beside the wall time stands its CPU time, which says how many
  events a second one core carries.
* Thousands of workers: a simulation with the service times that were measured for the driver.
* Ray: two workers of epochs of 10 ms, 200 events a second, in processes and behind actors; pairs alternate.
* Ray Tune with ASHA and tuner on a Ray of as many cores: trials of ten epochs of 10 ms; pairs alternate.

Run: python -m benchmarks.cluster [--server postgresql://...] [--workers 4 32 256] [--trials N]
     [--ray PAIRS] [--peer PAIRS]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from benchmarks.processes import machine, run
from benchmarks.simulated import InstantPool, Service, utilized
from tuner import callbacks
from tuner.core.events import Finished
from tuner.core.job import Job, Resources
from tuner.core.ports import Placement
from tuner.core.spec import StudySpec
from tuner.core.training import Outcome, Snapshot, TrialBatch
from tuner.core.trial import Reading, Trial
from tuner.engine import Engine
from tuner.executors import Processes
from tuner.executors.pool import WorkerPool
from tuner.executors.ray_pool import RayPool
from tuner.search import OptunaSearcher
from tuner.store import Database
from tuner.testing.executor import FakeBatch, FakeTrainer, artifacts, study

EPOCHS = 30
EPOCH_S = 0.01
PEER = Path(__file__).parent / "peers" / "ray_tune_script.py"
SPACE = {
    "rate": {"type": "float", "low": 1e-5, "high": 1.0, "default": 1e-2, "log": True},
    "width": {"type": "int", "low": 8, "high": 512, "default": 64, "log": True},
    "kind": {"type": "choice", "choices": ["a", "b", "c"], "default": "a"},
}
OURS = """
import time
import tuner

def train(params, context):
    for epoch in range(1, context.epochs + 1):
        time.sleep({epoch_s})
        yield {{"train_loss": 1.0, "val_loss": params["x"] + 1 / epoch}}

if __name__ == "__main__":
    tuner.start(
        trainer="./ours.py:train",
        name="s",
        space={{"x": tuner.Float(low=0.0, high=1.0, default=0.5)}},
        trials={trials},
        settings={{
            "trainer.epochs": 10, "trainer.workers": 2, "trainer.keep": 1,
            "trainer.executor": "ray", "trainer.cluster": "local:2",
            "search.sampler": "random", "search.pruner": "asha-stop",
        }},
        progress=False,
    )
"""


class Paced(FakeBatch):
    """Epochs of 10 ms that compute and write nothing."""

    def step(self, row: int) -> Outcome:
        """Wait."""
        time.sleep(EPOCH_S)
        trial, epoch = self.rows[row]
        self.rows[row] = (trial, epoch + 1)
        return Reading(epoch + 1, 1.0, 1.0)

    def snapshot(self, row: int) -> Snapshot | None:
        """Where it stands."""
        trial, epoch = self.rows[row]
        return Snapshot(epoch, {}, {"trial": trial.number})

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        """Start, or go on."""
        self.rows[row] = (trial, snapshot.epoch if snapshot else 0)


class PacedTrainer(FakeTrainer):
    """Trains nothing."""

    def open_batch(self, job: Job) -> TrialBatch:
        """As many rows as the job wants."""
        return Paced(job.rows)


def drive(url: str, workers: int, ready: int, trials: int) -> list[float]:
    """A study on simulated workers: turns, events, wall and CPU seconds, and the peak of memory in MB."""
    spec = StudySpec.parse(
        {
            "name": f"cluster-{uuid4().hex[:8]}",
            "trainer": {"epochs": EPOCHS},
            "search": {"sampler": "random", "pruner": "asha-stop"},
            "budget": {"trials": trials},
            "space": SPACE,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        url = url or f"sqlite:///{folder}/tuner.db"
        with Database.open(url, create=True, models=Path(folder)) as database:
            store = database.create_study(spec.name, spec, {})
            begun, cpu = time.perf_counter(), time.process_time()
            pool = InstantPool(EPOCHS, ready, workers, Job(spec, None), store.artifacts)
            Engine(
                searcher=OptunaSearcher(spec.search_space(), spec.search, spec.primary_objective()),
                executor=pool,
                store=store,
                callbacks=callbacks.build(spec),
                objective=spec.primary_objective(),
                budget=spec.budget,
                keep=1,
                artifacts=store.artifacts,
                max_failures=1,
                study_seed=0,
            ).run()
            wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
            events = sum(record.epochs for record in database.records(spec.name))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        2**20 if sys.platform == "darwin" else 2**10
    )
    return [pool.polls, events, wall, cpu, memory]


def driven(url: str, workers: int, ready: int, trials: int) -> list[float]:
    """The same in a process of its own, after a small study that pays for what is paid once."""
    told = ["--alone", str(workers), str(ready), "--trials", str(trials), "--server", url]
    command = [sys.executable, "-m", "benchmarks.cluster", *told]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def carried(url: str, workers: Sequence[int], trials: int) -> None:
    """Print what a driver carries, and what follows for more workers than were tried."""
    print(
        "\n| workers | at once | events | events/s | of one core | driver's cores | µs per event | peak MB |"
    )
    print("|--:|--:|--:|--:|--:|--:|--:|--:|", flush=True)
    measured = []
    few = [(1024, 16), (1024, 256)]  # many workers that are not all ready at once
    for count, ready in [*((each, each) for each in workers), *few]:
        turns, events, wall, cpu, memory = driven(url, count, ready, max(trials, 2 * count))
        measured.append((int(turns), count, int(events), cpu))
        print(
            f"| {count:,} | {ready} | {events:,.0f} | {events / wall:,.0f} | {events / cpu:,.0f} "
            f"| {cpu / wall:.2f} | {1e6 * cpu / events:,.0f} | {memory:,.0f} |",
            flush=True,
        )
    service = Service.fitted(measured)
    print(
        f"\nThe driver's CPU time: {1e6 * service.poll:,.0f} µs a turn, {1e6 * service.worker:.1f} µs a turn "
        f"and worker, {1e6 * service.event:,.0f} µs an event. With it, simulated:\n"
    )
    print("| workers | seconds an epoch | epochs before an answer | workers train | the driver is busy |")
    print("|--:|--:|--:|--:|--:|")
    for count in (1_000, 10_000):
        for epoch_s, ahead in ((0.1, 1), (1.0, 1), (1.0, 10), (10.0, 1), (60.0, 1)):
            busy, driver = utilized(service, count, epoch_s, ahead=ahead)
            print(f"| {count:,} | {epoch_s:g} | {ahead} | {busy:.0%} | {driver:.0%} |", flush=True)


def paced(kind: str, trials: int = 20, epochs: int = 50) -> tuple[float, float]:
    """Wall and driver's CPU seconds of two workers that train trials of epochs of 10 ms."""
    table = {"use": "tests:none", "epochs": epochs, "workers": 2, "cluster": "local:2"}
    job = Job(study(epochs, trainer=table), None)
    with tempfile.TemporaryDirectory() as folder:
        files = artifacts(Path(folder) / "models")
        made: WorkerPool = (
            RayPool(PacedTrainer, job, files, 2)
            if kind == "ray"
            else Processes(PacedTrainer, job, files, [Resources()] * 2)
        )
        with contextlib.closing(made):
            while made.free() < 2:
                made.poll(0.1)
            waiting = [Trial(number, {}, 0) for number in range(trials)]
            ended, begun, cpu = 0, time.perf_counter(), time.process_time()
            while ended < trials:
                if batch := [Placement(waiting.pop()) for _ in range(min(made.free(), len(waiting)))]:
                    made.submit(batch, 2.0)
                ended += sum(isinstance(event, Finished) for event in made.poll(1.0))
            return time.perf_counter() - begun, time.process_time() - cpu


def overhead(pairs: int) -> None:
    """Print what Ray costs at 200 events a second."""
    found = [(paced("processes"), paced("ray")) for _ in range(pairs)]
    print(f"\n| two workers, epochs of 10 ms, median of {pairs} pairs | wall s | driver's CPU s |")
    print("|---|--:|--:|")
    for index, kind in enumerate(("processes", "ray")):
        wall, cpu = (statistics.median(pair[index][which] for pair in found) for which in (0, 1))
        print(f"| {kind} | {wall:.2f} | {cpu:.2f} |")
    more = statistics.median(ray[0] / alone[0] - 1 for alone, ray in found)
    print(f"| Ray takes longer by | {more:.1%} | |", flush=True)


def beside(pairs: int, trials: int) -> None:
    """Print trials a second of Ray Tune and of tuner on two cores of Ray; wall and CPU time with imports."""
    rows: dict[str, list[tuple[float, float, float]]] = {"Ray Tune, ASHA": [], "tuner, asha-stop": []}
    for _ in range(pairs):
        for name, found in rows.items():
            with tempfile.TemporaryDirectory() as folder:
                script = Path(folder) / "ours.py"
                script.write_text(OURS.format(epoch_s=EPOCH_S, trials=trials))
                is_ours = name.startswith("tuner")
                path = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
                told = [str(script)] if is_ours else [str(PEER), str(trials), str(EPOCH_S), folder]
                done = run(
                    [sys.executable, *told],
                    Path(folder),
                    {"PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0"},
                )
                seconds = done.wall_s
                if is_ours:
                    with Database.open(f"sqlite:///{folder}/tuner.db") as database:
                        seconds = database.study("s").seconds
                else:
                    seconds = json.loads(done.output.splitlines()[-1])
                found.append((trials / seconds, done.wall_s, done.cpu_s))
    print(
        f"\n| {trials} trials of ten epochs of 10 ms, median of {pairs} pairs | trials/s | wall s | CPU s |"
    )
    print("|---|--:|--:|--:|")
    for name, found in rows.items():
        rate, wall, cpu = (statistics.median(each[which] for each in found) for which in range(3))
        print(f"| {name} | {rate:.1f} | {wall:.1f} | {cpu:.1f} |")
    theirs, ours = rows.values()
    times = statistics.median(our[0] / their[0] for our, their in zip(ours, theirs, strict=True))
    print(f"| ratio of trials/s | {times:.1f} | | |", flush=True)


def main() -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--server", metavar="URL", default="", help="a PostgreSQL database; else an SQLite file"
    )
    parser.add_argument("--workers", type=int, nargs="*", default=[4, 32, 256])
    parser.add_argument(
        "--trials", type=int, default=500, help="of the driver's studies, and beside Ray Tune a tenth"
    )
    parser.add_argument("--ray", type=int, default=0, metavar="PAIRS", help="what Ray adds")
    parser.add_argument("--peer", type=int, default=0, metavar="PAIRS", help="beside Ray Tune")
    parser.add_argument("--alone", nargs=2, type=int, metavar=("WORKERS", "READY"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.alone:
        drive(chosen.server, 2, 2, 4)
        workers, ready = chosen.alone
        print(json.dumps(drive(chosen.server, workers, ready, chosen.trials)))
        return
    print(machine())
    if chosen.workers:
        carried(chosen.server, chosen.workers, chosen.trials)
    if chosen.ray:
        overhead(chosen.ray)
    if chosen.peer:
        beside(chosen.peer, chosen.trials // 10)


if __name__ == "__main__":
    main()
