"""Worker: what runs in each of them, a batch whose rows take trials and give them back.

Carries out orders and answers with events, in one thread; only `retire` is called from another.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

from tuner.artifacts import MODEL, Artifacts, disk_fault
from tuner.core.events import Event, Failed, Finished, Paused, Reported, Restarted, SaveFailure, Stopped
from tuner.core.ports import Placement
from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, Failure, Outcome, Snapshot, TrialBatch
from tuner.core.trial import Reading, Stop
from tuner.errors import DeviceError, StoreError, described
from tuner.executors.checkpoints import Checkpoints
from tuner.executors.orders import Orders, Removal
from tuner.executors.trial_output import TrialOutput

_WRITING_S = 10.0
_SHARE = 0.02
"""Of a worker's time, at most so much goes into checkpoints."""

WORTH_S = 0.02
"""Rows of its own are trained again rather than kept, as long as they have trained for less.

To write a checkpoint and delete it takes about a millisecond, and of twenty paused trials hardly one
goes on. What comes out is the same either way, so it may be left to a clock.
"""

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Row:
    """A row that holds a trial; for workers only.

    Attributes:
        to_replay: recorded epochs that it has not trained again yet.
        restored: whether it began with a checkpoint, and has not trained an epoch since.
        last: the last epoch that it trained.
        unreported: an epoch that its checkpoint holds and that was not reported yet.
        best: its best value, recorded or trained.
        seconds: what the epochs have taken that are recorded or reported.
    """

    index: int
    placement: Placement
    to_replay: deque[Reading] = field(default_factory=deque)
    restored: bool = False
    last: Reading | None = None
    unreported: Reading | None = None
    best: float = math.nan
    seconds: float = 0.0

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.placement.trial.number


class _Retired(Exception):
    """Another session may be at work on the same files."""


class Worker:
    """Trials in the rows of a batch.

    Attributes:
        capacity: how many trials fit in.
    """

    def __init__(
        self,
        batch: TrialBatch,
        spec: StudySpec,
        artifacts: Artifacts,
        checkpoints: Checkpoints,
        rows: Sequence[int] | None = None,
        *,
        descriptors: bool = False,
    ) -> None:
        """Take over empty rows.

        Args:
            batch: what trains.
            spec: the study; its epochs, its objective and how often to write checkpoints are looked at.
            artifacts: the study's files, where models go.
            checkpoints: where they go; those of paused trials only at the next round of all rows.
            rows: which ones, of a batch whose epochs come out the same when they are trained
                again; all where it is None, and then nothing is known of that.
            descriptors: see `TrialOutput`.
        """
        self._batch = batch
        self._own = rows is not None
        self._epochs = spec.trainer.epochs
        self._objective = spec.primary_objective()
        self._space = spec.search_space()
        self._artifacts = artifacts
        self._checkpoints = checkpoints
        self._every_s = spec.trainer.checkpoint_seconds
        self._due = time.monotonic() + self._every_s
        self._bar: float | None = None
        self._rows: dict[int, Row] = {}
        self._numbers: dict[int, Row] = {}
        self._free = list(range(batch.capacity) if rows is None else rows)[::-1]
        self.capacity = len(self._free)
        self._output = None
        if self.capacity == 1 and rows is None:
            self._output = TrialOutput(artifacts, descriptors=descriptors)
        self._training = False
        self._over: list[int] = []
        self._last_save_failure = ""
        self._files = threading.Lock()
        self._retired = False

    def tick(self, orders: Orders) -> list[Event]:
        """Carry out the orders, then train every occupied row for one epoch.

        Returns:
            What became of the trials, row by row.

        Raises:
            DeviceError: see `TrialBatch.advance`.
            StoreError: a model cannot be written: no room, no permission, or out of reach.
        """
        self._bar = orders.bar
        self.settle()
        # Now, for by now what the rows have trained is recorded.
        if self._every_s and time.monotonic() >= self._due:
            self.checkpoint()
        removed = {step.number for step in orders.steps if isinstance(step, Removal)}
        events: list[Event] = []
        for step in orders.steps:
            if isinstance(step, Placement):
                events += self._place(step, allow_unreported=step.trial.number not in removed)
                continue
            events += self._replay(removed)
            if step.number in self._numbers:
                row = self._numbers[step.number]
                events.append(self._end(row, Paused if step.pause else Stopped, wanted=step.model))
        return events + self._replay(()) + self._advance()

    def settle(self) -> None:
        """What the last tick told is recorded: trials that ended in it need no checkpoint any more."""
        over, self._over = self._over, []
        for number in over:
            with self._writing():
                self._checkpoints.drop(number)

    def retire(self) -> None:
        """Write and remove nothing any more, also when the epoch ends that is being trained.

        Waits for what is being written, as long as that is not for ever.
        """
        is_idle = self._files.acquire(timeout=_WRITING_S)
        self._retired = True
        if is_idle:
            self._files.release()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """While files are written or removed."""
        with self._files:
            if self._retired:
                raise _Retired
            yield

    def checkpoint(self) -> None:
        """Write a checkpoint of every row, unless an epoch has been broken off in its middle."""
        if self._training or self._retired:
            return
        begun = time.monotonic()
        with self._writing():
            for row in self._rows.values():
                if not row.to_replay and (snapshot := self._snapshot(row)) is not None:
                    self._checkpoints.write(row.placement.trial, snapshot)
            self._checkpoints.flush()
        ended = time.monotonic()
        self._due = ended + max(self._every_s, (ended - begun) / _SHARE)

    def _snapshot(self, row: Row) -> Snapshot | None:
        """The row's state; None where it has none, or is sooner trained again than written."""
        # Epochs of no seconds are those of a trainer that does not tell.
        if self._own and 0.0 < row.seconds < WORTH_S:
            return None
        try:
            snapshot = self._batch.snapshot(row.index)
            # After a restart from here the epoch may have to be reported.
            known = snapshot is not None and row.last is not None and row.last.epoch == snapshot.epoch
            return replace(snapshot, reading=row.last) if snapshot is not None and known else snapshot
        except (DeviceError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001
            _LOG.warning("no checkpoint of trial %d: %s", row.number, described(error))
            return None

    def _place(self, placement: Placement, *, allow_unreported: bool) -> list[Event]:
        row = Row(self._free.pop(), placement)
        self._rows[row.index] = self._numbers[row.number] = row
        for reading in placement.curve:
            self._note(row, reading)
        return self._begin(row, restore=True, allow_unreported=allow_unreported)

    def _begin(self, row: Row, *, restore: bool, allow_unreported: bool = False) -> list[Event]:
        """Place a trial in its row, from its checkpoint if there is a good one."""
        trial, curve = row.placement.trial, row.placement.curve
        snapshot = (
            self._checkpoints.read(trial, len(curve), allow_unreported=allow_unreported) if restore else None
        )
        row.restored = snapshot is not None
        row.last = snapshot.reading if snapshot is not None else None
        row.unreported = row.last if snapshot is not None and snapshot.epoch > len(curve) else None
        row.to_replay = deque(curve[0 if snapshot is None else snapshot.epoch :])
        given = replace(trial, params=self._space.given(trial.params))
        try:
            with self._printing(row):
                if snapshot is None:
                    self._batch.place(row.index, given)
                else:
                    self._batch.place(row.index, given, snapshot)
        except (DeviceError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001
            return [self._fail(row, Failure.of(error))]
        return []

    def _replay(self, removed: Collection[int]) -> list[Event]:
        """Train what is recorded already and lost, in silence, and see that it comes out the same.

        Args:
            removed: numbers of trials that go without a model if it does not.
        """
        events: list[Event] = []
        while behind := [row for row in self._rows.values() if row.to_replay]:
            outcomes = self._trained([row.index for row in behind])
            for row in behind:
                outcome = outcomes[row.index]
                if isinstance(outcome, Reading) and outcome.repeats(row.to_replay[0]):
                    row.last = row.to_replay.popleft()
                    row.restored = False
                else:
                    events += self._restart(row, outcome, removed)
        return events

    def _restart(self, row: Row, outcome: Outcome, removed: Collection[int]) -> list[Event]:
        """Go on with a trial that did not come out as it is recorded: from its first epoch."""
        if not row.restored and row.number in removed:
            row.to_replay.clear()
            row.best = math.nan
            return []
        if not row.restored and isinstance(outcome, Failure):
            return [self._fail(row, outcome)]
        self._batch.clear(row.index)
        if row.restored:
            _LOG.warning("trial %d does not go on as recorded; it is trained again", row.number)
            return self._begin(row, restore=False)
        epoch = len(row.placement.curve) - len(row.to_replay) + 1
        row.placement = replace(row.placement, curve=())
        row.best, row.seconds = math.nan, 0.0
        reason = f"its epoch {epoch} did not come out as recorded; the trainer does not repeat itself"
        return [Restarted(row.number, reason), *self._begin(row, restore=False)]

    def _advance(self, rows: Collection[int] | None = None) -> list[Event]:
        events: list[Event] = []
        wanted = self._rows if rows is None else rows
        unreported = {i: last for i in wanted if (last := self._rows[i].unreported) is not None}
        others = [index for index in wanted if index not in unreported]
        some = others if unreported or rows is not None else None
        outcomes = {**unreported, **(self._trained(some) if others else {})}
        for index, outcome in outcomes.items():
            row = self._rows[index]
            if isinstance(outcome, Failure) and row.restored:
                # Perhaps the checkpoint was to blame; the next tick trains again what is recorded.
                events += self._restart(row, outcome, ())
            elif isinstance(outcome, Reading):
                row.restored, row.last, row.unreported = False, outcome, None
                events.append(Reported(row.number, outcome))
                self._note(row, outcome)
                if outcome.is_last or outcome.epoch >= self._epochs:
                    events.append(self._end(row, Finished, wanted=self._reaches_bar(row)))
            elif isinstance(outcome, Exhausted):
                events.append(self._end(row, Finished, wanted=self._reaches_bar(row)))
            elif isinstance(outcome, Stop):
                events.append(self._end(row, Stopped, wanted=self._reaches_bar(row), why=outcome))
            else:
                events.append(self._fail(row, outcome))
        return events

    def _trained(self, rows: Collection[int] | None) -> Mapping[int, Outcome]:
        """One epoch of some rows, or of all."""
        if rows is None and self._own:
            rows = list(self._rows)
        self._training = True
        try:
            with self._printing(next(iter(self._rows.values()), None)):
                outcomes = self._batch.advance() if rows is None else self._batch.advance(rows)
        except (DeviceError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001
            # It cannot be told whose fault it was.
            failure = Failure.of(error)
            outcomes = dict.fromkeys(list(self._rows) if rows is None else rows, failure)
        self._training = False
        return outcomes

    def _note(self, row: Row, reading: Reading) -> None:
        row.seconds += reading.seconds
        value = self._objective.of(reading)
        if math.isfinite(value) and (reading.is_last or self._objective.better(value, row.best)):
            row.best = value

    def _reaches_bar(self, row: Row) -> bool:
        return row.number == 0 or self._bar is None or not self._objective.better(self._bar, row.best)

    def _end(
        self,
        row: Row,
        event: type[Finished | Stopped | Paused],
        *,
        wanted: bool,
        why: Stop | None = None,
    ) -> Event:
        model_path, save_failure = self._kept(row) if wanted else (None, None)
        # Rows of its own answer when it is their turn, which may not come.
        if (event is Paused or self._own) and (snapshot := self._snapshot(row)) is not None:
            self._checkpoints.keep(row.placement.trial, snapshot)
        if event is not Paused and self._own:
            self._over.append(row.number)
        self._clear(row, keep=event is Paused or self._own)
        if why is not None:
            return Stopped(row.number, model_path, save_failure, why)
        return event(row.number, model_path, save_failure)

    def _fail(self, row: Row, failure: Failure) -> Failed:
        self._clear(row)
        return Failed(row.number, failure.error, failure.traceback)

    def _printing(self, row: Row | None) -> AbstractContextManager[None]:
        """What is printed meanwhile goes into the trial's log, unless it was printed there before."""
        if self._output is None or row is None:
            return nullcontext()
        return self._output.of(row.number, is_silent=bool(row.to_replay))

    def _clear(self, row: Row, *, keep: bool = False) -> None:
        with self._printing(row):
            self._batch.clear(row.index)
        if self._output is not None:
            self._output.end()
        del self._rows[row.index], self._numbers[row.number]
        self._free.append(row.index)
        if not keep:
            with self._writing():
                self._checkpoints.drop(row.number)

    def _kept(self, row: Row) -> tuple[str | None, SaveFailure | None]:
        """Write the row's model, whole or not at all: where it lies, or why there is none.

        Raises:
            StoreError: the disk or the object store does not take it, which is no trial's fault.
        """
        try:
            with self._writing():
                if math.isnan(row.best):
                    return None, None
                folder = self._artifacts.put(row.number, MODEL, partial(self._batch.save, row.index))
                return None if folder is None else str(folder), None
        except StoreError:
            self._training = True  # this epoch is never reported
            raise
        except (DeviceError, KeyboardInterrupt, _Retired):
            raise
        except BaseException as error:
            if (fault := disk_fault(error, self._artifacts.folder)) is not None:
                # This epoch is never reported.
                self._training = True
                raise StoreError(
                    f"{self._artifacts.folder}: the model of trial {row.number} cannot be written: {fault}; "
                    "make room there, or the folder writable, and go on with `tune resume`: nothing is lost"
                ) from error
            failure = Failure.of(error)
            if failure.error != self._last_save_failure:
                _LOG.warning("the model of trial %d was not kept: %s", row.number, failure.error)
            self._last_save_failure = failure.error
            return None, SaveFailure(failure.error, failure.traceback)
