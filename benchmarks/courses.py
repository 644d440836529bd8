"""A study's course over wall time, whoever ran it: when trials began, when epochs were recorded.

Reads what `clocked.py` and the peer's script leave behind; which of the two is the better is not judged.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.processes import Ran

WARM_UP = 10
"""Trials that are left out of the steady state at least: TPE draws so many at random."""


@dataclass(frozen=True)
class Course:
    """One run of a study. Times are seconds since its first trial began.

    Attributes:
        ran: the whole process.
        startup_s: from the shell's command to the first trial.
        starts: when each trial first began, ascending.
        epochs: when each epoch of any trial was recorded, ascending, and its validation accuracy.
        trials: how many were to run; fewer began where it was cut short.
    """

    ran: Ran
    startup_s: float
    starts: Sequence[float]
    epochs: Sequence[tuple[float, float]]
    trials: int

    @classmethod
    def of(
        cls, ran: Ran, starts: Sequence[float], epochs: Sequence[tuple[float, float]], trials: int
    ) -> Course:
        """From Unix times."""
        first = min(starts)
        return cls(
            ran,
            first - ran.began,
            sorted(start - first for start in starts),
            sorted((moment - first, accuracy) for moment, accuracy in epochs),
            trials,
        )

    @property
    def is_whole(self) -> bool:
        """Whether all trials ran."""
        return len(self.starts) >= self.trials

    @property
    def seconds(self) -> float:
        """From the first trial to the last epoch."""
        return self.epochs[-1][0]

    @property
    def _before(self) -> int:
        """How many trials come before the steady state; all but one where there is none."""
        before = max(WARM_UP, len(self.starts) // 10)
        return before if len(self.starts) >= 2 * WARM_UP else len(self.starts) - 1

    @property
    def window(self) -> tuple[float, float]:
        """The steady state: from behind the warm-up to the start of the last trial."""
        return self.starts[self._before], self.starts[-1]

    @property
    def trials_per_s(self) -> float:
        """In the steady state; the warm-up before it and the tail behind it are left out."""
        begin, end = self.window
        return (len(self.starts) - 1 - self._before) / (end - begin) if end > begin else math.nan

    @property
    def epochs_per_s(self) -> float:
        """Trial-epochs, likewise."""
        begin, end = self.window
        count = sum(begin < moment <= end for moment, _ in self.epochs)
        return count / (end - begin) if end > begin else math.nan

    @property
    def whole_s(self) -> float:
        """The whole process; where it was cut short, what it would have taken at the pace it had."""
        if self.is_whole:
            return self.ran.wall_s
        return self.startup_s + self.trials * self.seconds / len(self.starts)

    @property
    def accuracy(self) -> float:
        """The best one."""
        return max(accuracy for _, accuracy in self.epochs)

    def reached_s(self, accuracy: float) -> float:
        """When an epoch first had this validation accuracy; infinite where none had."""
        return next((moment for moment, found in self.epochs if found >= accuracy), math.inf)


def of_tuner(ran: Ran, clock: Path, trials: int) -> Course:
    """What `clocked.py` wrote."""
    found = json.loads(clock.read_text(encoding="utf-8"))
    epochs = [(moment, accuracy) for moment, _, accuracy, _ in found["epochs"]]
    return Course.of(ran, list(found["starts"].values()), epochs, trials)


def of_script(ran: Ran, database: Path, trials: int) -> Course:
    """What the script of `peers` stored: Optuna's times, which are UTC, and each trial's curve."""
    connection = sqlite3.connect(database)
    try:
        starts = [
            datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
            for (text,) in connection.execute("SELECT datetime_start FROM trials WHERE state != 'WAITING'")
        ]
        curves = [
            json.loads(text)
            for (text,) in connection.execute(
                "SELECT value_json FROM trial_user_attributes WHERE key = 'curve'"
            )
        ]
    finally:
        connection.close()
    return Course.of(ran, starts, [(epoch[4], epoch[3]) for curve in curves for epoch in curve], trials)
