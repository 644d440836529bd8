"""Real studies in real processes that are told to end: they leave soon, say how to go on, and do go on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path

import pytest

import tuner
from tests import processes
from tests.processes import Program
from tuner.core.budget import StudyState
from tuner.core.trial import TrialState
from tuner.engine import interrupts
from tuner.store import Database

TRAINER = """
import os, time
from pathlib import Path
import numpy as np

def train(params, context):
    weights = np.zeros(2)
    if (state := context.resume()) is not None:
        weights[:] = state["weights"]
    while True:
        weights += params["x"] * np.random.normal(), 1
        with open("diary", "a") as diary:
            diary.write(f"{context.number} {int(weights[1])}\\n")
        time.sleep(600 if context.number == 3 and weights[1] == 4 and Path("slow").exists() else PACE_S)
        loss = float(weights[0] + 1 / weights[1])
        yield {"train_loss": loss, "val_loss": loss, "state": {"weights": weights}}
"""

STUDY = """
name = "told"
[trainer]
use = "./trainer.py:train"
epochs = 9
checkpoint_seconds = 600
{trainer}
[search]
sampler = "random"
pruner = "none"
[budget]
trials = 12
[space.x]
type = "float"
low = 0.0
high = 1.0
default = 0.9
"""

ORDERED = "workers = 2\nreproducible = true"
INLINE = 'executor = "inline"\nworkers = 1'

PROGRAM = """
import signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as in a terminal, even where the tests run under nohup
from tuner.engine import interrupts
from tuner.cli import main
interrupts.GRACE_S = GRACE_S
main(sys.argv[1:])
"""
SOON_S = 60.0
"""A bound that no machine exceeds; it says nothing of how soon."""

Table = list[tuple[object, ...]]


class Folder:
    """A study in a folder of its own, driven by the program."""

    def __init__(self, path: Path, trainer: str, pace_s: float = 0.02) -> None:
        self.path = path
        self.url = f"sqlite:///{path}/tuner.db"
        path.mkdir(exist_ok=True)
        (path / "trainer.py").write_text(TRAINER.replace("PACE_S", str(pace_s)))
        (path / "study.toml").write_text(STUDY.format(trainer=trainer))

    def tune(self, *words: str, patient: bool = False) -> Program:
        program = PROGRAM.replace("= GRACE_S", f"= {600 if patient else interrupts.GRACE_S}")
        environment = {name: value for name, value in os.environ.items() if name != "TUNER_STORAGE"}
        paths = os.pathsep.join(path for path in sys.path if path)
        environment |= {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        return processes.start("-c", program, *words, cwd=self.path, env=environment, session=True)

    def diary(self) -> list[str]:
        """What was trained: number and epoch, again and again."""
        path = self.path / "diary"
        return path.read_text().splitlines() if path.exists() else []

    def checkpoints(self) -> set[str]:
        """Numbers of the trials that have some."""
        [folder] = [*(self.path / "tuner_models").glob("told-*/checkpoints")] or [self.path / "none"]
        return {path.name.partition(".")[0] for path in folder.glob("*")}

    @property
    def study(self) -> tuner.Study:
        return tuner.load("told", storage=self.url)

    def table(self) -> Table:
        """What must be the same however often a study was interrupted."""
        with contextlib.closing(Database.open(self.url)) as database:
            records, curves = database.records("told"), database.curves("told")
        rows: Table = []
        for record in records:
            readings = curves.get(record.number, [])
            curve = [repr(astuple(replace(reading, seconds=0.0))) for reading in readings]
            known = (record.number, dict(record.params), record.state, record.value, record.epochs)
            rows.append((*known, record.conclusive, record.rule, record.reason, curve))
        return rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Table]:
    """The study that nobody interrupts."""
    tables: dict[str, Table] = {}

    def of(trainer: str) -> Table:
        if trainer not in tables:
            folder = Folder(tmp_path_factory.mktemp("whole"), trainer, pace_s=0.0)
            with contextlib.chdir(folder.path):
                tuner.start("study.toml", storage=folder.url)
            tables[trainer] = folder.table()
        return tables[trainer]

    return of


def until(condition: Callable[[], object], process: Program) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.005)


def ended(process: Program, within_s: float = SOON_S) -> int:
    """Wait until the program has left; its exit code."""
    try:
        _, process.told = process.communicate(timeout=within_s)  # type: ignore[union-attr]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return process.wait()


def left(process: Program) -> None:
    """Wait until the program has left, in time and with the command to go on."""
    code, err = ended(process), process.told  # type: ignore[union-attr]
    assert code == 130, err
    assert err.rstrip().splitlines()[-1] == "interrupted; go on with: tune resume told"
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # Nobody of its group is left.


def gone_on(folder: Folder, seconds: float | None = None) -> None:
    with contextlib.chdir(folder.path):
        tuner.resume("told", storage=folder.url, seconds=seconds)
    assert folder.study.summary.state is StudyState.FINISHED
    assert not folder.checkpoints()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_study_that_is_told_to_end_goes_on_as_if_it_never_was(
    tmp_path: Path, whole: Callable[[str], Table], number: signal.Signals
) -> None:
    folder = Folder(tmp_path, INLINE)
    process = folder.tune("start", "study.toml")
    until(lambda: len(folder.diary()) > 12, process)
    process.send_signal(number)
    left(process)
    summary = folder.study.summary
    assert (summary.state, summary.reason) == (StudyState.INTERRUPTED, "stopped by the user")
    waiting = {str(r.number) for r in folder.study.records if r.state is TrialState.WAITING}
    assert waiting <= folder.checkpoints()
    assert not summary.is_driven
    gone_on(folder)
    assert folder.table() == whole(INLINE)
    # No checkpoint is due for ten minutes: only that it wrote one when it left can have saved the epochs.
    assert max(Counter(folder.diary()).values()) == 1, "an epoch was trained twice"


def test_ctrl_c_in_a_terminal_reaches_the_workers_too_and_leaves_none(
    tmp_path: Path, whole: Callable[[str], Table]
) -> None:
    folder = Folder(tmp_path, ORDERED)
    process = folder.tune("start", "study.toml")
    until(lambda: len(folder.diary()) > 12, process)
    os.killpg(process.pid, signal.SIGINT)
    left(process)
    assert folder.study.summary.state is StudyState.INTERRUPTED
    gone_on(folder)
    assert folder.table() == whole(ORDERED)


@pytest.mark.parametrize("trainer", [INLINE, ORDERED])
def test_an_epoch_that_takes_very_long_is_broken_off(
    tmp_path: Path, whole: Callable[[str], Table], trainer: str
) -> None:
    folder = Folder(tmp_path, trainer)
    (tmp_path / "slow").touch()
    # Workers are ended at once, however long an epoch may take in this process.
    process = folder.tune("start", "study.toml", patient=trainer == ORDERED)
    until(lambda: "3 4" in folder.diary(), process)
    process.send_signal(signal.SIGTERM)
    left(process)
    assert folder.study.summary.state is StudyState.INTERRUPTED
    (tmp_path / "slow").unlink()
    gone_on(folder)
    assert folder.table() == whole(trainer)
    interruptions = {record.number: record.interruptions for record in folder.study.records}
    assert interruptions[3] == 1
    assert interruptions[0] == 0


def test_the_second_signal_does_not_wait(tmp_path: Path, whole: Callable[[str], Table]) -> None:
    folder = Folder(tmp_path, INLINE)
    (tmp_path / "slow").touch()
    process = folder.tune("start", "study.toml", patient=True)
    until(lambda: "3 4" in folder.diary(), process)
    process.send_signal(signal.SIGINT)
    # The epoch has ten minutes to end, so it is the second signal that ends it.
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)
    process.send_signal(signal.SIGINT)
    left(process)
    (tmp_path / "slow").unlink()
    gone_on(folder)
    assert folder.table() == whole(INLINE)


def test_a_second_signal_writes_no_checkpoint(tmp_path: Path, whole: Callable[[str], Table]) -> None:
    folder = Folder(tmp_path, INLINE)
    process = folder.tune("start", "study.toml")
    until(lambda: len(folder.diary()) > 12, process)
    os.kill(process.pid, signal.SIGSTOP)
    for number in (signal.SIGINT, signal.SIGTERM):  # Both are there before it can answer one.
        os.kill(process.pid, number)
    os.kill(process.pid, signal.SIGCONT)
    left(process)
    running = {str(r.number) for r in folder.study.records if r.state is TrialState.WAITING}
    assert not running & folder.checkpoints()
    gone_on(folder)
    assert folder.table() == whole(INLINE)


@pytest.mark.parametrize("trainer", [INLINE, ORDERED])
def test_a_study_whose_seconds_are_used_up_ends_in_the_middle_of_an_epoch_and_goes_on(
    tmp_path: Path, whole: Callable[[str], Table], trainer: str
) -> None:
    folder = Folder(tmp_path, trainer)
    (tmp_path / "slow").touch()
    process = folder.tune("start", "study.toml", "--seconds", "4")
    assert ended(process, SOON_S + 20) in (0, 2)  # 2: until then no trial had a value
    summary = folder.study.summary
    assert (summary.state, summary.reason) == (StudyState.FINISHED, "the budget of 4 seconds is used up")
    # Where workers take longer than that to start, no trial has begun.
    assert sum(record.state.is_over for record in folder.study.records) < 12
    (tmp_path / "slow").unlink()
    gone_on(folder, seconds=900)
    assert folder.table() == whole(trainer)
