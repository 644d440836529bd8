from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection

from tests.store.asking import asked
from tuner.core.budget import StudyState
from tuner.core.ports import Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial, TrialState
from tuner.errors import StudyLocked
from tuner.store import Database, StudyStore, lease
from tuner.store.connect import connect, parse
from tuner.store.encoding import now, stamp
from tuner.store.lease import is_living, process_start

DRIVER = """
import sys, time
from tuner.core.ports import Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial
from tuner.store import Database
x = {"type": "float", "low": 0, "high": 1, "default": 0.5}
spec = StudySpec.parse({"name": "driven", "space": {"x": x}})
store = Database.open(sys.argv[1]).create_study("driven", spec, {})
store.record(Turn(started=[Trial(0, {"x": 0.5}, 0)]))
print("driving", flush=True)
time.sleep(600)
"""


@contextmanager
def driver(url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that drives the study `driven`."""
    process = subprocess.Popen([sys.executable, "-c", DRIVER, url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "driving\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    engine = connect(parse(url))
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def ago(seconds: float) -> str:
    return stamp(now() - timedelta(seconds=seconds))


def test_a_study_that_another_process_drives_is_locked_until_that_is_killed(
    url: str, database: Database
) -> None:
    with driver(url) as process:
        message = f"driven by process {process.pid} on {socket.gethostname()}"
        with pytest.raises(StudyLocked, match=message):
            database.resume_study("driven")
        with pytest.raises(StudyLocked, match=message):
            database.delete_study("driven")
        summary = database.study("driven")
        assert (summary.state, summary.is_driven) == (StudyState.RUNNING, True)
        # A long epoch, or a stopped process: on its own machine the process counts, not the clock.
        asked(url, "UPDATE tuner_lease SET heartbeat = :at", at=ago(3600))
        with pytest.raises(StudyLocked):
            database.resume_study("driven")
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # Dead, but still to be reaped.
        summary = database.study("driven")
        assert (summary.state, summary.is_driven) == (StudyState.INTERRUPTED, False)
        assert summary.reason is not None
        resumed = database.resume_study("driven")
        assert [(r.state, r.interruptions) for r in database.records("driven")] == [(TrialState.WAITING, 1)]
        resumed.close()
    database.delete_study("driven")


def test_a_study_driven_by_this_process_is_locked_too(database: Database, store: StudyStore) -> None:
    with pytest.raises(StudyLocked, match=f"process {os.getpid()}"):
        database.resume_study("nets")
    store.close()
    database.resume_study("nets").close()


@pytest.mark.parametrize(("age_s", "is_locked"), [(10, True), (70, False)])
def test_on_another_machine_the_heartbeat_decides(
    url: str, database: Database, store: StudyStore, age_s: float, is_locked: bool
) -> None:
    asked(url, "UPDATE tuner_lease SET host = 'elsewhere', heartbeat = :at", at=ago(age_s))
    assert database.study("nets").is_driven is is_locked
    if is_locked:
        with pytest.raises(StudyLocked, match="on elsewhere"):
            database.resume_study("nets")
    else:
        database.resume_study("nets").close()


def test_a_driver_that_was_taken_over_writes_no_more(
    url: str, database: Database, store: StudyStore, trial: Callable[..., Trial]
) -> None:
    asked(url, "UPDATE tuner_lease SET host = 'elsewhere', heartbeat = :at", at=ago(70))
    successor = database.resume_study("nets")
    writes: list[Callable[[], None]] = [
        lambda: store.record(Turn(started=[trial(0)])),
        lambda: store.finish(StudyState.FINISHED, "done", 1.0),
        lambda: store.facts({"device": "cuda"}),
    ]
    for write in writes:
        with pytest.raises(StudyLocked, match=f"taken over by process {os.getpid()}"):
            write()
    assert database.records("nets") == []
    store.close()
    assert database.study("nets").is_driven
    successor.record(Turn(started=[trial(0)]))
    successor.close()


def test_every_turn_renews_the_heartbeat(url: str, database: Database, store: StudyStore) -> None:
    asked(url, "UPDATE tuner_lease SET host = 'elsewhere', heartbeat = :at", at=ago(70))
    assert not database.study("nets").is_driven
    store.record(Turn())
    assert database.study("nets").is_driven


def test_the_heartbeat_goes_on_while_an_epoch_takes_long(
    url: str, database: Database, spec: StudySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.02)
    store = database.create_study("slow", spec, {})
    asked(url, "UPDATE tuner_lease SET host = 'elsewhere', heartbeat = :at", at=ago(70))
    until = time.monotonic() + 30
    while not database.study("slow").is_driven and time.monotonic() < until:
        time.sleep(0.02)
    assert database.study("slow").is_driven
    if Path("/proc/stat").exists():
        while database.study("slow").machine is None and time.monotonic() < until:
            time.sleep(0.02)
        machine = database.study("slow").machine
        assert machine is not None
        assert machine.host == socket.gethostname()
    store.close()
    assert database.study("slow").machine is None
    names = [thread.name for thread in threading.enumerate()]
    while "tuner-lease" in names and time.monotonic() < until:
        time.sleep(0.02)
        names = [thread.name for thread in threading.enumerate()]
    assert "tuner-lease" not in names


def test_a_heartbeat_of_a_clock_far_ahead_does_not_lock_a_study_for_ever(
    url: str, database: Database, store: StudyStore
) -> None:
    asked(url, "UPDATE tuner_lease SET host = 'elsewhere', heartbeat = :at", at=ago(-3600))
    assert not database.study("nets").is_driven


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_lease_that_could_not_be_given_back_does_not_keep_its_own_process_out(
    kind: str, url: str, spec: StudySpec, caplog: pytest.LogCaptureFixture
) -> None:
    with Database.open(url + "?timeout=0.05") as database:
        store = database.create_study("held", spec, {})
        other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        store.close()
        assert "could not be given back" in caplog.text
        other.execute("ROLLBACK")
        other.close()
        database.resume_study("held").close()


def test_a_new_spec_that_is_refused_leaves_the_study_free(
    database: Database, store: StudyStore, spec: StudySpec
) -> None:
    store.close()
    table = {**spec.to_table(), "objective": {"metric": "val_score"}}
    with pytest.raises(Exception, match="the lowest val_loss and cannot go on with the highest val_score"):
        database.resume_study("nets", StudySpec.parse(table))
    assert not database.study("nets").is_driven


def test_a_pid_that_was_given_to_another_process_is_not_the_holder(
    store: StudyStore, connection: Connection
) -> None:
    start = process_start(os.getpid())
    assert start
    assert store._lease is not None
    mine = SimpleNamespace(
        host=socket.gethostname(),
        pid=os.getpid(),
        process_start=start,
        heartbeat=ago(0),
        token=store._lease.token,
    )
    assert is_living(connection, mine)
    for other in ({"process_start": start + "0"}, {"pid": 2**22 + 1}, {"token": "0" * 32}, {"host": None}):
        assert not is_living(connection, SimpleNamespace(**vars(mine) | other))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this machine does not tell its boot")
@pytest.mark.parametrize("age_s", [0, 70])
def test_a_process_of_another_container_with_the_same_host_name_is_judged_by_its_heartbeat(
    age_s: float, store: StudyStore, connection: Connection
) -> None:
    start = process_start(os.getpid())
    assert start is not None
    assert store._lease is not None
    machine, _, ticks = start.partition("|")
    boot, _, space = machine.partition(" ")
    assert space.startswith("pid:[")
    for other in (f"{boot} pid:[1]|{ticks}", f"another-boot {space}|{ticks}", ""):
        holder = SimpleNamespace(
            host=socket.gethostname(),
            pid=os.getpid(),
            process_start=other,
            heartbeat=ago(age_s),
            token=store._lease.token,
        )
        assert is_living(connection, holder) is (age_s == 0)
