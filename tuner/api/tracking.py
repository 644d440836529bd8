"""TrackedStore: what a study records is copied to other programs, each from a thread of its own.

The engine's thread only puts turns into a queue, after they are stored. What a tracker raises is told once,
and ends the copying to it, never the study.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from queue import SimpleQueue
from threading import Thread

from tuner import registry
from tuner.core.budget import StudyState
from tuner.core.ports import EndedCurves, Store, Tracker, Turn
from tuner.core.request import Request
from tuner.core.spec import StudySpec, TrackingSpec
from tuner.core.trial import Reading, Trial, TrialRecord
from tuner.errors import PluginError, described

_LOG = logging.getLogger(__name__)
_GROUP = "tuner.trackers"

_PATIENCE_S = 30.0
"""At most so long the end of a study waits for a tracker."""

_MOST_TURNS = 100_000
"""So many turns wait for a tracker before it is given up."""


@dataclass(frozen=True, slots=True)
class RecordedTrials:
    """What earlier sessions have recorded.

    Attributes:
        curves: those of the trials that are not over.
        ended: those of the others.
    """

    records: Sequence[TrialRecord]
    curves: Mapping[int, Sequence[Reading]]
    ended: EndedCurves
    study_seed: int


def require(spec: TrackingSpec) -> None:
    """See that the packages of our own trackers, which are called as these, are installed.

    Raises:
        PluginError: says which one is not.
    """
    points = registry.registered(_GROUP)
    for name in spec.use:
        is_ours = name in points and points[name].value.startswith("tuner.integrations.")
        if is_ours and find_spec(name) is None:
            raise PluginError(
                f"tracking.use: '{name}' needs a package that is not installed: pip install 'tuner[{name}]'"
            )


@contextmanager
def tracked(store: Store, spec: StudySpec, identity: str, history: RecordedTrials) -> Iterator[Store]:
    """The store of a study that is copied to what `[tracking]` names, for as long as the study runs."""
    if not spec.tracking.use:
        yield store
        return

    def make(name: str) -> Tracker:
        options = spec.tracking.options.get(name, {})
        tracker: Tracker = registry.load(name, _GROUP)(spec.name, identity, **options)
        return tracker

    threads = [TrackerThread(name, partial(make, name), history) for name in spec.tracking.use]
    try:
        yield TrackedStore(store, threads)
    finally:
        for thread in threads:
            thread.close()


class TrackedStore:
    """A `Store` that passes on what it has recorded."""

    def __init__(self, store: Store, trackers: Sequence[TrackerThread]) -> None:
        self._store, self._trackers = store, trackers

    def record(self, *turns: Turn) -> None:
        """Append turns, then pass them on."""
        self._store.record(*turns)
        for tracker in self._trackers:
            tracker.pass_on(turns)

    def finish(self, state: StudyState, reason: str, seconds: float) -> None:
        """Note why the study ended."""
        self._store.finish(state, reason, seconds)

    def requests(self) -> Sequence[Request]:
        """What is asked for."""
        return self._store.requests()

    def refuse(self, reasons: Sequence[tuple[Request, str]]) -> None:
        """Note what is not trained, and why."""
        self._store.refuse(reasons)


class TrackerThread:
    """One tracker at work, in a thread of its own that also makes it."""

    def __init__(self, name: str, make: Callable[[], Tracker], history: RecordedTrials) -> None:
        """Begin; `name` is as the study calls the tracker."""
        self._name, self._make, self._history = name, make, history
        self._queue: SimpleQueue[tuple[Turn, ...] | None] = SimpleQueue()
        self._is_given_up = False
        self._thread = Thread(target=self._run, name=f"tracking-{name}", daemon=True)
        self._thread.start()

    def pass_on(self, turns: tuple[Turn, ...]) -> None:
        """Take turns; returns at once."""
        if self._is_given_up:
            return
        self._queue.put(turns)
        if self._queue.qsize() > _MOST_TURNS:
            self._give_up("it cannot keep up with the study")

    def close(self) -> None:
        """Wait until everything is copied, or for so long as a study's end may take."""
        self._queue.put(None)
        self._thread.join(_PATIENCE_S)
        if self._thread.is_alive():
            self._give_up(f"it takes longer than {_PATIENCE_S:g} s to take the last of the study")

    def _run(self) -> None:
        try:
            tracker = self._make()
            copy = _Copy(tracker)
            copy.catch_up(self._history)
            while not self._is_given_up and (turns := self._gathered()):
                copy.tell(turns)
            tracker.close()
        except Exception as error:  # noqa: BLE001
            self._give_up(described(error))

    def _gathered(self) -> list[Turn]:
        """All turns that wait; empty at the study's end."""
        found: list[Turn] = []
        while not found or not self._queue.empty():
            turns = self._queue.get()
            if turns is None:
                self._queue.put(None)
                break
            found += turns
        return found

    def _give_up(self, reason: str) -> None:
        if not self._is_given_up:
            self._is_given_up = True
            name = self._name.rpartition("/")[2]
            _LOG.warning("tracking: %s: %s; the study goes on without it", name, reason)


class _Copy:
    """What a tracker has been told of a study in this session."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._open: dict[int, Trial] = {}

    def catch_up(self, history: RecordedTrials) -> None:
        """Tell of what earlier sessions recorded, as far as the tracker lacks it."""
        over = {record.number: record for record in history.records if record.state.is_over}
        lacking = set(self._tracker.missing(list(over))) if over else set()
        for number, curve in history.ended.curves() if lacking else ():
            if number in lacking:
                self._whole(over[number], curve, history.study_seed)
                lacking.discard(number)
        for number in sorted(lacking):
            self._whole(over[number], (), history.study_seed)
        for record in history.records:
            if not record.state.is_over:
                self._start(_trial(record, history.study_seed), history.curves.get(record.number, ()))

    def tell(self, turns: Sequence[Turn]) -> None:
        """Pass on turns, the readings of a trial together as far as nothing else comes between."""
        unsent: defaultdict[int, list[Reading]] = defaultdict(list)
        for turn in turns:
            for number in turn.restarted:
                unsent.pop(number, None)
                self._tracker.start(self._open[number], ())
            for number, reading in turn.readings:
                unsent[number].append(reading)
            for record in (*turn.paused, *turn.ended):
                if readings := unsent.pop(record.number, None):
                    self._tracker.log(record.number, readings)
                self._tracker.end(record)
                if record.state.is_over:
                    self._open.pop(record.number, None)
            for trial in turn.started:
                if trial.number not in self._open:
                    self._start(trial, ())
        for number, readings in unsent.items():
            self._tracker.log(number, readings)

    def _start(self, trial: Trial, curve: Sequence[Reading]) -> None:
        self._open[trial.number] = trial
        self._tracker.start(trial, curve)

    def _whole(self, record: TrialRecord, curve: Sequence[Reading], study_seed: int) -> None:
        self._tracker.start(_trial(record, study_seed), curve)
        self._tracker.end(record)


def _trial(record: TrialRecord, study_seed: int) -> Trial:
    return Trial(record.number, record.params, study_seed, record.origin)
