"""What asking, deciding and recording cost per trial, beside the same loop written on Optuna.

A study of trials whose training costs nothing: its curves are a cheap function of the params. Ours is
the real searcher, engine, asha callback, keeper and SQLite store; theirs is the loop of Optuna's
documentation, with its default SQLite storage and its SuccessiveHalvingPruner. Both have the same
space, curves and rung arithmetic, each run is a process of its own, and pairs alternate. With `--server URL`
the peer is our own study on PostgreSQL.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

ROWS = 16
SPACE: dict[str, dict[str, Any]] = {
    "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "default": 1e-2, "log": True},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99, "default": 0.9},
    "weight_decay": {"type": "float", "low": 1e-6, "high": 1e-1, "default": 1e-4, "log": True},
    "dropout": {"type": "float", "low": 0.0, "high": 0.8, "default": 0.1},
    "width": {"type": "int", "low": 8, "high": 512, "default": 64, "log": True},
    "depth": {"type": "int", "low": 1, "high": 6, "default": 2},
    "optimizer": {"type": "choice", "choices": ["sgd", "adam", "rmsprop"], "default": "adam"},
    "activation": {"type": "choice", "choices": ["relu", "tanh", "gelu", "silu"], "default": "relu"},
}


def loss(params: Mapping[str, Any], epoch: int) -> float:
    """A curve that falls to a floor; both depend on the params."""
    rate = math.log10(params["learning_rate"])
    floor = 0.1 * (rate + 2.5) ** 2 + abs(params["momentum"] - 0.8) + 0.3 * params["dropout"] ** 2
    floor += 0.05 * (math.log10(params["weight_decay"]) + 4) ** 2 + 0.02 * abs(params["depth"] - 3)
    floor += 0.1 * (params["optimizer"] == "sgd") + 0.05 * (params["activation"] == "tanh")
    return float(floor + 2.0 / (epoch * (1.0 + params["momentum"])) + 10.0 / params["width"])


def run_on_server(sampler: str, trials: int, epochs: int, folder: Path) -> int:
    """Our study on the PostgreSQL server that SERVER names; returns the epochs trained."""
    return run_tuner(sampler, trials, epochs, folder, os.environ["SERVER"])


def run_tuner(sampler: str, trials: int, epochs: int, folder: Path, url: str | None = None) -> int:
    """Our study; returns the epochs trained."""
    from tuner import callbacks
    from tuner.core.dataset import Dataset
    from tuner.core.job import Job
    from tuner.core.spec import StudySpec
    from tuner.core.training import Outcome, Snapshot, TrialBatch
    from tuner.core.trial import Reading, Trial
    from tuner.engine import Engine
    from tuner.executors import Inline
    from tuner.search import OptunaSearcher
    from tuner.store import Database

    class NothingToPlot:
        """A batch whose epochs cost nothing."""

        capacity = ROWS

        def __init__(self) -> None:
            self.rows: dict[int, tuple[Trial, int]] = {}
            self.epochs = 0

        def validate(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:  # noqa: ARG002
            return ()

        def why_unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:  # noqa: ARG002
            return None

        def parks(self, spec: StudySpec) -> bool:  # noqa: ARG002
            return False

        def epoch_cost(self, job: Job) -> Callable[[Trial], float] | None:  # noqa: ARG002
            return None

        def open_batch(self, job: Job) -> TrialBatch:  # noqa: ARG002
            return self

        def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:  # noqa: ARG002
            self.rows[row] = (trial, 0)

        def snapshot(self, row: int) -> Snapshot | None:  # noqa: ARG002
            return None

        def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:  # noqa: ARG002
            found: dict[int, Outcome] = {}
            for row, (trial, epoch) in self.rows.items():
                self.rows[row] = (trial, epoch + 1)
                value = loss(trial.params, epoch + 1)
                found[row] = Reading(epoch + 1, value, value, seconds=1e-3)
            self.epochs += len(found)
            return found

        def save(self, row: int, folder: Path) -> bool:  # noqa: ARG002
            (folder / "model").write_bytes(b"weights")
            return True

        def clear(self, row: int) -> None:
            del self.rows[row]

    spec = StudySpec.parse(
        {
            "name": f"bookkeeping-{uuid4().hex[:8]}",
            "trainer": {"epochs": epochs},
            "search": {"sampler": sampler, "pruner": "asha-stop", "min_epochs": 1, "reduction": 3},
            "budget": {"trials": trials},
            "space": SPACE,
        }
    )
    nothing = NothingToPlot()
    url = url or f"sqlite:///{folder / 'ours.db'}"
    with Database.open(url, create=True, models=folder) as database:
        store = database.create_study(spec.name, spec, {})
        Engine(
            searcher=OptunaSearcher(spec.search_space(), spec.search, spec.primary_objective()),
            executor=Inline(lambda: nothing, Job(spec, None, rows=ROWS), store.artifacts),
            store=store,
            callbacks=callbacks.build(spec),
            objective=spec.primary_objective(),
            budget=spec.budget,
            keep=spec.trainer.keep,
            artifacts=store.artifacts,
            max_failures=spec.stop.max_failures,
            study_seed=spec.search.seed,
        ).run()
    return nothing.epochs


def run_optuna(sampler: str, trials: int, epochs: int, folder: Path) -> int:
    """The peer's study; returns the epochs trained."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trained = 0

    def suggest(trial: optuna.Trial, name: str, table: Mapping[str, Any]) -> Any:
        if table["type"] == "choice":
            return trial.suggest_categorical(name, table["choices"])
        ask: Callable[..., Any] = trial.suggest_int if table["type"] == "int" else trial.suggest_float
        return ask(name, table["low"], table["high"], log=table.get("log", False))

    def objective(trial: optuna.Trial) -> float:
        nonlocal trained
        params = {name: suggest(trial, name, table) for name, table in SPACE.items()}
        best = math.inf
        for epoch in range(1, epochs + 1):
            trained += 1
            value = loss(params, epoch)
            best = min(best, value)
            trial.report(value, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return best

    samplers = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
    study = optuna.create_study(
        storage=f"sqlite:///{folder / 'theirs.db'}",
        sampler=samplers[sampler](seed=0),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    )
    study.optimize(objective, n_trials=trials)
    return trained


TRAINER = """
def train(params, context):
    for epoch in range(context.epochs):
        yield 1.0
"""
RESUME = """
import json, resource, sys, time
import tuner

class Watch:
    told = None
    def begin(self, spec, notes):
        pass
    def turn(self, status):
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.told = self.told or [time.perf_counter() - wall, time.process_time() - cpu, memory]

watch, wall, cpu = Watch(), time.perf_counter(), time.process_time()
tuner.resume("stored", workers=1, observer=watch)
print(json.dumps(watch.told))
"""


def store(trials: int, epochs: int, pruner: str, folder: Path) -> None:
    """A study of so many trials that trained to their end, and one to come."""
    from tuner.core.budget import StudyState
    from tuner.core.ports import Turn
    from tuner.core.spec import StudySpec
    from tuner.core.trial import Reading, TrialRecord, TrialState
    from tuner.search import OptunaSearcher
    from tuner.store import Database

    (folder / "trainer.py").write_text(TRAINER)
    spec = StudySpec.parse(
        {
            "name": "stored",
            "trainer": {"use": f"{folder / 'trainer.py'}:train", "epochs": epochs},
            "search": {"sampler": "random", "pruner": pruner},
            "budget": {"trials": trials + 1},
            "space": SPACE,
        }
    )
    searcher = OptunaSearcher(spec.search_space(), spec.search, spec.objectives())
    with Database.open(f"sqlite:///{folder / 'tuner.db'}", create=True) as database:
        driven = database.create_study(spec.name, spec, {})
        for start in range(0, trials, ROWS):
            turn = Turn(started=searcher.ask(min(ROWS, trials - start)))
            for trial in turn.started:
                losses = [loss(trial.params, epoch + 1) for epoch in range(epochs)]
                curve = [Reading(e, v, v, 0.5, 0.5, 1e-3, 1.0, 1e-3) for e, v in enumerate(losses, start=1)]
                turn.readings += [(trial.number, reading) for reading in curve]
                ended = TrialRecord(
                    trial.number, trial.params, TrialState.FINISHED, losses[-1], curve[-1], epochs, True
                )
                turn.ended.append(ended)
            driven.record(turn)
        driven.finish(StudyState.INTERRUPTED, "stopped by the user", 1.0)


def resumed(trials: int, epochs: int) -> None:
    """Print what it costs to go on with a study, up to its first turn, beside one that has just begun."""
    print(f"\nresuming {trials} trials of {epochs} epochs, to the first turn")
    print(f"{'':20}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    for count, pruner in ((1, "median"), (trials, "none"), (trials, "asha"), (trials, "median")):
        with tempfile.TemporaryDirectory() as name:
            store(count, epochs, pruner, Path(name))
            command = [sys.executable, "-c", RESUME]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=name)
        wall, cpu, memory = json.loads(done.stdout.splitlines()[-1])
        print(f"{f'{count}, {pruner}':20}{wall:9.2f}{cpu:9.2f}{memory / unit:9.0f}")


PROGRAMS = {"tuner": run_tuner, "optuna": run_optuna, "postgresql": run_on_server}


@dataclass(frozen=True)
class Cost:
    """What one run cost: seconds of wall and CPU time, peak memory, trial-epochs trained."""

    wall_s: float
    cpu_s: float
    memory_mb: float
    epochs: int


def alone(program: str, sampler: str, trials: int, epochs: int) -> None:
    """Be one run, and print its cost; what the imports cost is not counted, their memory is."""
    with tempfile.TemporaryDirectory() as name:
        # Imports, schema creation and lazy set-up are paid once, in a small study before.
        for part in ("warm", "run"):
            (Path(name) / part).mkdir()
        PROGRAMS[program](sampler, 2, 1, Path(name) / "warm")
        wall, cpu = time.perf_counter(), time.process_time()
        trained = PROGRAMS[program](sampler, trials, epochs, Path(name) / "run")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    unit = 2**20 if sys.platform == "darwin" else 2**10
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(json.dumps([wall, cpu, memory, trained]))


def measure(program: str, sampler: str, trials: int, epochs: int) -> Cost:
    """One run in a process of its own."""
    options = ["--alone", program, sampler, "--trials", str(trials), "--epochs", str(epochs)]
    done = subprocess.run([sys.executable, __file__, *options], check=True, stdout=subprocess.PIPE, text=True)
    return Cost(*json.loads(done.stdout.splitlines()[-1]))


def command_cpu_s(arguments: Sequence[str], repeats: int) -> float:
    """Median seconds of CPU time of a command."""
    taken = []
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(taken)


def machine() -> str:
    """The machine in words."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    return f"{os.cpu_count()} cores of {model}, {platform.system()}, Python {platform.python_version()}"


def compare(sampler: str, trials: int, epochs: int, repeats: int, other: str) -> None:
    """Print a table: medians of both, and the median of the ratios of the pairs."""
    costs: dict[str, list[Cost]] = {"tuner": [], other: []}
    for _ in range(repeats):
        for program in costs:
            costs[program].append(measure(program, sampler, trials, epochs))
    print(f"\n{sampler}: {trials} trials of up to {epochs} epochs, asha, median of {repeats} pairs")
    print(f"{'':10}{'wall ms/trial':>15}{'CPU ms/trial':>15}{'epochs':>9}{'peak MB':>9}")
    for program, runs in costs.items():
        wall, cpu = (
            statistics.median(v) * 1e3 / trials
            for v in zip(*((r.wall_s, r.cpu_s) for r in runs), strict=True)
        )
        trained = statistics.median(r.epochs for r in runs)
        memory = statistics.median(r.memory_mb for r in runs)
        print(f"{program:10}{wall:15.2f}{cpu:15.2f}{trained:9.0f}{memory:9.0f}")
    pairs = list(zip(costs["tuner"], costs[other], strict=True))
    wall = statistics.median(theirs.wall_s / ours.wall_s for ours, theirs in pairs)
    cpu = statistics.median(theirs.cpu_s / ours.cpu_s for ours, theirs in pairs)
    print(f"{'ratio':10}{wall:14.1f}x{cpu:14.1f}x")


def main() -> None:
    """Compare, for both samplers, and tell what the commands cost that only start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--samplers", nargs="+", default=["random", "tpe"], choices=["random", "tpe"])
    parser.add_argument("--resume", type=int, metavar="TRIALS", help="what resuming so many costs instead")
    parser.add_argument("--server", metavar="URL", help="beside ours on a PostgreSQL server, not Optuna")
    parser.add_argument("--alone", nargs=2, metavar=("PROGRAM", "SAMPLER"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.alone:
        program, sampler = chosen.alone
        alone(program, sampler, chosen.trials, chosen.epochs)
        return
    other = "optuna"
    if chosen.server:
        os.environ["SERVER"], other = chosen.server, "postgresql"
    print(machine())
    if chosen.resume:
        resumed(chosen.resume, chosen.epochs)
        return
    for sampler in chosen.samplers:
        compare(sampler, chosen.trials, chosen.epochs, chosen.repeats, other)
    print("\nCPU seconds, median")
    commands = {"import tuner": ["-c", "import tuner"], "tune --help": ["-m", "tuner", "--help"]}
    for name, arguments in {"python -c pass": ["-c", "pass"], **commands}.items():
        print(f"{name:16}{command_cpu_s([sys.executable, *arguments], 5):8.2f}")


if __name__ == "__main__":
    main()
