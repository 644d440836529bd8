"""A study, its files and a trainer that computes nothing, to test executors with."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tuner.artifacts import Artifacts
from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, Failure, Outcome, Snapshot, TrialBatch
from tuner.core.trial import Reading, Trial
from tuner.errors import DeviceError


def artifacts(folder: Path, *, synced: bool = False) -> Artifacts:
    """The files of a study of no database."""
    return Artifacts(folder, "0" * 32, "study", "tuner.db", synced)


def models_in(folder: Path) -> set[str]:
    """The names of what lies among a study's models, but for the mark that says whose they are."""
    return {path.name for path in folder.iterdir()} - {"study.json"}


def study(epochs: int = 3, **sections: Any) -> StudySpec:
    """A study with one parameter of no meaning."""
    return StudySpec.parse(
        {
            "trainer": {"use": "tests:none", "epochs": epochs},
            **sections,
            "space": {"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.1}},
        }
    )


class FakeTrainer:
    """A trainer that computes nothing: val_loss is params["loss"] + 1 / epoch.

    params["at"] is the epoch in which params["does"] happens: "fail", "raise", "exhaust",
    "device", "exit", "die" (SIGKILL) or "sleep". A trial that does "drift" never trains the same
    twice, one that does "forget" has no snapshot, one that does "misplace" cannot go on from it.
    params["diary"] is a file that gets a line for every epoch of the trial; with params["once"],
    what happens does so only for the first time.
    """

    def validate(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        """None."""
        return ()

    def why_unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
        """Never."""
        return None

    def epoch_cost(self, job: Job) -> Callable[[Trial], float] | None:
        """Its diaries are no place for threads."""
        return None

    def open_batch(self, job: Job) -> TrialBatch:
        """As many rows as the job wants."""
        return FakeBatch(job.rows)


class FakeBatch:
    """Rows of a FakeTrainer."""

    def __init__(self, rows: int) -> None:
        self.capacity = rows
        self.rows: dict[int, tuple[Trial, int]] = {}
        self.broken: set[int] = set()

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        assert row not in self.rows, "the row is not empty"
        assert 0 <= row < self.capacity
        epoch = 0
        if snapshot is not None:
            assert snapshot.facts == {"trial": trial.number}
            epoch = int(snapshot.arrays["beads"].sum())
            assert epoch == snapshot.epoch
            self.broken.update({row} if trial.params.get("does") == "misplace" else ())
        self.rows[row] = (trial, epoch)

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        return {row: self.step(row) for row in (list(self.rows) if rows is None else rows)}

    def step(self, row: int) -> Outcome:
        trial, epoch = self.rows[row]
        if row in self.broken:
            return Failure("ValueError: the snapshot does not fit", "Traceback ...")
        epoch += 1
        self.rows[row] = (trial, epoch)
        diary = Path(str(trial.params["diary"]))
        again = diary.exists() and f"{epoch}\n" in diary.read_text()
        with diary.open("a") as file:
            file.write(f"{epoch}\n")
        sys.stdout.write("a bead moves\n")
        sys.stdout.flush()
        sys.stderr.write("a bead complains\n")
        if trial.params.get("at") == epoch and not (trial.params.get("once") and again):
            match trial.params["does"]:
                case "fail":
                    return Failure("ValueError: told to", "Traceback ...")
                case "exhaust":
                    return Exhausted()
                case "raise":
                    raise ValueError("it escaped")
                case "device":
                    raise DeviceError("abacus:0 is broken")
                case "exit":
                    os._exit(3)
                case "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "sleep":
                    time.sleep(600)
        loss = float(trial.params.get("loss", 0.0)) + 1 / epoch
        if trial.params.get("does") == "drift":
            loss += len(diary.read_text())
        return Reading(epoch, loss, loss, seconds=0.01)

    def save(self, row: int, folder: Path) -> bool:
        assert not list(folder.iterdir()), "the folder is not empty"
        trial, epoch = self.rows[row]
        match trial.params.get("does"):
            case "save_failure":
                raise ValueError("no such format")
            case "unsaved":
                (folder / "model.txt").write_text("half")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        (folder / "model.txt").write_text(f"trial {trial.number}, {epoch} epochs\n")
        return True

    def snapshot(self, row: int) -> Snapshot | None:
        trial, epoch = self.rows[row]
        if trial.params.get("does") == "forget":
            return None
        return Snapshot(epoch, {"beads": np.ones(epoch)}, {"trial": trial.number})

    def clear(self, row: int) -> None:
        self.broken.discard(row)
        del self.rows[row]
