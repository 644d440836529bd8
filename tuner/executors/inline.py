"""Inline: trials train in this process.

The plain executor: nothing to start, nothing to lose, and a debugger sees everything. It does not
know how the trainer trains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tuner.core.events import Event, Reported
from tuner.core.ports import Job, Trainer
from tuner.core.trial import Trial
from tuner.executors.worker import Orders, Worker


class Inline:
    """One worker, in this process."""

    def __init__(self, make: Callable[[], Trainer], job: Job, models: Path) -> None:
        """Set up the population.

        Args:
            make: makes the trainer.
            job: what the trainer needs.
            models: where models are written, a folder for each trial.
        """
        self._worker = Worker(make().populate(job), job.spec, models)
        self._held: set[int] = set()
        self._place: list[Trial] = []
        self._stop: dict[int, bool] = {}
        self._bar: float | None = None

    def free(self) -> int:
        """How many trials may be submitted now."""
        return self._worker.capacity - len(self._held)

    def submit(self, trials: Sequence[Trial], bar: float | None) -> None:
        """Start trials at the next `poll`."""
        self._place += trials
        self._held.update(trial.number for trial in trials)
        self._bar = bar

    def stop(self, orders: Mapping[int, bool]) -> None:
        """End trials at the next `poll`."""
        self._stop.update(orders)
        self._held.difference_update(orders)

    def poll(self, timeout_s: float) -> Sequence[Event]:  # noqa: ARG002
        """Train every occupied row for one epoch, however long that takes."""
        orders = Orders(self._stop, tuple(self._place), self._bar)
        self._stop, self._place = {}, []
        events = self._worker.tick(orders)
        self._held.difference_update(event.number for event in events if not isinstance(event, Reported))
        return events

    def close(self) -> None:
        """Nothing to release: running trials end with this process."""
