"""Protocols: Trainer and Population, Callback, Searcher, Executor, Store, Observer.

The engine sees nothing else. All of them are batched, and none raises for what belongs to a
single trial: a trial that fails is a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tuner.core.budget import Budget, Spent, StudyState
from tuner.core.dataset import Dataset
from tuner.core.events import Event
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Stop, Trial, TrialRecord


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The trial has nothing more to train, before its last epoch."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The trial raised; its row is to be cleared."""

    error: str
    traceback: str


Outcome = Reading | Exhausted | Failure
"""What one row has to say of one epoch."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a trainer needs to set up a population.

    Attributes:
        spec: the study.
        data: None where the study has no `[data]`.
        device: a torch device by name, already decided: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
        rows: how many trials may train at once; a population may hold fewer.
        threads: how many threads it may use.
    """

    spec: StudySpec
    data: Dataset | None
    device: str = "cpu"
    rows: int = 1
    threads: int = 1


class Population(Protocol):
    """Rows, each empty or training one trial."""

    @property
    def capacity(self) -> int:
        """How many rows there are."""

    def place(self, row: int, trial: Trial) -> None:
        """Start a trial in an empty row. What goes wrong with it is the next `advance`'s Failure."""

    def advance(self) -> Mapping[int, Outcome]:
        """Train every occupied row for one epoch.

        Returns:
            One outcome per occupied row, keyed by row index.

        Raises:
            DeviceError: the device failed and no row's state can be trusted. One diverging
                row does not raise: its losses are `nan` or `inf`.
        """

    def save(self, row: int, folder: Path) -> bool:
        """Write the model of the row's best epoch into an existing, empty folder.

        Returns:
            Whether there was anything to write.
        """

    def clear(self, row: int) -> None:
        """Empty the row."""


class Trainer(Protocol):
    """Says how trials train."""

    def faults(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:
        """What in the spec or the data this trainer cannot work with, ``key: what; what to do`` each."""

    def unfused(self, spec: StudySpec, data: Dataset | None, device: str) -> str | None:
        """Why a population of this study holds one trial, in words; None when it holds `job.rows`."""

    def populate(self, job: Job) -> Population:
        """Set up an empty population; called once in every worker."""


class Callback(Protocol):
    """A rule that ends trials early."""

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | None:
        """Judge a trial by its readings so far, the newest last.

        Called once for every reading of every trial, also while a stored study is replayed, so
        that a rule which compares trials knows all of them. None lets the trial go on.
        """


class Searcher(Protocol):
    """Chooses configurations."""

    def ask(self, count: int) -> Sequence[Trial]:
        """Choose up to `count` new configurations, none of them ever chosen before.

        Returns:
            Trials with consecutive numbers; fewer than asked for, or none, when the space is used up.
        """

    def tell(self, records: Sequence[TrialRecord]) -> None:
        """Take in trials that are over."""

    def replay(self, history: Sequence[TrialRecord]) -> None:
        """Take in a stored study, all trials in the order of their numbers, before the first `ask`."""


class Executor(Protocol):
    """Says where trials train. Orders take effect at the next `poll`."""

    def free(self) -> int:
        """How many trials may be submitted now."""

    def submit(self, trials: Sequence[Trial], bar: float | None) -> None:
        """Start trials.

        Args:
            trials: at most `free()` of them.
            bar: from now on a trial that finishes has its model written if its value is at least
                this good; None: always. Trial 0's model is always written.
        """

    def stop(self, orders: Mapping[int, bool]) -> None:
        """End trials; each answers with Stopped, or Failed when its model cannot be written.

        Their rows are free at once.

        Args:
            orders: whether a model is to be written, by number.
        """

    def poll(self, timeout_s: float) -> Sequence[Event]:
        """Carry out the orders, train on, and return what happened; empty after `timeout_s`.

        A worker waits for the next poll after each epoch of its rows, so a trial never trains
        past the epoch at which it was stopped.
        """

    def close(self) -> None:
        """Leave running trials where they are and release everything."""


@dataclass(slots=True)
class Turn:
    """What one turn of the engine adds to a study.

    Attributes:
        started: trials that were submitted, new ones and those that start again.
        restarted: numbers of trials whose readings so far are void.
        readings: trial number and reading, in the order in which they came.
        ended: trials that are over.
        forgotten: numbers of trials that ended earlier and whose model is no longer kept.
        seconds: wall time of the study so far, over all its sessions.
    """

    started: list[Trial] = field(default_factory=list)
    restarted: list[int] = field(default_factory=list)
    readings: list[tuple[int, Reading]] = field(default_factory=list)
    ended: list[TrialRecord] = field(default_factory=list)
    forgotten: list[int] = field(default_factory=list)
    seconds: float = 0.0


class Store(Protocol):
    """Keeps one study; the only truth."""

    def record(self, turn: Turn) -> None:
        """Append a turn in one transaction; an empty one says that the study is still driven."""

    def finish(self, state: StudyState, reason: str, seconds: float) -> None:
        """Note why the study ended; trials in flight become waiting ones."""


@dataclass(frozen=True, slots=True)
class Status:
    """How a study stands after a turn.

    Attributes:
        running: the curves of the trials in flight, by number.
        counts: trials by state name.
        default: trial 0, once it has a value.
    """

    budget: Budget
    spent: Spent
    running: Mapping[int, Sequence[Reading]]
    counts: Mapping[str, int]
    best: TrialRecord | None
    default: TrialRecord | None


class Observer(Protocol):
    """Looks on; the terminal's display is one."""

    def begin(self, spec: StudySpec, notes: Sequence[str]) -> None:
        """A study starts; `notes` say what was done to the data and what runs where."""

    def turn(self, status: Status) -> None:
        """A turn is recorded."""
