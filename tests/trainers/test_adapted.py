from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.contracts.trainer import TrainerContract, blobs, study
from tuner.core.dataset import Dataset
from tuner.core.ports import Job, Outcome, Snapshot, Trainer
from tuner.core.spec import StudySpec
from tuner.core.trial import Params, Reading, Trial
from tuner.trainers import resolve
from tuner.trainers.adapted import AdaptedPopulation, AdaptedTrainer
from tuner.trainers.torch import TorchTrainer


class Old:
    """A trainer as it was written before trials could be kept."""

    def faults(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        return ()

    def unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
        return None

    def populate(self, job: Job) -> Any:
        return OldPopulation(job.rows)


class OldPopulation:
    def __init__(self, rows: int) -> None:
        self.capacity = rows
        self.epochs: dict[int, tuple[Trial, int]] = {}

    def place(self, row: int, trial: Trial) -> None:
        self.epochs[row] = trial, 0

    def advance(self) -> Mapping[int, Outcome]:
        self.epochs = {row: (trial, epoch + 1) for row, (trial, epoch) in self.epochs.items()}
        return {
            row: Reading(epoch, 0.5 / epoch, float(trial.params["learning_rate"]) / epoch)
            for row, (trial, epoch) in self.epochs.items()
        }

    def save(self, row: int, folder: Path) -> bool:
        return False

    def clear(self, row: int) -> None:
        self.epochs.pop(row, None)


class Half(Old):
    """One that knows `parks`, with a population that takes everything but has no snapshots."""

    def parks(self, spec: StudySpec) -> bool:
        return False

    def populate(self, job: Job) -> Any:
        return HalfPopulation(job.rows)


class HalfPopulation(OldPopulation):
    def place(self, row: int, trial: Trial, *more: Any, **named: Any) -> None:
        super().place(row, trial)

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        resting = {} if rows is None else {row: e for row, e in self.epochs.items() if row not in rows}
        for row in resting:
            del self.epochs[row]
        found = super().advance()
        self.epochs |= resting
        return found


class Whole(Old):
    def parks(self, spec: StudySpec) -> bool:
        return True

    def populate(self, job: Job) -> Any:
        return WholePopulation(job.rows)


class WholePopulation(HalfPopulation):
    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        self.epochs[row] = trial, 0 if snapshot is None else snapshot.epoch

    def snapshot(self, row: int) -> Snapshot | None:
        return Snapshot(self.epochs[row][1], {"none": np.zeros(0)}) if row in self.epochs else None


class Mine(TorchTrainer):
    pass


class TestOld(TrainerContract):
    def trainer(self) -> Trainer:
        return resolve(Old())  # type: ignore[arg-type]

    def job(self) -> Job:
        return Job(study(epochs=3), None, rows=2)

    def params(self, number: int) -> Params:
        return {"learning_rate": 0.1 * (number + 1)}


class TestHalf(TestOld):
    def trainer(self) -> Trainer:
        return resolve(Half)


class TestWhole(TestOld):
    def trainer(self) -> Trainer:
        return resolve(Whole)


def test_a_trainer_that_cannot_say_whether_it_parks_does_not() -> None:
    assert not resolve(Old).parks(study())
    assert not resolve(Half).parks(study())
    assert resolve(Whole).parks(study())


def test_rows_that_cannot_be_trained_by_themselves_are_one_row(caplog: pytest.LogCaptureFixture) -> None:
    job = Job(study(), None, rows=3)
    population = resolve(Old).populate(job)
    assert population.capacity == 1
    assert "OldPopulation trains one trial at a time" in caplog.text
    population.place(0, Trial(0, {"learning_rate": 1.0}, 0))
    assert population.advance([]) == {}
    assert list(population.advance([0])) == [0]
    assert population.snapshot(0) is None
    assert resolve(Half).populate(job).capacity == 3


def test_what_knows_the_ports_is_left_as_it_is() -> None:
    assert isinstance(resolve(Whole).populate(Job(study(), None)), WholePopulation)
    assert isinstance(resolve(Half).populate(Job(study(), None)), AdaptedPopulation)
    own, shipped = resolve(Mine), resolve(TorchTrainer)
    assert isinstance(own, AdaptedTrainer)
    assert own.parks(study())
    job = Job(study(), blobs())
    assert type(own.populate(job)) is type(shipped.populate(job))
    assert own.unfused(study(), blobs(), "cpu") == shipped.unfused(study(), blobs(), "cpu")
