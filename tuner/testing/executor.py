"""What every executor must do; a suite that third parties can run on their own.

Derive a test class, say how the executor is made, and pytest runs the rest::

    class TestMyExecutor(ExecutorContract):
        def executor(self, make: Callable[[], Trainer], job: Job, artifacts: Artifacts) -> Executor:
            return MyExecutor(make, job, artifacts)
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuner.artifacts import Artifacts
from tuner.core.dataset import Dataset
from tuner.core.events import Event, Failed, Finished, Interrupted, Paused, Reported, Restarted, Stopped
from tuner.core.job import Job
from tuner.core.ports import Executor, Placement
from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, Failure, Outcome, Snapshot, Trainer, TrialBatch
from tuner.core.trial import Reading, Trial
from tuner.errors import DeviceError, StoreError

_PATIENCE_S = 180.0
"""How long a test waits for what never comes, before it fails."""


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
    """Rows of an FakeTrainer."""

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
            case "unkept":
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


class ExecutorHarness:
    """An executor, what it has said so far, and a way to wait for more."""

    def __init__(self, executor: Executor, folder: Path) -> None:
        self.executor = executor
        self.folder = folder
        self.events: list[Event] = []

    def trial(self, number: int, **params: Any) -> Trial:
        return Trial(number, {"diary": str(self.folder / f"diary-{number}"), **params}, 0)

    def submit(self, *trials: Trial, bar: float | None = None) -> None:
        self.executor.submit([Placement(trial) for trial in trials], bar)

    def go_on(self, trial: Trial, epochs: int) -> None:
        """Submit a trial that has so many recorded epochs: those that it has reported here."""
        readings = [event.reading for event in self.of(trial.number) if isinstance(event, Reported)]
        self.events = [event for event in self.events if event.number != trial.number]
        self.executor.submit([Placement(trial, tuple(readings[:epochs]))], None)

    def diary(self, number: int) -> list[int]:
        """The epochs that a trial has trained."""
        path = self.folder / f"diary-{number}"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def of(self, number: int) -> list[Event]:
        return [event for event in self.events if event.number == number]

    def end(self, number: int) -> Event | None:
        """The event that ended a trial."""
        on = (Reported, Restarted, Interrupted)
        ends = [event for event in self.of(number) if not isinstance(event, on)]
        assert len(ends) <= 1, f"it ended twice: {ends}"
        return ends[0] if ends else None

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"in vain; so far: {self.events}"
            self.events += self.executor.poll(0.1)

    def until_over(self, *numbers: int) -> None:
        self.until(lambda: all(self.end(number) for number in numbers))


class ExecutorContract:
    """Derive from it; what `executor` returns is put to the test.

    Attributes:
        rows: how many trials fit in when each worker has two rows.
    """

    rows = 2

    def executor(self, make: Callable[[], Trainer], job: Job, artifacts: Artifacts) -> Executor:
        """A new executor."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def shared(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExecutorHarness]:
        """One executor for all tests that leave it as they found it."""
        with cls().opened(tmp_path_factory.mktemp("shared")) as desk:
            yield desk

    @contextlib.contextmanager
    def opened(self, folder: Path, epochs: int = 3) -> Iterator[ExecutorHarness]:
        """An executor that is ready for trials of so many epochs."""
        made = self.executor(FakeTrainer, Job(study(epochs), None, rows=2), artifacts(folder / "models"))
        with contextlib.closing(made):
            desk = ExecutorHarness(made, folder)
            desk.until(lambda: made.free() == self.rows)
            yield desk

    @pytest.fixture
    def desk(self, shared: ExecutorHarness) -> ExecutorHarness:
        """The shared executor, and nothing of what came before."""
        assert shared.executor.free() == self.rows, "an earlier test left trials behind"
        for path in shared.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return ExecutorHarness(shared.executor, shared.folder)

    def test_every_epoch_is_reported_in_order_and_then_the_end(self, desk: ExecutorHarness) -> None:
        desk.submit(desk.trial(4), desk.trial(5))
        desk.until_over(4, 5)
        for number in (4, 5):
            assert [type(event) for event in desk.of(number)] == [Reported, Reported, Reported, Finished]
            assert [e.reading.epoch for e in desk.of(number) if isinstance(e, Reported)] == [1, 2, 3]
            assert desk.diary(number) == [1, 2, 3]

    def test_nothing_trains_before_the_next_poll(self, desk: ExecutorHarness) -> None:
        desk.submit(desk.trial(1))
        assert desk.diary(1) == []
        desk.until(lambda: desk.of(1))
        desk.executor.stop({1: True})
        assert desk.diary(1) == [1]
        desk.until_over(1)
        assert isinstance(desk.end(1), Stopped)

    def test_rows_are_counted_and_given_again(self, desk: ExecutorHarness) -> None:
        for first in (0, self.rows):
            numbers = range(first, first + self.rows)
            desk.submit(*(desk.trial(number) for number in numbers))
            assert desk.executor.free() == 0
            desk.until_over(*numbers)
            assert desk.executor.free() == self.rows

    def test_a_stopped_trials_row_is_free_at_once_and_refilled_by_the_same_poll(self, tmp_path: Path) -> None:
        with self.opened(tmp_path, epochs=10**6) as desk:
            desk.submit(*(desk.trial(number) for number in range(self.rows)))
            desk.until(lambda: desk.of(0))
            desk.executor.stop({0: True})
            assert desk.executor.free() == 1
            desk.submit(desk.trial(9))
            assert desk.executor.free() == 0
            desk.until_over(0)
            assert [type(event) for event in desk.of(9)] == [Reported]

    def test_a_stopped_trial_never_trains_past_its_epoch_and_its_model_is_written(
        self, desk: ExecutorHarness
    ) -> None:
        desk.submit(desk.trial(1), desk.trial(2))
        desk.until(lambda: len(desk.of(1)) == 2)
        desk.executor.stop({1: True})
        desk.until_over(1, 2)
        assert desk.end(1) == Stopped(1, str(desk.folder / "models/1"))
        assert (desk.folder / "models/1/model.txt").read_text() == "trial 1, 2 epochs\n"
        assert desk.diary(1) == [1, 2]
        assert desk.diary(2) == [1, 2, 3]

    def test_a_stopped_trials_model_is_written_only_if_it_is_wanted(self, desk: ExecutorHarness) -> None:
        for number, wanted in ((1, False), (2, True)):
            desk.submit(desk.trial(number), bar=-1.0)
            desk.until(functools.partial(desk.of, number))
            desk.executor.stop({number: wanted})
            desk.until_over(number)
        assert desk.end(1) == Stopped(1, None)
        assert models_in(desk.folder / "models") == {"2"}

    def test_models_are_written_from_the_bar_upwards_and_trial_0s_always(self, desk: ExecutorHarness) -> None:
        desk.submit(desk.trial(0, loss=9.0), desk.trial(1, loss=2.0), bar=2.0)
        desk.until_over(0, 1)
        desk.submit(desk.trial(2, loss=1.66), desk.trial(3, loss=1.67), bar=2.0)
        desk.until_over(2, 3)
        assert models_in(desk.folder / "models") == {"0", "2"}
        assert desk.end(1) == Finished(1, None)
        assert desk.end(2) == Finished(2, str(desk.folder / "models/2"))

    def test_a_folder_of_an_earlier_attempt_is_replaced(self, desk: ExecutorHarness) -> None:
        for name in ("1", ".writing-1"):
            (desk.folder / "models" / name).mkdir(parents=True)
            (desk.folder / "models" / name / "old.txt").write_text("half")
        desk.submit(desk.trial(1))
        desk.until_over(1)
        assert models_in(desk.folder / "models/1") == {"model.txt", "model.json"}
        assert models_in(desk.folder / "models") == {"1"}

    def test_a_trial_that_is_exhausted_finishes(self, desk: ExecutorHarness) -> None:
        desk.submit(desk.trial(1, does="exhaust", at=2))
        desk.until_over(1)
        assert [type(event) for event in desk.of(1)] == [Reported, Finished]

    def test_a_failed_trial_is_a_value_and_its_neighbour_goes_on(self, desk: ExecutorHarness) -> None:
        desk.submit(desk.trial(1, does="fail", at=2), desk.trial(2))
        desk.until_over(1, 2)
        assert desk.end(1) == Failed(1, "ValueError: told to", "Traceback ...")
        assert isinstance(desk.end(2), Finished)

    def test_what_escapes_a_batch_fails_its_trials_and_the_executor_goes_on(
        self, desk: ExecutorHarness
    ) -> None:
        desk.submit(desk.trial(1, does="raise", at=2))
        desk.until_over(1)
        failed = desk.end(1)
        assert isinstance(failed, Failed)
        assert failed.error == "ValueError: it escaped"
        assert "in step" in failed.traceback
        desk.submit(*(desk.trial(number) for number in range(2, 2 + self.rows)))
        desk.until_over(*range(2, 2 + self.rows))
        assert isinstance(desk.end(2), Finished)

    def test_a_trial_whose_model_cannot_be_written_ends_as_any_other_and_says_why(
        self, desk: ExecutorHarness
    ) -> None:
        desk.submit(desk.trial(1, does="unkept"), desk.trial(2))
        desk.until_over(1, 2)
        ended, other = desk.end(1), desk.end(2)
        assert isinstance(ended, Finished)
        assert ended.model_path is None
        assert ended.unkept is not None
        assert ended.unkept.error == "ValueError: no such format"
        assert "in save" in ended.unkept.traceback
        assert isinstance(other, Finished)
        assert other.unkept is None
        assert other.model_path is not None

    def test_a_disk_that_takes_no_model_ends_everything_and_is_no_trials_fault(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as desk:
            desk.submit(desk.trial(1, does="unsaved"))
            with pytest.raises(StoreError, match=r"model of trial 1 .*: No space left on device; .*resume"):
                desk.until_over(1)
            assert desk.end(1) is None
            assert not list((desk.folder / "models").glob("*1"))

    def test_a_broken_device_ends_everything(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as desk:
            desk.submit(desk.trial(1, does="device", at=2))
            with pytest.raises(DeviceError, match="abacus:0 is broken"):
                desk.until_over(1)

    def test_closing_leaves_running_trials_where_they_are(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as desk:
            desk.submit(desk.trial(1))
            desk.until(lambda: desk.of(1))
            desk.executor.close()
            assert desk.diary(1) == [1]
            assert desk.end(1) is None

    def test_a_paused_trial_goes_on_where_it_was(self, desk: ExecutorHarness) -> None:
        desk.submit(desk.trial(1), desk.trial(2))
        desk.until(lambda: len(desk.of(1)) == 2)
        desk.executor.pause({1: True})
        desk.until_over(1, 2)
        assert desk.end(1) == Paused(1, str(desk.folder / "models/1"))
        assert desk.executor.free() == self.rows
        desk.go_on(desk.trial(1), 2)
        desk.until_over(1)
        assert desk.diary(1) == [1, 2, 3]
        assert [e.reading.epoch for e in desk.of(1) if isinstance(e, Reported)] == [3]

    def test_the_checkpoints_of_a_trial_go_when_it_is_over_or_dropped(self, tmp_path: Path) -> None:
        def checkpoints() -> set[str]:
            return {path.name.partition(".")[0] for path in (tmp_path / "models/checkpoints").iterdir()}

        with self.opened(tmp_path) as first:
            # One after the other, for two would not wait for each other.
            for number in (1, 2):
                first.submit(first.trial(number))
                first.until(functools.partial(first.of, number))
                first.executor.pause({number: False})
                first.until_over(number)
            first.executor.drop([1])
            first.executor.close()
        assert checkpoints() == {"2"}
        with self.opened(tmp_path) as second:
            second.events = first.events
            second.go_on(second.trial(2), len(second.of(2)) - 1)
            second.until_over(2)
        assert checkpoints() == set()

    def test_a_trial_without_checkpoint_trains_again_what_is_recorded_and_says_nothing(
        self, desk: ExecutorHarness
    ) -> None:
        desk.submit(desk.trial(1, does="forget"))
        desk.until(lambda: len(desk.of(1)) == 2)
        desk.executor.pause({1: False})
        desk.until_over(1)
        desk.go_on(desk.trial(1, does="forget"), 2)
        desk.until_over(1)
        assert desk.diary(1) == [1, 2, 1, 2, 3]
        assert [type(event) for event in desk.of(1)] == [Reported, Finished]

    def test_a_checkpoint_that_is_an_epoch_ahead_of_what_is_recorded_tells_of_it(
        self, desk: ExecutorHarness
    ) -> None:
        desk.submit(desk.trial(1))
        desk.until(lambda: len(desk.of(1)) == 2)
        desk.executor.pause({1: False})
        desk.until_over(1)
        desk.go_on(desk.trial(1), 1)
        desk.until_over(1)
        assert desk.diary(1) == [1, 2, 3]
        assert [e.reading.epoch for e in desk.of(1) if isinstance(e, Reported)] == [2, 3]

    def test_a_damaged_checkpoint_costs_epochs_and_no_trial(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as first:
            first.submit(first.trial(1))
            first.until(lambda: len(first.of(1)) == 2)
            first.executor.pause({1: False})
            first.until_over(1)
            first.executor.close()
        (path,) = (tmp_path / "models/checkpoints").iterdir()
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        with self.opened(tmp_path) as second:
            second.events = first.events
            second.go_on(second.trial(1), 2)
            second.until_over(1)
            assert second.diary(1) == [1, 2, 1, 2, 3]
            assert [type(event) for event in second.of(1)] == [Reported, Finished]

    def test_a_checkpoint_that_does_not_fit_costs_epochs_and_no_trial(self, desk: ExecutorHarness) -> None:
        trial = desk.trial(1, does="misplace")
        desk.submit(trial)
        desk.until(lambda: len(desk.of(1)) == 2)
        desk.executor.pause({1: False})
        desk.until_over(1)
        desk.go_on(trial, 2)
        desk.until_over(1)
        assert desk.diary(1) == [1, 2, 1, 2, 3]
        assert [type(event) for event in desk.of(1)] == [Reported, Finished]

    def test_a_trial_that_does_not_repeat_itself_starts_again(self, desk: ExecutorHarness) -> None:
        trial = desk.trial(1, does="drift")
        old = Reading(1, 5.0, 5.0, seconds=0.01)
        desk.executor.submit([Placement(trial, (old, old))], None)
        desk.until_over(1)
        kinds = [type(event) for event in desk.of(1)]
        assert kinds == [Restarted, Reported, Reported, Reported, Finished]
        assert [e.reading.epoch for e in desk.of(1) if isinstance(e, Reported)] == [1, 2, 3]

    def test_what_was_decided_of_a_trial_before_it_was_interrupted_is_carried_out(
        self, desk: ExecutorHarness
    ) -> None:
        trial = desk.trial(1)
        curve = tuple(Reading(epoch, 1 / epoch, 1 / epoch, seconds=9.0) for epoch in (1, 2))
        desk.executor.submit([Placement(trial, curve)], None)
        desk.executor.stop({1: True})
        assert desk.executor.free() == self.rows
        desk.submit(*(desk.trial(number) for number in range(2, 2 + self.rows)))
        desk.until_over(1, *range(2, 2 + self.rows))
        assert desk.end(1) == Stopped(1, str(desk.folder / "models/1"))
        assert (desk.folder / "models/1/model.txt").read_text() == "trial 1, 2 epochs\n"
        assert desk.diary(1) == [1, 2]

    def test_neighbours_wait_while_a_trial_catches_up(self, tmp_path: Path) -> None:
        with self.opened(tmp_path, epochs=10**6) as desk:
            desk.submit(*(desk.trial(number) for number in range(self.rows)))
            desk.until(lambda: desk.of(0))
            desk.executor.stop({0: False})
            desk.until_over(0)
            others = range(1, self.rows)
            before = {number: len(desk.of(number)) for number in others}
            curve = tuple(Reading(epoch, 1 / epoch, 1 / epoch) for epoch in range(1, 500))
            desk.executor.submit([Placement(desk.trial(9), curve)], None)
            desk.until(lambda: desk.of(9))
            reported = desk.of(9)[0]
            assert isinstance(reported, Reported)
            assert reported.reading.epoch == 500
            # Those in other workers do not wait for it.
            assert min(len(desk.of(number)) - before[number] for number in others) < 400

    def test_closing_writes_checkpoints_that_another_executor_goes_on_from(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as first:
            first.submit(first.trial(1))
            first.until(lambda: len(first.of(1)) == 2)
            first.executor.close()
        with self.opened(tmp_path) as second:
            second.events = first.events
            second.go_on(second.trial(1), 2)
            second.until_over(1)
            assert second.diary(1) == [1, 2, 3]

    def test_closing_at_once_writes_nothing(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as desk:
            desk.submit(desk.trial(1))
            desk.until(lambda: desk.of(1))
            desk.executor.close(at_once=True)
            assert not (tmp_path / "models/checkpoints").exists()
