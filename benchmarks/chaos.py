"""Studies that are killed again and again, and what is missing or different at their end.

Each scenario is run once in peace and then in rounds: a real process drives the study, SIGKILL ends
it at a drawn moment (any, in the middle of a commit, in the middle of writing a checkpoint, or one
of its workers or their ranks only), another process resumes it, until it is done. After every kill the
database is read: nothing that was stored before may be gone, and every model that a record names must
be there. At the end the study must be the one that ran in peace: same numbers, parameters, states, values,
and curves bit for bit; no checkpoint may be left over, and no model that no record names.

What is done with a finished study is killed too, see `benchmarks.aftermath`: its confirmation, its
export and its deletion; so are two databases in one folder, and a study whose models find no room.

With --drivers, two processes want the same study at the same instant, a new one or one whose driver
was just killed, and exactly one may get it. With --readers, eight processes read all of a study while
it runs; none may see an error, and what they cost the driver is told.

With --cluster, the studies that tell how Ray's do train on a simulated cluster of three nodes, and workers,
their ranks, the actors that have them, whole nodes and drivers are killed; they must come out as they do on
this machine without Ray. Half of the drivers say that no worker sees the study's folder.

Run: python -m benchmarks.chaos [--kills 200] [--only WORD] [--seed 0] [--trials N]
     [--after 20] [--drivers 50] [--readers] [--server postgresql://...] [--cluster]
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna

from benchmarks import aftermath, scenarios
from benchmarks.nodes import Nodes, children_of, nodes
from benchmarks.scenarios import (
    CLUSTERED,
    SCENARIOS,
    Scenario,
    Subject,
    Table,
    different,
    elsewhere,
    forked,
    peace,
    told,
)
from tuner.executors import worker
from tuner.executors.checkpoints import Checkpoints
from tuner.executors.ray_pool import RayPool
from tuner.store import StudyStore


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
    leftovers: int = 0
    missing_models: int = 0
    refused: int = 0
    seconds: list[float] = field(default_factory=list)

    def count_refusal(self) -> bool:
        """One more driver that Ray did not let in; whether that may be the machine's fault."""
        self.refused += 1
        return self.refused <= REFUSALS

    def count(self, where: str) -> None:
        """One more kill."""
        self.kills += 1
        self.aimed[where] = self.aimed.get(where, 0) + 1


_ARMED = ("commit", "checkpoint")
"""Moments at which a driver kills itself."""

REFUSALS = 3
"""Drivers of a scenario that a busy cluster may refuse; nothing of their study may be lost by that."""

CLUSTER: Nodes | None = None
"""Where the studies train; None: on this machine."""


def arm(aim: str, lots: random.Random) -> None:
    """Let this process be killed in the middle of what is aimed at."""

    def soon(after_s: float) -> None:
        threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGKILL)).start()

    countdown = lots.randrange(1, 10)

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
        # Small trials have none otherwise, and there would be little to aim at.
        worker.WORTH_S = 0.0
        Checkpoints.write = counted(Checkpoints.write, 0.001)  # type: ignore[method-assign]


def attempt(subject: Subject, aim: str, lots: random.Random, typical_s: float, tally: Tally) -> bool:
    """Drive the study until it is killed or done; whether it is done."""
    is_apart = CLUSTER is not None and lots.random() < 0.5

    def work() -> None:
        arm(aim, lots)
        if is_apart:
            RayPool.__init__.__kwdefaults__["shared"] = False  # type: ignore[index]
        subject.drive()

    pid = forked(work, subject.folder / "log")
    aims = [each for each in subject.scenario.aims if each not in _ARMED] if CLUSTER is not None else ["any"]
    latest = 1.0 if CLUSTER is None else 0.6  # of the time, much goes into the start of the cluster's workers
    target, deadline = aim, time.monotonic() + lots.uniform(0.1, latest) * typical_s
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        is_due = time.monotonic() > deadline and target not in _ARMED
        if is_due and strike(target, pid, lots) and target != "any":
            tally.count(target)
            target = lots.choice(aims)
            deadline = time.monotonic() + lots.uniform(0.1, 0.5) * typical_s
        time.sleep(0.002)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        tally.count(aim if aim in _ARMED else "any")
        return False
    if os.waitstatus_to_exitcode(status) != 0:
        said = (subject.folder / "log").read_text()[-3000:]
        if "no Ray cluster" in said and tally.count_refusal():
            return False
        raise RuntimeError(said)
    return True


def strike(target: str, driver: int, lots: random.Random) -> bool:
    """Kill the driver, or one of its workers or of what these hang on; whether there was one."""
    hosts = [] if CLUSTER is None else CLUSTER.hosts()
    workers = [child for each in ([driver] if CLUSTER is None else hosts) for child in children_of(each)]
    ranks = [rank for worker in workers for rank in children_of(worker)]
    victims = {"any": [driver], "worker": workers, "rank": ranks, "actor": hosts, "node": hosts}[target]
    if not victims:
        return False
    victim = lots.choice(victims)
    if target == "node":
        return CLUSTER is not None and CLUSTER.lose(victim)
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    return True


def look(before: Table, after: Table, tally: Tally) -> None:
    """Count what was stored before a kill and is not after it."""
    numbers = sorted(after)
    tally.duplicates += numbers != list(range(len(numbers)))
    for number, (record, curve) in before.items():
        if record.state.is_over and (number not in after or told(*after[number]) != told(record, curve)):
            tally.lost_trials += 1
        elif number in after:
            tally.lost_epochs += max(0, len(curve) - len(after[number][1]))


def round_of(
    scenario: Scenario, folder: Path, whole: Table, typical_s: float, lots: random.Random, tally: Tally
) -> None:
    """Kill and resume one study until it is done, then compare it."""
    subject = Subject(scenario, folder)
    begin = time.monotonic()
    before: Table = {}
    while True:
        if attempt(subject, lots.choice(scenario.aims), lots, typical_s, tally):
            break
        after = subject.table()
        look(before, after, tally)
        tally.missing_models += subject.missing()
        before = after
    found = subject.table()
    look(before, found, tally)
    tally.differences += different(found, whole)
    tally.leftovers += subject.leftovers()
    tally.missing_models += subject.missing()
    tally.rounds += 1
    tally.seconds.append(time.monotonic() - begin)


def run(chosen: tuple[Scenario, ...], kills: int, seed: int) -> Iterator[tuple[Scenario, Tally, float]]:
    """Every scenario until it has had its share of the kills."""
    lots = random.Random(seed)
    for each in chosen:
        with tempfile.TemporaryDirectory() as name:
            scenario, whole, typical_s = peace(each, Path(name) / "whole")
            tally = Tally()
            if CLUSTER is not None:
                scenario, found, typical_s = elsewhere(scenario, Path(name) / "ray")
                tally.differences += different(found, whole)
            while tally.kills < kills / len(chosen):
                folder = Path(name) / str(tally.rounds)
                round_of(scenario, folder, whole, typical_s, lots, tally)
                # Its first run may have met a busy machine.
                typical_s = min(typical_s, tally.seconds[-1])
                lost = (
                    tally.lost_trials,
                    tally.lost_epochs,
                    tally.duplicates,
                    tally.differences,
                    tally.leftovers,
                )
                told = f"{scenario.name}: round {tally.rounds}, {tally.kills} kills, {tally.aimed}; {lost}"
                print(told, file=sys.stderr, flush=True)
            yield scenario, tally, typical_s


class Finished(Exception):
    """Another one had driven the study to its end already."""


def wanting(subject: Subject, moment: float) -> Callable[[], None]:
    """Drive a study, from a moment of the clock on."""

    def work() -> None:
        while time.time() < moment:
            pass
        if not subject.drive():
            raise Finished

    return work


def orphaned(subject: Subject, lots: random.Random) -> None:
    """Let a driver be killed in the middle of a commit."""

    def work() -> None:
        arm("commit", lots)
        subject.drive()

    os.waitpid(forked(work, subject.folder / "log"), 0)


def rivals(scenario: Scenario, rounds: int, lots: random.Random) -> int:
    """Let two processes want the same study, again and again; how often not exactly one got it."""
    outcomes: Counter[str] = Counter()
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        scenario, whole, _ = peace(scenario, Path(name) / "whole")
        for number in range(rounds):
            subject = Subject(scenario, Path(name) / str(number))
            how = ("new", "left by a killed driver")[number % 2]
            if number % 2:
                orphaned(subject, lots)
            logs = [subject.folder / f"log {which}" for which in range(2)]
            work = wanting(subject, time.time() + 0.05)
            pids = [forked(work, log) for log in logs]
            codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
            ends = sorted(
                "got it" if code == 0 else log.read_text().strip().splitlines()[-1]
                for code, log in zip(codes, logs, strict=True)
            )
            kinds = [end.partition(":")[0] for end in ends]
            same = different(subject.table(), whole) == 0
            outcomes[f"{how}: {' | '.join(kinds)}; it ends {'the same' if same else 'DIFFERENT'}"] += 1
            if not same or kinds[1] != "got it" or kinds[0] not in ("Finished", "StudyExists", "StudyLocked"):
                wrong += 1
                print(f"{how}: {ends}", flush=True)
    print("\n| two drivers at the same instant | times |\n| --- | --: |")
    for outcome, times in sorted(outcomes.items()):
        print(f"| {outcome} | {times} |", flush=True)
    return wrong


def read(subject: Subject, kind: str, pause_s: float, go_on: Path) -> None:
    """Read a whole study again and again."""
    times = 0
    while go_on.exists():
        if not subject.table():
            continue
        if kind == "optuna":
            logging.getLogger("optuna").setLevel(logging.ERROR)
            trials = optuna.load_study(study_name="chaos", storage=subject.url).trials
            assert [trial.number for trial in trials] == list(range(len(trials)))
        else:
            look(subject.table(), subject.table(), tally := Tally())
            assert tally.lost_trials + tally.lost_epochs + tally.duplicates == 0
        times += 1
        time.sleep(pause_s)
    (go_on.parent / f"read-{os.getpid()}").write_text(str(times))


def watched(scenario: Scenario, folder: Path, readers: int, pause_s: float) -> tuple[float, float, int, int]:
    """Run a study before readers: its wall time, its CPU time, how often it was read, errors."""
    subject = Subject(scenario, folder)
    go_on = folder / "go on"
    go_on.touch()
    kinds = ["optuna", *["tuner"] * readers][:readers]
    pids = [
        forked(partial(read, subject, kind, pause_s, go_on), folder / f"reader {index}")
        for index, kind in enumerate(kinds)
    ]
    begin = time.monotonic()
    _, status, usage = os.wait4(forked(subject.drive, folder / "log"), 0)
    wall_s = time.monotonic() - begin
    go_on.unlink()
    errors = (status != 0) + sum(os.waitpid(pid, 0)[1] != 0 for pid in pids)
    reads = sum(int(path.read_text()) for path in folder.glob("read-*"))
    return wall_s, usage.ru_utime + usage.ru_stime, reads, errors


def audience(scenario: Scenario, pairs: int = 3) -> None:
    """Print what eight readers cost a study."""
    print(f"\n| eight readers of: {scenario.name} | reads | errors | driver's CPU time | wall time |")
    print("| --- | --: | --: | --: | --: |")
    with tempfile.TemporaryDirectory() as name:
        for label, pause_s in (("each once a second", 1.0), ("without a pause", 0.0)):
            alone, before = [], []
            for pair in range(pairs):
                alone.append(watched(scenario, Path(name) / f"{label} {pair} alone", 0, 0.0))
                before.append(watched(scenario, Path(name) / f"{label} {pair}", 8, pause_s))
            cpu, wall = (
                statistics.median(b[index] / a[index] for a, b in zip(alone, before, strict=True))
                for index in (1, 0)
            )
            reads, errors = sum(each[2] for each in before), sum(each[3] for each in before)
            print(f"| {label} | {reads} | {errors} | x {cpu:.2f} | x {wall:.2f} |", flush=True)


def kill(chosen: tuple[Scenario, ...], kills: int, seed: int) -> int:
    """Print a table of kills; how many things were lost or different."""
    counted = ("lost_trials", "lost_epochs", "duplicates", "differences", "leftovers", "missing_models")
    print("| study | in peace | rounds | kills (where) | " + " | ".join(counted).replace("_", " ") + " |")
    print("| --- | --: | --: | :-- |" + " --: |" * len(counted))
    total, wrong = 0, 0
    seconds: list[float] = []
    for scenario, tally, typical_s in run(chosen, kills, seed):
        where = ", ".join(f"{count} {aim}" for aim, count in sorted(tally.aimed.items()))
        counts = [getattr(tally, name) for name in counted]
        print(
            f"| {scenario.name} | {typical_s:.1f} s | {tally.rounds} | {tally.kills} ({where}) | "
            f"{' | '.join(map(str, counts))} |",
            flush=True,
        )
        total, wrong, seconds = total + tally.kills, wrong + sum(counts), seconds + tally.seconds
    print(
        f"\n{total} kills, {wrong} things lost, different or left over; "
        f"a round takes {statistics.median(seconds):.1f} s in the median"
    )
    return wrong


def main() -> None:
    """Print tables."""
    global CLUSTER
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=200, help="at least so many in all")
    parser.add_argument(
        "--only", default="", help="scenarios, or things after a search, whose name has this in it"
    )
    parser.add_argument("--trials", type=int, help="of each study; else as the scenario says")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--after", type=int, default=0, help="rounds of each thing that is done after a search"
    )
    parser.add_argument("--drivers", type=int, default=0, help="so often two drivers want one study")
    parser.add_argument("--server", metavar="URL", help="on a PostgreSQL server instead of SQLite files")
    parser.add_argument("--cluster", action="store_true", help="on a Ray cluster of three nodes")
    parser.add_argument("--readers", action="store_true", help="eight readers look on")
    options = parser.parse_args()
    scenarios.SERVER = options.server
    chosen = tuple(
        replace(each, trials=options.trials or each.trials)
        for each in (CLUSTERED if options.cluster else SCENARIOS)
        if options.only in each.name
    )
    with nodes() if options.cluster else contextlib.nullcontext() as CLUSTER:
        wrong = kill(chosen, options.kills, options.seed) if options.kills else 0
    if options.after:
        wrong += aftermath.run(options.after, options.seed, options.only)
    keeping = next(each for each in SCENARIOS if "keeps a state" in each.name)
    if options.drivers:
        wrong += rivals(keeping, options.drivers, random.Random(options.seed))
    if options.readers:
        audience(SCENARIOS[0])
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
