"""AheadWorker: trains on before it is told to, for as long as nothing is likely to be decided.

A worker on another machine waits for an answer after each tick, which may take longer than an epoch. So
one answer holds several ticks. Those that turn out not to be wanted are void, trial by trial: a trial
that leaves its row at an earlier epoch is trained again up to there, from the state that was kept when
its worker began to train on. What comes out is the same, however far it was.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Sequence

from tuner.artifacts import Artifacts
from tuner.callbacks.halving import Rungs
from tuner.core.events import Event, Reported
from tuner.core.spec import StudySpec
from tuner.core.training import Snapshot, TrialBatch
from tuner.executors.checkpoints import Checkpoints
from tuner.executors.orders import Orders, Removal
from tuner.executors.worker import Row, Worker


class AheadWorker(Worker):
    """A worker whose answers hold several ticks."""

    def __init__(
        self, batch: TrialBatch, spec: StudySpec, artifacts: Artifacts, checkpoints: Checkpoints
    ) -> None:
        """Take over empty rows of a process that prints nothing of its own; see `Worker`."""
        super().__init__(batch, spec, artifacts, checkpoints, descriptors=True)
        self._rungs = frozenset(Rungs(spec.search.min_epochs, spec.search.reduction, self._epochs))
        self._ahead: dict[int, deque[list[Event]]] = {}
        self._before: dict[int, Snapshot] = {}

    def ticks(self, orders: Orders) -> list[list[Event]]:
        """Carry out the orders and train one epoch, and then further ones while that is allowed.

        Returns:
            What became of the trials in each tick, the first of which answers the orders.

        Raises:
            DeviceError, StoreError: see `Worker.tick`.
        """
        begun = time.monotonic()
        for number, events in list(self._ahead.items()):
            self._ahead[number] = deque(list(events)[orders.taken :])
        self._forget_used()
        rewound = [event for step in orders.steps for event in self._rewind(step)]
        ticks = [rewound + self.tick(orders)]
        while time.monotonic() - begun < orders.ahead_s and self._is_open(ticks[-1], len(ticks) - 1):
            ticks.append(self._further(len(ticks) - 1))
        return ticks

    def _advance(self, rows: Collection[int] | None = None) -> list[Event]:
        """One epoch of every row; of those that are ahead, what came of it then."""
        if rows is not None or not self._ahead:
            return super()._advance(rows)
        told = [event for events in self._ahead.values() for event in events.popleft()]
        others = [row.index for row in self._rows.values() if row.number not in self._ahead]
        self._forget_used()
        return told + super()._advance(others)

    def _is_open(self, last: Sequence[Event], depth: int) -> bool:
        """Whether a further tick may be trained: nothing has ended, and no rung or last epoch comes up."""
        if not self._rows or not all(isinstance(event, Reported) for event in last):
            return False
        rows = self._at(depth)
        if any(
            row.last is None or row.last.epoch in self._rungs or row.last.epoch + 1 >= self._epochs
            for row in rows
        ):
            return False
        if depth == 0:
            before = {row.number: snapshot for row in rows if (snapshot := self._snapshot(row)) is not None}
            if len(before) < len(rows):
                return False
            self._before |= before
        return True

    def _at(self, depth: int) -> list[Row]:
        """The rows that are no more than so many ticks ahead."""
        return [row for row in self._rows.values() if len(self._ahead.get(row.number, ())) == depth]

    def _further(self, depth: int) -> list[Event]:
        """What becomes of all trials so many ticks after the next one."""
        rows = self._at(depth)
        told = [events[depth] for events in self._ahead.values() if len(events) > depth]
        numbers: dict[int, list[Event]] = {row.number: [] for row in rows}
        for event in super()._advance([row.index for row in rows]) if rows else ():
            numbers[event.number].append(event)
        for number, events in numbers.items():
            self._ahead.setdefault(number, deque()).append(events)
        return [event for events in [*told, *numbers.values()] for event in events]

    def _rewind(self, step: object) -> list[Event]:
        """Bring a trial that is ahead back to where it stands, if it is to leave its row there."""
        if not isinstance(step, Removal) or step.number not in self._ahead or step.placement is None:
            return []
        del self._ahead[step.number]
        before, row = self._before.pop(step.number), self._numbers.get(step.number)
        if row is not None:
            if not step.pause and not step.model:
                return []
            self._clear(row, keep=True)
        else:
            self._artifacts.delete(step.number)
        self._checkpoints.keep(step.placement.trial, before)
        return self._place(step.placement, allow_unreported=False)

    def _snapshot(self, row: Row) -> Snapshot | None:
        """The row's state; where it is ahead, the one that was kept before."""
        return self._before[row.number] if row.number in self._ahead else super()._snapshot(row)

    def _forget_used(self) -> None:
        for number in [number for number, events in self._ahead.items() if not events]:
            del self._ahead[number], self._before[number]
