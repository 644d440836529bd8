"""Inline: the contract, and what only it does."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tuner.artifacts import Artifacts
from tuner.core.events import Finished, Reported
from tuner.core.job import Job, Resources
from tuner.core.ports import Executor, Placement
from tuner.core.training import Outcome, Trainer, TrialBatch
from tuner.core.trial import Reading, Trial
from tuner.errors import PluginError
from tuner.executors import Inline
from tuner.testing import trainer as trainers
from tuner.testing.executor import (
    ExecutorContract,
    ExecutorHarness,
    FakeBatch,
    FakeTrainer,
    artifacts,
    models_in,
    study,
)
from tuner.trainers.torch import TorchTrainer


class TestInline(ExecutorContract):
    def executor(self, make: Callable[[], Trainer], job: Job, artifacts: Artifacts) -> Executor:
        return Inline(make, job, artifacts)


def test_a_trainer_that_cannot_be_made_says_so_at_once(tmp_path: Path) -> None:
    def make() -> Trainer:
        raise PluginError("no such trainer")

    with pytest.raises(PluginError, match="no such trainer"):
        Inline(make, Job(study(), None), artifacts(tmp_path))


def test_as_many_trials_fit_in_as_the_population_has_rows(tmp_path: Path) -> None:
    assert Inline(FakeTrainer, Job(study(), None, rows=7), artifacts(tmp_path)).free() == 7


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the names of open files are not told here")
def test_a_durable_study_has_its_models_on_the_disk_before_and_after_they_get_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def sync(handle: int) -> None:
        done.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    def renamed(path: Path, target: Path) -> Path:
        done.append(f"{path.name} -> {target.name}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "rename", renamed)
    spec = study(durability="full", trainer={"epochs": 1, "checkpoint_seconds": 0})
    executor = Inline(FakeTrainer, Job(spec, None), artifacts(tmp_path / "models", synced=True))
    executor.submit([Placement(Trial(3, {"diary": str(tmp_path / "diary")}, 0))], None)
    while not any(isinstance(event, Finished) for event in executor.poll(1)):
        pass
    executor.close()
    at = done.index(".writing-3 -> 3")
    assert done[0] == tmp_path.name, "the folder of models is new"
    assert ".writing-3" in done[:at]
    assert done[at + 1] == "models"


class Timed(FakeTrainer):
    """Epochs take params["seconds"], it says."""

    def open_batch(self, job: Job) -> TrialBatch:
        return TimedBeads(job.rows)


class TimedBeads(FakeBatch):
    def step(self, row: int) -> Outcome:
        outcome = super().step(row)
        assert isinstance(outcome, Reading)
        return replace(outcome, seconds=float(self.rows[row][0].params["seconds"]))


class Abreast(Timed):
    """Its rows train side by side, and so they repeat themselves."""

    def epoch_cost(self, job: Job) -> Callable[[Trial], float]:
        return lambda trial: 1.0


class Held(FakeTrainer):
    """Rows train side by side, and the epoch of one is as long as the test likes."""

    def __init__(self) -> None:
        self.begun, self.gate = threading.Event(), threading.Event()

    def epoch_cost(self, job: Job) -> Callable[[Trial], float]:
        return lambda trial: 1.0

    def open_batch(self, job: Job) -> TrialBatch:
        return HeldBeads(job.rows, self)


class HeldBeads(FakeBatch):
    def __init__(self, capacity: int, held: Held) -> None:
        super().__init__(capacity)
        self.held = held

    def step(self, row: int) -> Outcome:
        self.held.begun.set()
        assert self.held.gate.wait(180)
        return super().step(row)


@pytest.mark.parametrize("at_once", [False, True])
def test_an_epoch_that_outlasts_its_session_leaves_the_files_of_the_next_one_alone(
    tmp_path: Path, at_once: bool
) -> None:
    files, trial = artifacts(tmp_path / "models"), Trial(1, {"diary": str(tmp_path / "diary")}, 0)
    before, held = set(threading.enumerate()), Held()
    first = Inline(lambda: held, Job(study(epochs=1), None, rows=2, resources=Resources(threads=2)), files)
    first.submit([Placement(trial)], None)
    assert first.poll(0) == []
    assert held.begun.wait(180)
    first.close(at_once=at_once)
    second = Inline(FakeTrainer, Job(study(epochs=3), None), files)
    second.submit([Placement(trial)], None)
    assert [type(event) for event in second.poll(0)] == [Reported]
    second.close()
    lying = {path for path in files.folder.rglob("*") if path.is_file()}
    assert files.path(1, "a") in lying, "the second session left a checkpoint"
    held.gate.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(180)
    assert {path for path in files.folder.rglob("*") if path.is_file()} == lying


def opened(make: Callable[[], Trainer], folder: Path) -> contextlib.closing[Inline]:
    return contextlib.closing(Inline(make, Job(study(4), None, rows=2), artifacts(folder / "models")))


def written(models: Path) -> set[str]:
    """Which trials have checkpoints on the disk."""
    return {path.name.partition(".")[0] for path in (models / "checkpoints").glob("*")}


@pytest.mark.parametrize(
    ("make", "seconds", "kept"),
    [
        (Abreast, 1e-6, False),
        (Abreast, 0.006, False),
        (Abreast, 0.015, True),
        (Abreast, 0.0, True),  # not told
        (Timed, 1e-6, True),  # who knows whether it repeats itself
    ],
)
def test_what_is_sooner_trained_again_than_written_has_no_checkpoint(
    tmp_path: Path, make: Callable[[], Trainer], seconds: float, kept: bool
) -> None:
    with opened(make, tmp_path) as first:
        desk = ExecutorHarness(first, tmp_path)
        desk.submit(desk.trial(1, seconds=seconds), desk.trial(2, seconds=seconds))
        desk.until(lambda: len(desk.of(1)) == 2)
        first.pause({1: False})
        # Now nobody is in the middle of an epoch.
        desk.until(lambda: desk.end(1) and len(desk.of(2)) >= 2)
    assert written(tmp_path / "models") == ({"1", "2"} if kept else set())
    with opened(make, tmp_path) as second:
        again = ExecutorHarness(second, tmp_path)
        again.events = desk.events
        before = {number: desk.diary(number) for number in (1, 2)}
        for number, epochs in before.items():
            again.go_on(desk.trial(number, seconds=seconds), len(epochs))
        again.until_over(1, 2)
        for number, epochs in before.items():
            rest = list(range(len(epochs) + 1, 5))
            assert again.diary(number) == epochs + ([] if kept else epochs) + rest
            assert [type(event) for event in again.of(number)] == [*[Reported] * len(rest), Finished]
    assert written(tmp_path / "models") == set()


def trained(
    desk: ExecutorHarness, trial: Trial, curve: tuple[Reading, ...], until: int
) -> tuple[Reading, ...]:
    """A trial's curve as far as an epoch, behind which it pauses unless it was its last one."""
    number = trial.number
    desk.events.clear()
    desk.executor.submit([Placement(trial, curve)], None)
    desk.until(lambda: len(curve) + len(desk.of(number)) >= until)
    if desk.end(number) is None:
        desk.executor.pause({number: False})
        desk.until_over(number)
    return (*curve, *(event.reading for event in desk.of(number) if isinstance(event, Reported)))


@pytest.mark.parametrize(
    ("seconds", "diary"),
    [
        (1e-6, [1, 2, 1, 2, 3, 1, 2, 3, 4]),
        (0.009, [1, 2, 1, 2, 3, 4]),
        (1.0, [1, 2, 3, 4]),
    ],
)
def test_a_trial_that_pauses_twice_goes_on_from_a_checkpoint_once_all_its_epochs_are_worth_one(
    tmp_path: Path, seconds: float, diary: list[int]
) -> None:
    with opened(Abreast, tmp_path) as executor:
        desk = ExecutorHarness(executor, tmp_path)
        trial = desk.trial(1, seconds=seconds)
        curve: tuple[Reading, ...] = ()
        for until in (2, 3, 4):
            curve = trained(desk, trial, curve, until)
        assert [reading.epoch for reading in curve] == [1, 2, 3, 4]
        assert desk.diary(1) == diary


@pytest.mark.parametrize("worth_s", [math.inf, 0.0])
def test_a_compiled_row_goes_on_bit_for_bit_with_a_checkpoint_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worth_s: float
) -> None:
    monkeypatch.setattr("tuner.executors.worker.WORTH_S", worth_s)
    job = Job(trainers.study(epochs=6, model="mlp"), trainers.blobs(), rows=2, resources=Resources(threads=2))
    setting = {"width": 12, "batch_size": 16, "learning_rate": 0.05, "dropout": 0.2, "mixup": 0.3}
    trial = Trial(1, {**setting, "schedule": "cosine", "optimizer": "adam"}, 0)
    curves: list[tuple[Reading, ...]] = []
    for name, ends in (("whole", (6,)), ("parts", (1, 4, 6))):
        curve: tuple[Reading, ...] = ()
        for until in ends:
            with contextlib.closing(Inline(TorchTrainer, job, artifacts(tmp_path / name))) as executor:
                curve = trained(ExecutorHarness(executor, tmp_path), trial, curve, until)
            assert written(tmp_path / name) == ({"1"} if worth_s == 0.0 and until < 6 else set())
        curves.append(curve)
    assert len(curves[0]) == 6
    assert trainers.same(*curves)
    one, two = (next((tmp_path / n / "1").glob("*.safetensors")).read_bytes() for n in ("whole", "parts"))
    assert one == two


@pytest.mark.parametrize("turns", [1, 4, 9, 14, 22])
def test_no_epoch_is_trained_twice_when_a_session_is_closed_and_another_goes_on(
    tmp_path: Path, turns: int
) -> None:
    files, total, epochs = artifacts(tmp_path / "models"), 9, 5
    curves: dict[int, list[Reading]] = {}
    over: set[int] = set()

    def diary(number: int) -> Path:
        return tmp_path / f"diary {number}"

    def trial(number: int) -> Trial:
        return Trial(number, {"diary": str(diary(number)), "seconds": 0.05, "loss": 1.0}, 0)

    def drive(executor: Inline, turns: int) -> Mapping[str, Any]:
        going_on = [Placement(trial(n), tuple(curve)) for n, curve in curves.items() if n not in over]
        executor.submit(going_on, None)
        for _ in range(turns):
            fresh = range(len(curves), min(total, len(curves) + executor.free()))
            executor.submit([Placement(trial(number)) for number in fresh], None)
            curves.update({number: [] for number in fresh})
            for event in executor.poll(180):
                if isinstance(event, Reported):
                    curves[event.number].append(event.reading)
                over.update({event.number} if isinstance(event, Finished) else ())
            if len(over) == total:
                break
        position = executor.position()
        # The others train on in the meantime.
        time.sleep(0.02)
        executor.close()
        return position

    job = Job(study(epochs=epochs), None, rows=4, resources=Resources(threads=2))
    position: Mapping[str, Any] = {}
    for _ in range(2):
        executor = Inline(Abreast, job, files)
        executor.restore(position)
        position = drive(executor, turns)
    last = Inline(Abreast, job, files)
    last.restore(position)
    drive(last, 1000)
    for number in range(total):
        assert diary(number).read_text().split() == [str(n + 1) for n in range(epochs)]
        assert [reading.epoch for reading in curves[number]] == [n + 1 for n in range(epochs)]
    assert models_in(files.folder) - {"checkpoints"} == {str(number) for number in range(total)}
    assert not list((files.folder / "checkpoints").iterdir()), "trials that are over need none"


def test_a_position_that_an_earlier_version_stored_is_restored(tmp_path: Path) -> None:
    first = Inline(Abreast, Job(study(epochs=3), None, rows=2), artifacts(tmp_path))
    first.submit([Placement(Trial(n, {"diary": str(tmp_path / f"diary-{n}")}, 0)) for n in (1, 2)], None)
    first.poll(0)
    position = first.position()
    first.close()
    second = Inline(Abreast, Job(study(epochs=3), None, rows=2), artifacts(tmp_path))
    second.restore({"now": position["now"], "lanes": position["groups"]})
    assert second.position() == position
    second.close()
