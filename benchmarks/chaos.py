"""Studies that are killed again and again, and what is missing or different at their end.

Each scenario is run once in peace and then in rounds: a real process drives the study, SIGKILL ends
it at a drawn moment (any, in the middle of a commit, in the middle of writing a checkpoint, or one
of its workers only), another process resumes it, until it is done. After every kill the database is
read: nothing that was stored before may be gone. At the end the study must be the one that ran in
peace: same numbers, parameters, states, values, and curves bit for bit.

Run: python -m benchmarks.chaos [--kills 200] [--only WORD] [--seed 0]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

import tuner
from tuner.core.trial import Reading, TrialRecord
from tuner.executors.checkpoints import Checkpoints
from tuner.store import Database, StudyStore

FUNCTION = """
import numpy as np

def train(params, context):
    weights = np.zeros(3)
    if KEEPS and (state := context.resume()):
        weights[:] = state["weights"]
    while True:
        weights[0] += params["x"] * (1 + 0.1 * np.random.normal())
        weights[1] += abs(params["x"] - 0.3)
        weights[2] += 1
        report = {"train_loss": float(weights[1]), "val_loss": float(weights[0] + 1 / weights[2])}
        yield {**report, "state": {"weights": weights}} if KEEPS else report
"""

_FUNCTION_STUDY = {
    "trainer": {"use": "./function.py:train", "epochs": 9},
    "space": {"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.9}},
}
_ORDERED = {"trainer.executor": "processes", "trainer.workers": 2, "trainer.reproducible": True}


@dataclass(frozen=True)
class Scenario:
    """A study, and the moments at which it is killed."""

    name: str
    study: str
    trials: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    aims: tuple[str, ...] = ("any", "commit", "checkpoint")


SCENARIOS = (
    Scenario("mlp fused, tpe, asha", "digits", 60, {"trainer.epochs": 9}),
    Scenario(
        "mlp fused, cmaes, median",
        "digits",
        24,
        {"trainer.epochs": 6, "search.sampler": "cmaes", "search.pruner": "median"},
    ),
    Scenario(
        "mlp one at a time, two workers in order, asha",
        "digits",
        24,
        {"trainer.epochs": 6, "trainer.rows": 1, **_ORDERED},
        ("any", "commit", "worker"),
    ),
    Scenario(
        "scikit-learn, two workers in order, hyperband",
        "digits_sklearn",
        16,
        {"trainer.epochs": 6, "search.pruner": "hyperband", **_ORDERED},
        ("any", "commit", "worker"),
    ),
    Scenario(
        "a function that keeps a state, random",
        "function",
        30,
        {"search.sampler": "random", "trainer.workers": 1},
        ("any", "commit", "checkpoint"),
    ),
    Scenario(
        "a function that keeps none, asha-stop",
        "function",
        30,
        {"search.pruner": "asha-stop", "trainer.workers": 1},
        ("any", "commit"),
    ),
)


@dataclass
class Tally:
    """What was counted over all rounds of a scenario."""

    rounds: int = 0
    kills: int = 0
    aimed: dict[str, int] = field(default_factory=dict)
    lost_trials: int = 0
    lost_epochs: int = 0
    duplicates: int = 0
    differences: int = 0
    refused: int = 0
    seconds: list[float] = field(default_factory=list)


Table = dict[int, tuple[TrialRecord, list[Reading]]]


class Subject:
    """A scenario in a folder of its own."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self.folder = folder
        folder.mkdir(parents=True)
        self.url = f"sqlite:///{folder}/tuner.db"
        (folder / "function.py").write_text(FUNCTION.replace("KEEPS", str("keeps a state" in scenario.name)))

    def drive(self, *, checkpoint_seconds: float = 0.05) -> None:
        """Start the study, or go on with it."""
        os.chdir(self.folder)
        if (self.folder / "tuner.db").exists() and tuner.studies(storage=self.url):
            tuner.resume(storage=self.url)
            return
        study = self.scenario.study
        tuner.start(
            _FUNCTION_STUDY if study == "function" else study,
            name="chaos",
            storage=self.url,
            trials=self.scenario.trials,
            settings={**self.scenario.settings, "trainer.checkpoint_seconds": checkpoint_seconds},
        )

    def table(self) -> Table:
        """Everything that is stored."""
        if not (self.folder / "tuner.db").exists() or not tuner.studies(storage=self.url):
            return {}
        with contextlib.closing(Database.open(self.url)) as database:
            records, curves = database.records("chaos"), database.curves("chaos")
        return {record.number: (record, curves.get(record.number, [])) for record in records}


def forked(work: Callable[[], None], log: Path) -> int:
    """Run something in a process of its own, in a session of its own; its number."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        work()
        code = 0
    except BaseException as error:  # noqa: BLE001
        print(f"{type(error).__name__}: {error}", flush=True)
    finally:
        os._exit(code)


def arm(aim: str, lots: random.Random) -> None:
    """Let this process be killed in the middle of what is aimed at."""

    def soon(after_s: float) -> None:
        threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGKILL)).start()

    countdown = lots.randrange(1, 40)

    def counted(call: Callable[..., Any], longest_s: float) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal countdown
            countdown -= 1
            if countdown == 0:
                soon(lots.random() * longest_s)
            return call(*args, **kwargs)

        return wrapped

    if aim == "commit":
        StudyStore.record = counted(StudyStore.record, 0.003)  # type: ignore[method-assign]
    if aim == "checkpoint":
        Checkpoints.write = counted(Checkpoints.write, 0.001)  # type: ignore[method-assign]


def attempt(subject: Subject, aim: str, lots: random.Random, typical_s: float) -> bool:
    """Drive the study until it is killed or done; whether it is done."""

    def work() -> None:
        arm(aim, lots)
        subject.drive()

    pid = forked(work, subject.folder / "log")
    deadline = time.monotonic() + lots.uniform(0.1, 1.0) * typical_s
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline and aim in ("any", "worker"):
            victims = _children(pid) if aim == "worker" else [pid]
            if victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(lots.choice(victims), signal.SIGKILL)
                if aim == "worker":
                    aim = "any"
                    deadline = time.monotonic() + lots.uniform(0.1, 0.5) * typical_s
        time.sleep(0.002)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError((subject.folder / "log").read_text()[-3000:])
    return True


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def told(record: TrialRecord, curve: list[Reading]) -> str:
    """What must be the same however often a study was interrupted."""
    known = (record.number, dict(record.params), record.state, record.value, record.epochs)
    decided = (record.conclusive, record.rule, record.reason)
    return repr((known, decided, [astuple(replace(reading, seconds=0.0)) for reading in curve]))


def look(before: Table, after: Table, tally: Tally) -> None:
    """Count what was stored before a kill and is not after it."""
    numbers = sorted(after)
    tally.duplicates += numbers != list(range(len(numbers)))
    for number, (record, curve) in before.items():
        if record.state.is_over and (number not in after or told(*after[number]) != told(record, curve)):
            tally.lost_trials += 1
        elif number in after:
            tally.lost_epochs += max(0, len(curve) - len(after[number][1]))


def peace(scenario: Scenario, folder: Path) -> tuple[Table, float]:
    """The study as it is when nobody kills it, and how long that takes."""
    subject = Subject(scenario, folder)
    begin = time.monotonic()
    pid = forked(subject.drive, folder / "log")
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise RuntimeError((folder / "log").read_text()[-3000:])
    return subject.table(), time.monotonic() - begin


def round_of(
    scenario: Scenario, folder: Path, whole: Table, typical_s: float, lots: random.Random, tally: Tally
) -> None:
    """Kill and resume one study until it is done, then compare it."""
    subject = Subject(scenario, folder)
    begin = time.monotonic()
    before: Table = {}
    while True:
        aim = lots.choice(scenario.aims)
        if attempt(subject, aim, lots, typical_s):
            break
        tally.kills += 1
        tally.aimed[aim] = tally.aimed.get(aim, 0) + 1
        after = subject.table()
        look(before, after, tally)
        before = after
    found = subject.table()
    look(before, found, tally)
    tally.differences += sum(
        number not in found or told(*found[number]) != told(*whole[number]) for number in whole
    ) + len(set(found) - set(whole))
    tally.rounds += 1
    tally.seconds.append(time.monotonic() - begin)


def run(scenarios: tuple[Scenario, ...], kills: int, seed: int) -> Iterator[tuple[Scenario, Tally, float]]:
    """Every scenario until it has had its share of the kills."""
    lots = random.Random(seed)
    for scenario in scenarios:
        with tempfile.TemporaryDirectory() as name:
            whole, typical_s = peace(scenario, Path(name) / "whole")
            tally = Tally()
            while tally.kills < kills / len(scenarios):
                folder = Path(name) / str(tally.rounds)
                round_of(scenario, folder, whole, typical_s, lots, tally)
            yield scenario, tally, typical_s


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=200, help="at least so many in all")
    parser.add_argument("--only", default="", help="scenarios whose name has this in it")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chosen = tuple(each for each in SCENARIOS if options.only in each.name)
    print(
        "| study | in peace | rounds | kills (where) | lost trials | lost epochs | duplicates | differences |"
    )
    print("| --- | --: | --: | :-- | --: | --: | --: | --: |")
    total = Tally()
    for scenario, tally, typical_s in run(chosen, options.kills, options.seed):
        where = ", ".join(f"{count} {aim}" for aim, count in sorted(tally.aimed.items()))
        print(
            f"| {scenario.name} | {typical_s:.1f} s | {tally.rounds} | {tally.kills} ({where}) | "
            f"{tally.lost_trials} | {tally.lost_epochs} | {tally.duplicates} | {tally.differences} |",
            flush=True,
        )
        total.kills += tally.kills
        total.differences += tally.lost_trials + tally.lost_epochs + tally.duplicates + tally.differences
        total.seconds += tally.seconds
    print(
        f"\n{total.kills} kills, {total.differences} things lost or different; "
        f"a round takes {statistics.median(total.seconds):.1f} s in the median"
    )
    sys.exit(total.differences > 0)


if __name__ == "__main__":
    main()
