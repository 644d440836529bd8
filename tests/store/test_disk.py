"""A driver whose disk, file or lock fails it stops with a sentence, and goes on with all that was stored."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from tests import processes
from tests.servers import until
from tuner.core.budget import StudyState
from tuner.core.ports import Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Trial
from tuner.errors import StoreError
from tuner.store import Database, StudyStore, verify

Trials = Callable[..., Trial]
Readings = Callable[..., Reading]


@pytest.fixture
def kind() -> str:
    """All this is about files."""
    return "sqlite"


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///").partition("?")[0])


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(StoreError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def small_disk(tmp_path: Path, template: Path) -> Iterator[Path]:
    """A disk of two megabytes with an empty database on it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        shutil.copyfile(template, disk / "tuner.db")
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_study_on_a_disk_that_fills_up_keeps_every_turn_that_was_recorded(
    small_disk: Path, spec: StudySpec, trial: Trials, reading: Readings
) -> None:
    url = f"sqlite:///{small_disk / 'tuner.db'}"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_000_000))
    recorded = 0
    with Database.open(url) as database:
        store = database.create_study("s", spec, {})
        try:
            for number in range(1000):
                store.record(Turn(started=[trial(number)], readings=[(number, reading(1))]))
                recorded += 1
        except StoreError as error:
            text = str(error)
        assert 10 < recorded < 1000
        assert "the disk is full; free some space" in text
        assert text.endswith("go on with: tune resume s")
        with contextlib.suppress(StoreError):  # it may just fit in
            store.finish(StudyState.FAILED, "the disk is full", 1.0)
        store.close()
    ballast.unlink()
    with Database.open(url) as database:
        resumed = database.resume_study("s")
        assert [r.number for r in database.records("s")] == list(range(recorded))
        assert database.curves("s") == {n: [reading(1)] for n in range(recorded)}
        resumed.record(Turn(started=[trial(recorded)]))
        resumed.finish(StudyState.FINISHED, "done", 2.0)
    assert verify(url).findings == []


@pytest.mark.parametrize("how", ["removed", "removed with its log", "replaced"])
def test_what_a_removed_or_replaced_database_held_is_saved_beside_it(
    url: str,
    template: Path,
    database: Database,
    store: StudyStore,
    trial: Trials,
    reading: Readings,
    how: str,
) -> None:
    for number in range(30):
        store.record(Turn(started=[trial(number)], readings=[(number, reading(1))]))
    path = path_of(url)
    if how == "replaced":
        other = path.with_name("other.db")
        shutil.copyfile(template, other)
        other.replace(path)
    else:
        for file in path.parent.glob("tuner.db*") if "log" in how else [path]:
            file.unlink()
    text = refusal(lambda: store.record(Turn(started=[trial(30)])))
    saved = text.rpartition("--storage ")[2]
    assert f"{path}: was {how.split()[0]} while study 'nets' ran; all it held was saved" in text
    assert f"go on with: tune resume nets --storage sqlite:///{path.parent}/" in text
    with contextlib.suppress(StoreError):
        store.finish(StudyState.FAILED, text, 1.0)
    store.close()
    database.close()
    assert verify(saved).is_sound
    with Database.open(saved) as again:
        resumed = again.resume_study("nets")
        assert again.curves("nets") == {n: [reading(1)] for n in range(30)}
        resumed.record(Turn(started=[trial(30)]))
        resumed.close()


def test_a_database_removed_with_its_folder_says_that_nothing_could_be_saved(
    tmp_path: Path, template: Path, spec: StudySpec
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copyfile(template, folder / "tuner.db")
    with Database.open(str(folder / "tuner.db")) as database:
        store = database.create_study("s", spec, {})
        shutil.rmtree(folder)
        assert "what it held could not be saved" in refusal(lambda: store.record(Turn()))
        store.close()
    assert not folder.exists()


def test_a_removed_database_does_not_come_back_empty(url: str, database: Database) -> None:
    database.close()
    path_of(url).unlink()
    assert "cannot be opened" in refusal(database.studies)
    assert not path_of(url).exists()


def test_a_turn_waits_for_a_lock_that_is_given_back(
    url: str, store: StudyStore, database: Database, trial: Trials
) -> None:
    other = sqlite3.connect(path_of(url), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
    release.start()
    store.record(Turn(started=[trial(0)]))
    release.join()
    assert len(database.records("nets")) == 1
    other.close()


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_that_is_held_too_long_stops_the_study_cleanly(
    url: str, spec: StudySpec, trial: Trials, reading: Readings
) -> None:
    with Database.open(f"{url}?timeout=1") as database:
        store = database.create_study("s", spec, {})
        store.record(Turn(started=[trial(0)], readings=[(0, reading(1))]))
        command = [sys.executable, "-c", HOLDER, str(path_of(url))]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        before = time.monotonic()
        text = refusal(lambda: store.record(Turn(readings=[(0, reading(2))])))
        assert "another program keeps it locked, for longer than the 30 s that are waited" in text
        assert time.monotonic() - before >= 1
        refusal(lambda: store.finish(StudyState.FAILED, text, 1.0))
        store.close()
        holder.communicate()
        resumed = database.resume_study("s")
        assert database.curves("s") == {0: [reading(1)]}
        resumed.record(Turn(started=[trial(0)], readings=[(0, reading(2))]))
        resumed.close()


READER = """
import os, sqlite3, sys
url, kind, go_on = sys.argv[1:]

if kind == "optuna":
    import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)
elif kind == "tuner":
    from tuner.store import Database

def look():
    if kind == "optuna":
        trials = optuna.load_study(study_name="s", storage=url).trials
        assert [t.number for t in trials] == list(range(len(trials)))
    elif kind == "sqlite3":
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute("SELECT count(*) FROM tuner_epochs").fetchall()
        connection.close()
    else:
        with Database.open(url) as database:
            summary, records = database.study("s"), database.records("s")
            assert len(records) >= sum(summary.counts.values())
            database.curves("s")

look()
open(f"{go_on} {os.getpid()}", "w").close()
while os.path.exists(go_on):
    look()
"""


@pytest.mark.slow
def test_eight_readers_and_the_driver_do_not_disturb_each_other(
    url: str, tmp_path: Path, database: Database, spec: StudySpec, trial: Trials, reading: Readings
) -> None:
    store = database.create_study("s", spec, {})
    store.record(Turn(started=[trial(0)], readings=[(0, reading(1))]))
    go_on = tmp_path / "go on"
    go_on.touch()
    readers = [
        processes.start("-c", READER, url, kind, str(go_on)) for kind in ("optuna", "sqlite3", *["tuner"] * 6)
    ]
    try:
        until(lambda: len([*tmp_path.glob("go on *")]) == 8 or any(each.poll() for each in readers))
        for number in range(1, 100):
            store.record(Turn(started=[trial(number)], readings=[(number, reading(1))]))
    finally:
        go_on.unlink()
        ends = [(reader.wait(60), reader.communicate()[1]) for reader in readers]
    assert ends == [(0, "")] * 8
    store.close()
    assert verify(url).is_sound
    assert len(database.records("s")) == 100


@pytest.mark.parametrize(("durability", "level"), [("normal", 1), ("full", 2)])
def test_every_commit_of_a_durable_study_waits_for_the_disk(
    url: str, database: Database, spec: StudySpec, trial: Trials, durability: str, level: int
) -> None:
    levels: list[int] = []

    def look(connection: Connection) -> None:
        assert connection.connection.driver_connection is not None
        levels.append(connection.connection.driver_connection.execute("PRAGMA synchronous").fetchone()[0])

    durable = StudySpec.parse({**spec.to_table(), "durability": durability})
    event.listen(database._engine, "commit", look)
    store = database.create_study("s", durable, {})
    store.record(Turn(started=[trial(0)]))
    store.finish(StudyState.INTERRUPTED, "Ctrl-C", 1.0)
    resumed = database.resume_study("s")
    resumed.record(Turn(started=[trial(0)]))
    resumed.close()
    assert len(levels) == 7
    assert set(levels) == {level}
