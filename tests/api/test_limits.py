"""Limits end a single trial, with its reason, and not the study."""

# ruff: noqa: T201

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import tuner
from tuner.core.budget import StudyState
from tuner.core.sections import StopSpec
from tuner.errors import SpecError
from tuner.machine import descendants, resident_bytes
from tuner.store import verify

SPACE = {"x": tuner.Float(0, 1)}


def greedy(params: Mapping[str, Any], context: Any) -> Iterator[float]:
    yield params["x"]
    if context.number == 1:
        held = bytearray(700 * 2**20)
        held[::4096] = b"x" * len(held[::4096])
        time.sleep(60)
    yield params["x"]


def started(trainer: Any, **settings: Any) -> tuner.Study:
    given = {"search.pruner": "none", **settings}
    return tuner.start(trainer=trainer, space=SPACE, name="s", trials=4, settings=given)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_trial_that_uses_too_much_memory_ends_with_the_reason_and_the_study_goes_on(workers: int) -> None:
    study = started(greedy, **{"stop.memory": "600 MiB", "trainer.workers": workers})
    assert study.summary.state is StudyState.FINISHED
    assert [str(record.state) for record in study.records] == ["finished", "stopped", "finished", "finished"]
    record = study.records[1]
    assert (record.rule, record.epochs, record.conclusive) == ("memory", 1, False)
    assert "GiB of memory; [stop] memory is 0.59 GiB" in str(record.reason)
    assert record.interruptions == 0
    assert verify("sqlite:///tuner.db").is_sound


def stuck(params: Mapping[str, Any], context: Any) -> Iterator[float]:
    for _ in range(6):
        if context.number == 2:
            print("still here", flush=True)
            time.sleep(1.0)
    yield params["x"]
    if context.number == 1:
        time.sleep(120)
    yield params["x"]


def test_a_trial_that_says_nothing_for_too_long_ends_and_one_that_prints_does_not() -> None:
    study = started(stuck, **{"stop.silence": 4.0})
    assert [(str(r.state), r.rule) for r in study.records] == [
        ("finished", None), ("stopped", "silence"), ("finished", None), ("finished", None)
    ]  # fmt: skip
    assert "reported and printed nothing for 4 seconds" in str(study.records[1].reason)


def child(params: Mapping[str, Any], context: Any) -> Iterator[float]:
    yield params["x"]
    if context.number == 1:
        pid = os.fork()
        if pid == 0:
            time.sleep(300)
            os._exit(0)
        print(f"pid {pid}", flush=True)
        time.sleep(60)
    yield params["x"]


def has_ended(pid: str) -> None:
    place = Path(f"/proc/{pid}/stat")
    deadline = time.monotonic() + 10
    while place.exists() and place.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_a_trial_has_started_ends_with_it() -> None:
    study = started(child, **{"stop.silence": 3.0})
    assert study.records[1].rule == "silence"
    has_ended(study.trial(1).log.split()[1])


COMMAND = """
import os, subprocess, sys, time
print("val_loss=0.5", flush=True)
if os.environ["TUNER_TRIAL"] == "1":
    print("pid", subprocess.Popen(["sleep", "300"], stdout=subprocess.DEVNULL).pid, file=sys.stderr)
    held = bytearray(HELD)
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(120)
"""


@pytest.mark.parametrize(
    ("rule", "limit", "held", "told"),
    [
        ("memory", "600 MiB", "700 * 2**20", "GiB of memory; [stop] memory is 0.59 GiB"),
        ("silence", 3.0, "4096", "reported and printed nothing for 3 seconds"),
    ],
)
def test_a_command_beyond_a_limit_ends_with_the_reason_and_with_what_it_has_started(
    rule: str, limit: Any, held: str, told: str
) -> None:
    Path("train.py").write_text(COMMAND.replace("HELD", held))
    keys = {"search.pruner": "none", f"stop.{rule}": limit}
    table = {"trainer": {"command": "python train.py", "epochs": 2}}
    study = tuner.start(table, space=SPACE, name="s", trials=3, settings=keys)
    assert [(str(record.state), record.rule) for record in study.records] == [
        ("finished", None), ("stopped", rule), ("finished", None)
    ]  # fmt: skip
    assert told in str(study.records[1].reason)
    has_ended(study.trial(1).log.split("pid ")[1].split()[0])


def test_this_process_cannot_end_a_trial_and_says_so() -> None:
    with pytest.raises(SpecError, match="'inline' trains in this process and cannot end a trial at"):
        started(stuck, **{"stop.memory": "1 GiB", "trainer.executor": "inline"})


@pytest.mark.parametrize(
    ("text", "size"),
    [("4 GiB", 4 * 2**30), ("1.5gb", 1_500_000_000), (" 500 MB ", 500_000_000), ("10 KiB", 10_240)],
)
def test_amounts_of_memory_are_read(text: str, size: int) -> None:
    assert StopSpec(memory=text).memory_bytes == size


@pytest.mark.parametrize("text", ["4", "GiB", "four GiB", "4 TB", "-1 GiB"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no amount; give"):
        StopSpec(memory=text)


def test_the_memory_of_a_process_is_seen_with_that_of_its_children() -> None:
    pid = os.fork()
    if pid == 0:
        time.sleep(30)
        os._exit(0)
    try:
        assert pid in descendants(os.getpid())
        assert resident_bytes(os.getpid()) > resident_bytes(pid) > 0
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
