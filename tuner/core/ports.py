"""The engine's ports: Callback, Searcher, Executor, Store, Observer, Tracker; those of trainers: `training`.

The engine sees nothing else. All of them are batched, and none raises for what belongs to a
single trial: a trial that fails is a value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, runtime_checkable

from tuner.core.budget import Budget, Spent, StudyState
from tuner.core.events import Event
from tuner.core.reading_columns import ReadingColumns
from tuner.core.request import Request
from tuner.core.spec import StudySpec
from tuner.core.time_left import Durations
from tuner.core.trial import Params, Pause, Reading, Stop, Trial, TrialRecord


@dataclass(frozen=True, slots=True)
class Placement:
    """A trial to start, or to go on with.

    Attributes:
        curve: the readings that are recorded already; the next one that is reported follows them.
    """

    trial: Trial
    curve: tuple[Reading, ...] = ()


class Callback(Protocol):
    """A rule that ends trials early."""

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | Pause | None:
        """Judge a trial by its readings so far, the newest last.

        Called once for every reading of every trial, also while a stored study is replayed, so
        that a rule which compares trials knows all of them (but see `Recalling`). None lets the trial
        go on. What it knows must not depend on the order in which trials were judged.
        """


@runtime_checkable
class Recalling(Callback, Protocol):
    """A rule that takes in the readings of ended trials as columns, not one by one."""

    def recall(self, readings: ReadingColumns, study_seed: int) -> None:
        """Take in these readings, as if `decide` had judged each of them.

        Called any number of times while a stored study is replayed, before the first `decide`.
        """


class EndedCurves(Protocol):
    """The curves of a stored study's ended trials."""

    def columns(self) -> Iterator[ReadingColumns]:
        """All of them, many trials at a time."""

    def curves(self) -> Iterator[tuple[int, Sequence[Reading]]]:
        """Number and readings of each, one at a time; slower."""


@runtime_checkable
class Scheduler(Callback, Protocol):
    """A rule that pauses trials, and later lets the best of them go on."""

    def promote(self, paused: Collection[int], room: int, *, last: bool) -> Sequence[int]:
        """Which paused trials go on now.

        Args:
            paused: the numbers of all paused trials.
            room: at most so many.
            last: there will be no new trials, and none is running.

        Returns:
            Their numbers, the most promising first; of an empty list with `last` the study ends.
        """

    def dismiss(self, paused: Collection[int], *, last: bool) -> Mapping[int, Stop]:
        """Which paused trials end for good: those too many to be kept, with `last` all of them."""


class Searcher(Protocol):
    """Chooses configurations."""

    def ask(self, count: int) -> Sequence[Trial]:
        """Choose up to `count` new configurations, none of them ever chosen before.

        Returns:
            Trials with consecutive numbers; fewer than asked for, or none, when the space is used up.
        """

    def take(self, given: Params) -> Trial:
        """Take up a configuration that somebody else chose; what it lacks has its default.

        Raises:
            SpecError: it is none of the space; says what is wrong with it.
        """

    def learn(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Search these parameters, too, or other ranges of known ones, if the study says so.

        Returns:
            Those that are new or have changed, as tables by name, to be stored with the study.
        """

    def tell(self, records: Sequence[TrialRecord]) -> None:
        """Take in trials that are over or paused; what was told of a paused one before is void."""

    def replay(self, history: Sequence[TrialRecord]) -> None:
        """Take in a stored study, all trials in the order of their numbers, before the first `ask`."""


class Executor(Protocol):
    """Says where trials train. Orders take effect at the next `poll`."""

    def free(self) -> int:
        """How many trials may be submitted now."""

    def submit(self, placements: Sequence[Placement], bar: float | None) -> None:
        """Start trials, and go on with those that have a curve.

        Such a trial goes on from its last good checkpoint, or from its first epoch, and reports
        nothing until it is past its curve. If an epoch does not come out as it stands there, bit
        for bit and `seconds` apart, the trial starts again: see `Restarted`.

        Args:
            placements: at most `free()` of them.
            bar: from now on a trial that finishes has its model written if its value is at least
                this good; None: always. Trial 0's model is always written.
        """

    def stop(self, orders: Mapping[int, bool]) -> None:
        """End trials; each answers with Stopped.

        Their rows are free at once.

        Args:
            orders: whether a model is to be written, by number.
        """

    def pause(self, orders: Mapping[int, bool]) -> None:
        """Write a checkpoint of trials and empty their rows; each answers with Paused.

        None is written of a trial that is sooner trained again; see `BatchTrainer.epoch_cost`.

        Args:
            orders: whether a model is to be written, by number.
        """

    def drop(self, numbers: Collection[int]) -> None:
        """Delete the checkpoints of trials that were paused and are over."""

    def position(self) -> Mapping[str, Any]:
        """What `restore` needs, beside the running trials, for the same order of events; as JSON has it."""

    def restore(self, position: Mapping[str, Any]) -> None:
        """Go on in the order of an earlier session; before the first trial is submitted."""

    def poll(self, timeout_s: float) -> Sequence[Event]:
        """Carry out the orders, train on, and return what happened; empty after `timeout_s`.

        A worker waits for the next poll after each epoch of its rows, so a trial never trains
        past the epoch at which it was stopped.
        """

    def close(self, *, at_once: bool = False) -> None:
        """Write a checkpoint of every running trial, as far as that is soon done, and release everything.

        Args:
            at_once: nothing more is written.
        """


@dataclass(slots=True)
class Turn:
    """What one turn of the engine adds to a study.

    Trials are started after all else: one may pause and go on in the same turn.

    Attributes:
        started: trials that were submitted, new ones and those that go on.
        restarted: numbers of trials whose readings so far are void.
        interrupted: numbers of trials that lost their worker and go on.
        readings: trial number and reading, in the order in which they came.
        orders: what was decided of trials in this turn and is carried out in the next, by number.
        paused: trials that have left their rows for now.
        ended: trials that are over.
        forgotten: numbers of trials that ended earlier and whose model is no longer kept.
        changed: what the study's spec has from now on, as tables by section: parameters that the trainer has
            asked for, limits that were raised.
        taken: which of the started ones were asked for, by number.
        answers: what became of other requests, in words, by id.
        position: `Executor.position` at the turn's end.
        seconds: wall time of the study so far, over all its sessions.
    """

    started: list[Trial] = field(default_factory=list)
    restarted: list[int] = field(default_factory=list)
    interrupted: list[int] = field(default_factory=list)
    readings: list[tuple[int, Reading]] = field(default_factory=list)
    orders: dict[int, Stop | Pause] = field(default_factory=dict)
    paused: list[TrialRecord] = field(default_factory=list)
    ended: list[TrialRecord] = field(default_factory=list)
    forgotten: list[int] = field(default_factory=list)
    changed: dict[str, dict[str, Any]] = field(default_factory=partial(defaultdict, dict))
    taken: dict[int, Request] = field(default_factory=dict)
    answers: dict[int, str] = field(default_factory=dict)
    position: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


class Store(Protocol):
    """Keeps one study; the only truth."""

    def record(self, *turns: Turn) -> None:
        """Append turns, one after another, in one transaction; an empty one says that the study is driven."""

    def finish(self, state: StudyState, reason: str, seconds: float) -> None:
        """Note why the study ended; running trials become waiting ones."""

    def requests(self) -> Sequence[Request]:
        """What is asked for and not recorded as answered, the oldest first."""

    def refuse(self, reasons: Sequence[tuple[Request, str]]) -> None:
        """Note why configurations that somebody wants to be tried are not trained."""


@dataclass(frozen=True, slots=True)
class Status:
    """How a study stands after a turn.

    Attributes:
        running: the curves of the running trials, by number.
        counts: trials by state name.
        default: trial 0, once it has a value.
        durations: of the trials that are over.
    """

    budget: Budget
    spent: Spent
    running: Mapping[int, Sequence[Reading]]
    counts: Mapping[str, int]
    best: TrialRecord | None
    default: TrialRecord | None
    durations: Durations = field(default_factory=Durations)


class Observer(Protocol):
    """Looks on; the terminal's display is one."""

    def begin(self, spec: StudySpec, notes: Sequence[str]) -> None:
        """A study starts; `notes` say what was done to the data and what runs where."""

    def turn(self, status: Status) -> None:
        """A turn was recorded."""


class Tracker(Protocol):
    """Copies a study to another program, such as MLflow.

    All calls come from one thread, later than what they tell of. Whatever it raises is told once and ends the
    copying, not the study.
    """

    def missing(self, numbers: Collection[int]) -> Collection[int]:
        """Which of these trials, that earlier sessions have ended, the program lacks in part or whole."""

    def start(self, trial: Trial, curve: Sequence[Reading]) -> None:
        """A trial is at work: called once in a session before all else of it.

        Called again, without a curve, where its readings so far are void.

        Args:
            trial: what is trained.
            curve: what earlier sessions have recorded of it; the program may have some of that.
        """

    def log(self, number: int, readings: Sequence[Reading]) -> None:
        """Further readings of a trial, one or more."""

    def end(self, record: TrialRecord) -> None:
        """A trial is over or paused; a paused one may have further readings."""

    def close(self) -> None:
        """The session is over."""
