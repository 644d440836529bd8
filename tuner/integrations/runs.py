"""RunPerTrial: what trackers share whose programs have a run object that is logged to, one for each trial."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

from tuner.core.trial import Reading, Trial, TrialRecord


class RunPerTrial(ABC):
    """A `Tracker` over runs with `log` and `finish`; a subclass opens them."""

    def __init__(self) -> None:
        self._runs: dict[int, Any] = {}
        self._trials: dict[int, Trial] = {}

    def missing(self, numbers: Collection[int]) -> Collection[int]:
        """None: these programs cannot be asked, and what was sent twice would stand there twice."""
        return ()

    def start(self, trial: Trial, curve: Sequence[Reading]) -> None:
        """Begin the trial's run, or go on with it."""
        self._trials[trial.number] = trial
        self.log(trial.number, curve)

    def log(self, number: int, readings: Sequence[Reading]) -> None:
        """Send the epochs that the run does not have, a step each."""
        run = self._opened(number)
        for reading in readings:
            if reading.epoch > self.last_step(run):
                run.log(reading.measured, step=reading.epoch)

    def end(self, record: TrialRecord) -> None:
        """Close the run; that of a paused trial is opened again when it goes on."""
        self._opened(record.number)
        self.finish(self._runs.pop(record.number), record)

    def close(self) -> None:
        """Close what is open."""
        while self._runs:
            self.finish(self._runs.popitem()[1], None)

    @abstractmethod
    def open(self, trial: Trial) -> Any:
        """Begin a run, or go on with the one that there is."""

    @abstractmethod
    def last_step(self, run: Any) -> int:
        """The last epoch that a run has."""

    def finish(self, run: Any, record: TrialRecord | None) -> None:
        """Close a run; `record` says how its trial ended, None that it goes on in another session."""
        run.finish()

    def _opened(self, number: int) -> Any:
        if number not in self._runs:
            self._runs[number] = self.open(self._trials[number])
        return self._runs[number]
