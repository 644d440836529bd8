from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.machine import MachineMeter, MachineReading

pytestmark = pytest.mark.skipif(not Path("/proc/stat").exists(), reason="this system has no /proc")

GIB = 2**30


COUNTS = """
import subprocess, sys
from tuner.machine import MachineMeter
meter = MachineMeter()
before = meter.read()
with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
    after = meter.read()
    child.communicate(b"\\n")
print(before.processes, after.processes)
"""


def test_a_reading_counts_the_processes_that_were_started() -> None:
    # In a process of its own: what other tests have started may end at any time.
    told = subprocess.run([sys.executable, "-c", COUNTS], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["1", "2"]


def test_a_reading_lies_within_the_machine() -> None:
    found = MachineMeter().read()
    assert found is not None
    assert found.memory > 0
    assert 0 < found.all_memory < found.most_memory
    assert found.most_cores == os.cpu_count()
    assert found.cores >= 0
    assert MachineReading.of_text(found.to_text()).sentence == found.sentence


def test_a_reading_is_told_in_one_sentence() -> None:
    reading = MachineReading(
        "2026-11-30T08:00:00+00:00",
        "ada",
        1,
        1.84,
        3 * GIB,
        1.9,
        2,
        6 * GIB,
        16 * GIB,
        [(0.5, GIB, 80 * GIB)],
    )
    assert reading.sentence == (
        "ada: the study keeps 1.8 cores busy and uses 3.0 GiB in 1 process; in all 1.9 of 2 cores, "
        "6.0 GiB of 16.0 GiB; GPU 0 50 % of the time, 1.0 GiB of 80.0 GiB"
    )


@pytest.mark.parametrize(
    ("script", "found"),
    [("echo '45, 1024, 2048'\necho '0, 3, 2048'", [(0.45, GIB, 2 * GIB), (0.0, 3 * 2**20, 2 * GIB)]),
     ("echo 'No devices were found'", []), ("exit 9", [])],
)  # fmt: skip
def test_gpus_are_those_that_nvidia_smi_tells_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, found: list[tuple[float, int, int]]
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    reading = MachineMeter().read()
    assert reading is not None
    assert reading.gpus == found
