from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from tuner.core.budget import StudyState
from tuner.core.ports import Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial, TrialState
from tuner.errors import StudyLocked
from tuner.store import Database, StudyStore
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
store = Database.open(sys.argv[1]).create_study("driven", spec, {}, "")
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


def changed(url: str, statement: str, *values: object) -> None:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    with connection:
        connection.execute(statement, values)
    connection.close()


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
        changed(url, "UPDATE tuner_lease SET heartbeat = ?", ago(3600))
        with pytest.raises(StudyLocked):
            database.resume_study("driven")
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # Dead, but still to be reaped.
        summary = database.study("driven")
        assert (summary.state, summary.is_driven) == (StudyState.INTERRUPTED, False)
        assert summary.reason is not None
        resumed = database.resume_study("driven")
        assert [r.state for r in database.records("driven")] == [TrialState.RUNNING]
        resumed.close()
    database.delete_study("driven")


def test_a_study_driven_by_this_process_is_locked_too(database: Database, store: StudyStore) -> None:
    with pytest.raises(StudyLocked, match=f"process {os.getpid()}"):
        database.resume_study("nets")
    store.close()
    database.resume_study("nets").close()


@pytest.mark.parametrize(("age_s", "is_locked"), [(50, True), (70, False)])
def test_on_another_machine_the_heartbeat_decides(
    url: str, database: Database, store: StudyStore, age_s: float, is_locked: bool
) -> None:
    changed(url, "UPDATE tuner_lease SET host = 'elsewhere', heartbeat = ?", ago(age_s))
    assert database.study("nets").is_driven is is_locked
    if is_locked:
        with pytest.raises(StudyLocked, match="on elsewhere"):
            database.resume_study("nets")
    else:
        database.resume_study("nets").close()


def test_a_driver_that_was_taken_over_writes_no_more(
    url: str, database: Database, store: StudyStore, trial: Callable[..., Trial]
) -> None:
    changed(url, "UPDATE tuner_lease SET host = 'elsewhere', heartbeat = ?", ago(70))
    successor = database.resume_study("nets")
    assert store._lease is not None
    store._lease.renewed -= timedelta(seconds=70)  # As if this process had slept meanwhile.
    with pytest.raises(StudyLocked, match=f"taken over by process {os.getpid()}"):
        store.record(Turn(started=[trial(0)]))
    assert database.records("nets") == []
    store.close()
    assert database.study("nets").is_driven
    successor.record(Turn(started=[trial(0)]))
    successor.close()


def test_an_empty_turn_renews_an_old_heartbeat(url: str, database: Database, store: StudyStore) -> None:
    assert store._lease is not None
    store.record(Turn())
    renewed = store._lease.renewed
    store._lease.renewed -= timedelta(seconds=10)
    changed(url, "UPDATE tuner_lease SET host = 'elsewhere', heartbeat = ?", ago(70))
    assert not database.study("nets").is_driven
    store.record(Turn())
    assert database.study("nets").is_driven
    assert store._lease.renewed >= renewed


def test_a_new_spec_that_is_refused_leaves_the_study_free(
    database: Database, store: StudyStore, spec: StudySpec
) -> None:
    store.close()
    table = {**spec.to_table(), "objective": {"metric": "val_score"}}
    with pytest.raises(Exception, match="the lowest val_loss and cannot go on with the highest val_score"):
        database.resume_study("nets", StudySpec.parse(table))
    assert not database.study("nets").is_driven


def test_a_pid_that_was_given_to_another_process_is_not_the_holder() -> None:
    start = process_start(os.getpid())
    assert start
    host = socket.gethostname()
    assert is_living(host, os.getpid(), start, ago(0))
    assert not is_living(host, os.getpid(), start + "0", ago(0))
    assert not is_living(host, 2**22 + 1, start, ago(0))
