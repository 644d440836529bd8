"""An executor under test: it is made, given trials and waited for."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tuner.artifacts import Artifacts
from tuner.core.events import Event, Interrupted, Reported, Restarted
from tuner.core.job import Job
from tuner.core.ports import Executor, Placement
from tuner.core.training import Trainer
from tuner.core.trial import Trial
from tuner.testing.executor.fakes import FakeTrainer, artifacts, study

_PATIENCE_S = 180.0
"""How long a test waits for what never comes, before it fails."""


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


class ExecutorSuite:
    """What the suites of executors share: how an executor is made, shared and left.

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
