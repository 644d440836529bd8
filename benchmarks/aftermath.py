"""What comes after a search, killed: a confirmation, an export, a deletion; and studies beside each other.

SIGKILL comes at a drawn moment or at a drawn file operation, and what was killed is done again until
it is done. Then all must be as if nobody had killed it. Counted is what is not: trials, files or words
that differ, models that a record names and that are not there, faults that `verify` finds, and files
that are left over.

Two databases in one folder have a study of one name each and are driven at the same time. A folder of
models that fills up is a small file system, so that round needs a user who may mount one.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tuner
from benchmarks.scenarios import SCENARIOS, Scenario, Subject, Table, different, forked, peace, told, whole
from tuner.api.stored import verify
from tuner.errors import StudyNotFound

_TOUCHES = ("open", "os.", "shutil.")
"""How the audit events of file operations begin."""

_ROOM_KB = 24
"""Of a folder of models at first, and what it gains each time that it is full."""


@dataclass
class Count:
    """What came of all rounds of one kind."""

    rounds: int = 0
    kills: int = 0
    stops: int = 0
    wrong: int = 0


def run(rounds: int, seed: int, only: str = "") -> int:
    """Print a table of the kinds whose name has a word in it; how much was wrong."""
    lots = random.Random(seed)
    keeping = replace(next(each for each in SCENARIOS if "keeps a state, random" in each.name), trials=8)
    digits = Scenario("digits", "digits", 6, {"trainer.epochs": 2, "confirm.top": 1, "confirm.repeats": 3})
    print("\n| after the search | rounds | kills | wrong |\n| --- | --: | --: | --: |")
    wrong = 0
    for name, play, scenario in (
        ("confirmation, of rows that are locked", confirmed, digits),
        ("confirmation, of a function", confirmed, keeping),
        ("export", exported, digits),
        ("deletion, and a new study of that name", deleted, keeping),
        ("two databases in one folder", beside, keeping),
        ("a folder of models that fills up", filled, keeping),
    ):
        if only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            count = play(scenario, Path(folder), rounds, lots)
        stops = f", no room {count.stops} times" if count and count.stops else ""
        told = (
            f"{count.rounds} | {count.kills}{stops} | {count.wrong}"
            if count
            else "– | – | no small file system here"
        )
        print(f"| {name} | {told} |", flush=True)
        wrong += count.wrong if count else 0
    return wrong


def again_and_again(
    work: Callable[[], object], log: Path, lots: random.Random, whole_s: float, touches: int
) -> int:
    """Do something until it is done, killed now and then; how often it was."""
    kills = 0
    while True:

        def armed() -> None:
            if lots.random() < 0.5:
                at_touch(lots.randrange(1, touches + 1))
            else:
                threading.Timer(lots.random() * whole_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
            work()

        status = os.waitpid(forked(armed, log), 0)[1]
        # Each child draws what this process would draw next.
        lots.random()
        if not os.WIFSIGNALED(status):
            if os.waitstatus_to_exitcode(status) != 0:
                raise RuntimeError(log.read_text()[-3000:])
            return kills
        kills += 1


def at_touch(number: int) -> None:
    """Let this process be killed at its so many-th file operation."""
    left = number

    def hook(event: str, _: tuple[Any, ...]) -> None:
        nonlocal left
        if event.startswith(_TOUCHES):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def in_peace(work: Callable[[], object], log: Path) -> tuple[float, int]:
    """How many seconds something takes, and how many file operations."""
    counted = log.with_name("touches")

    def counting() -> None:
        touches = 0

        def hook(event: str, _: tuple[Any, ...]) -> None:
            nonlocal touches
            touches += event.startswith(_TOUCHES)

        sys.addaudithook(hook)
        work()
        counted.write_text(str(touches))

    begin = time.monotonic()
    _, status = os.waitpid(forked(counting, log), 0)
    if status:
        raise RuntimeError(log.read_text()[-3000:])
    return time.monotonic() - begin, int(counted.read_text())


def finished(scenario: Scenario, folder: Path) -> tuple[Subject, Table]:
    """A study that is over, and all of it."""
    subject = whole(Subject(scenario, folder / "original"))
    return subject, subject.table()


def copied(subject: Subject, folder: Path) -> Subject:
    """The same in another folder."""
    shutil.copytree(subject.folder, folder)
    return Subject(subject.scenario, folder)


def faults(subject: Subject) -> int:
    """What `verify` finds, and models that are named and missing, or there and not named."""
    found = [each for each in verify(storage=subject.url).findings if each.is_fault]
    return len(found) + subject.missing() + subject.leftovers()


def confirmed(scenario: Scenario, folder: Path, rounds: int, lots: random.Random) -> Count:
    """Kill confirmations."""
    original, table = finished(scenario, folder)

    def confirm(subject: Subject) -> Callable[[], None]:
        def work() -> None:
            os.chdir(subject.folder)
            tuner.confirm("chaos", storage=subject.url)

        return work

    def outcome(subject: Subject) -> str:
        found = tuner.load("chaos", storage=subject.url).confirmation
        if found is None:
            return "none"
        weights = found.model_path is not None and digests(Path(found.model_path))
        # How often it took to open the test is told, and may differ.
        return repr((replace(found, model_path=None, locked_reads=()), weights))

    calm = copied(original, folder / "calm")
    whole_s, touches = in_peace(confirm(calm), folder / "log")
    count, expected = Count(rounds), outcome(calm)
    for number in range(rounds):
        subject = copied(original, folder / str(number))
        count.kills += again_and_again(confirm(subject), folder / "log", lots, whole_s, touches)
        count.wrong += (outcome(subject) != expected) + different(subject.table(), table) + faults(subject)
    return count


def digests(folder: Path) -> dict[str, str]:
    """The content of each file, by its place; that of whom it belongs to aside."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(folder))
            found[name] = (
                hashlib.blake2b(path.read_bytes()).hexdigest() if path.suffix == ".safetensors" else ""
            )
    return found


def exported(scenario: Scenario, folder: Path, rounds: int, lots: random.Random) -> Count:
    """Kill exports."""
    subject, table = finished(scenario, folder)

    def export(place: Path) -> Callable[[], None]:
        def work() -> None:
            # It may have been killed when all was done.
            if not place.is_dir() or contents(place) != expected:
                tuner.export("chaos", place, storage=subject.url)

        return work

    expected: dict[str, bytes] = {}
    whole_s, touches = in_peace(export(folder / "calm"), folder / "log")
    expected = contents(folder / "calm")
    count = Count(rounds)
    for number in range(rounds):
        place = folder / str(number)
        count.kills += again_and_again(export(place), folder / "log", lots, whole_s, touches)
        count.wrong += (contents(place) != expected) + different(subject.table(), table) + faults(subject)
    return count


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def deleted(scenario: Scenario, folder: Path, rounds: int, lots: random.Random) -> Count:
    """Kill deletions; a study of the same name must then come out as if there had never been another."""
    original, table = finished(scenario, folder)

    def delete(subject: Subject) -> Callable[[], None]:
        def work() -> None:
            try:
                tuner.delete("chaos", storage=subject.url)
            except StudyNotFound:
                return

        return work

    whole_s, touches = in_peace(delete(copied(original, folder / "calm")), folder / "log")
    count = Count(rounds)
    for number in range(rounds):
        subject = copied(original, folder / str(number))
        (subject.folder / "mine.txt").write_text("not theirs")
        count.kills += again_and_again(delete(subject), folder / "log", lots, whole_s, touches)
        models = subject.folder / "tuner_models"
        count.wrong += len(subject.table()) + len(list(models.glob("chaos*")) if models.is_dir() else [])
        count.wrong += not (subject.folder / "mine.txt").exists()
        if number % 5 == 0:
            whole(subject)
            count.wrong += different(subject.table(), table) + faults(subject)
    return count


def beside(scenario: Scenario, folder: Path, rounds: int, lots: random.Random) -> Count:
    """Drive two databases in one folder at the same time, and kill both."""
    wholes: list[tuple[Table, dict[int, dict[str, str]]]] = []
    seeds = [replace(scenario, settings={**scenario.settings, "search.seed": seed}) for seed in (1, 2)]
    whole_s = 0.0
    for index, each in enumerate(seeds):
        begin = time.monotonic()
        subject = whole(Subject(each, folder / f"alone {index}"))
        whole_s = max(whole_s, time.monotonic() - begin)
        wholes.append((subject.table(), models(subject.table())))
    count = Count(rounds)
    for number in range(rounds):
        place = folder / str(number)
        pair = [Subject(seeds[0], place), Subject(seeds[1], place, "other.db")]
        pending = {0, 1}
        while pending:
            pids = {forked(pair[i].drive, place / f"log {i}"): i for i in pending}
            deadline = time.monotonic() + lots.uniform(0.2, 1.5) * whole_s
            while pids:
                for pid in list(pids):
                    ended, status = os.waitpid(pid, os.WNOHANG)
                    if ended:
                        index = pids.pop(pid)
                        if status == 0:
                            pending.discard(index)
                        elif os.WIFSIGNALED(status):
                            count.kills += 1
                        else:
                            raise RuntimeError((place / f"log {index}").read_text()[-3000:])
                    elif time.monotonic() > deadline:
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.005)
        for subject, (table, weights) in zip(pair, wholes, strict=True):
            found = subject.table()
            count.wrong += different(found, table) + (models(found) != weights) + subject.missing()
            count.wrong += len([e for e in verify(storage=subject.url).findings if e.is_fault])
        tuner.delete("chaos", storage=pair[1].url)
        count.wrong += faults(pair[0]) + (models(pair[0].table()) != wholes[0][1])
    return count


def models(table: Table) -> dict[int, dict[str, str]]:
    """The weights of each model that is kept."""
    return {n: digests(Path(record.model_path)) for n, (record, _) in table.items() if record.model_path}


def filled(scenario: Scenario, folder: Path, rounds: int, lots: random.Random) -> Count | None:
    """Let models find no room, make some, and resume; now and then, kill it too."""
    scenario, table, whole_s = peace(scenario, folder / "peace")
    count = Count(rounds)
    for number in range(rounds):
        subject = Subject(scenario, folder / str(number))
        place = subject.folder / "tuner_models"
        place.mkdir()
        room = _ROOM_KB
        if not mounted(place, room):
            return None
        try:
            while True:
                pid = forked(subject.drive, subject.folder / "log")
                if lots.random() < 0.3:
                    time.sleep(lots.random() * whole_s)
                    os.kill(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
                found = subject.table()
                over = [(n, each) for n, each in found.items() if each[0].state.is_over]
                count.wrong += sum(n not in table or told(*each) != told(*table[n]) for n, each in over)
                count.wrong += subject.missing()
                if status == 0:
                    break
                if os.WIFSIGNALED(status):
                    count.kills += 1
                    continue
                last = (subject.folder / "log").read_text().strip().splitlines()[-1]
                if not last.startswith("StoreError") or "cannot be written" not in last:
                    raise RuntimeError((subject.folder / "log").read_text()[-3000:])
                count.stops += 1
                room += _ROOM_KB
                mounted(place, room, "remount,")
            count.wrong += different(subject.table(), table) + faults(subject)
        finally:
            subprocess.run(["umount", str(place)], check=True)
    return count


def mounted(place: Path, kilobytes: int, how: str = "") -> bool:
    """Mount a small file system; whether this user may."""
    command = ["mount", "-t", "tmpfs", "-o", f"{how}size={kilobytes}k", "tmpfs", str(place)]
    return shutil.which("mount") is not None and not subprocess.run(command, capture_output=True).returncode
