"""Inline: trials train in this process.

Where the trainer allows it, each row is a group of its own and threads train them side by side; else
nothing runs beside the caller, there is nothing to start, and a debugger sees everything.
"""

from __future__ import annotations

import math
import queue
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tuner.artifacts import Artifacts
from tuner.core.events import Event, Interrupted, Reported, Restarted
from tuner.core.job import Job
from tuner.core.ports import Placement
from tuner.core.training import Trainer
from tuner.executors.checkpoints import Checkpoints
from tuner.executors.orders import Orders, Removal
from tuner.executors.worker import Worker
from tuner.trainers import epoch_cost, open_batch

_SWITCH_S = 0.0005
"""How long a thread that computes may keep one waiting that has an epoch to begin."""

_CLOSE_S = 1.0
"""How long an epoch that is under way may take when the study is closed."""

_LAST = (math.inf, -1)
"""What a thread is told when it is no longer needed."""


@dataclass(slots=True, eq=False)
class _RowGroup:
    """Rows that train together: one, or all.

    Attributes:
        costs: the costs of an epoch of the trials in its rows and of those that are to be placed there.
        steps: its next orders.
        due: when its tick ends, in the unit of `BatchTrainer.epoch_cost`; None while it is idle.
        expected: trials of an earlier session that belong here and have not come yet.
        resumed: when its tick ended in that session, until the first poll; None where it was idle.
    """

    worker: Worker
    costs: dict[int, float] = field(default_factory=dict)
    steps: list[Placement | Removal] = field(default_factory=list)
    due: float | None = None
    expected: set[int] = field(default_factory=set)
    resumed: float | None = None
    orders: Orders = field(default_factory=Orders)
    answers: queue.SimpleQueue[list[Event] | BaseException] = field(default_factory=queue.SimpleQueue)

    def ends_by(self, moment: float) -> bool:
        """Wait for the tick that is under way; whether it has ended by then. Its answer is dropped."""
        with suppress(queue.Empty):
            self.answers.get(timeout=max(0.0, moment - time.monotonic()))
            return True
        return False

    def train(self) -> None:
        """Carry out the orders and train for an epoch."""
        try:
            self.answers.put(self.worker.tick(self.orders))
        except BaseException as error:  # noqa: BLE001
            self.answers.put(error)


class Inline:
    """Groups of rows of one batch, each a worker; they answer in an order that no clock decides.

    A group's tick begins where its last one ended and takes the sum of its trials' costs; the group
    whose tick ends first answers first, whether it has to be waited for or not. So a study repeats
    itself, and the others train on while the answer of one is thought about.
    """

    def __init__(self, make: Callable[[], Trainer], job: Job, artifacts: Artifacts) -> None:
        """Set up the rows.

        Args:
            make: makes the trainer.
            job: what the trainer needs; how many threads it may use does not change what comes out.
            artifacts: the study's files.
        """
        trainer = make()
        batch, cost = open_batch(trainer, job), epoch_cost(trainer, job)
        self._cost = cost or (lambda _: 1.0)
        self._checkpoints = Checkpoints(artifacts)
        rows = range(batch.capacity)
        own = [[row] for row in rows] if cost is not None and len(rows) > 1 else [None]
        self._groups = [
            _RowGroup(Worker(batch, job.spec, artifacts, self._checkpoints, each)) for each in own
        ]
        self._todo: queue.PriorityQueue[tuple[float, int]] = queue.PriorityQueue()
        self._threads = min(job.resources.threads, len(self._groups)) if len(self._groups) > 1 else 0
        self._now = 0.0
        self._bar: float | None = None
        self._before = sys.getswitchinterval()
        if self._threads:
            sys.setswitchinterval(_SWITCH_S)
        for _ in range(self._threads):
            threading.Thread(target=self._serve, daemon=True).start()

    def free(self) -> int:
        """How many trials may be submitted now, to groups that are idle."""
        return max(0, sum(self._room(group) for group in self._groups))

    def submit(self, placements: Sequence[Placement], bar: float | None) -> None:
        """Start trials, or go on with them, at the next `poll`."""
        self._bar = bar
        for placement in placements:
            number = placement.trial.number
            own = (group for group in self._groups if number in group.expected)
            group = next(own, None) or max(self._groups, key=self._room)
            group.expected.discard(number)
            group.steps.append(placement)
            group.costs[number] = self._cost(placement.trial)

    def stop(self, orders: Mapping[int, bool]) -> None:
        """End trials at the next `poll`."""
        self._remove(orders, pause=False)

    def pause(self, orders: Mapping[int, bool]) -> None:
        """Take trials out of their rows at the next `poll`."""
        self._remove(orders, pause=True)

    def drop(self, numbers: Collection[int]) -> None:
        """Delete the checkpoints of trials that were paused and are over."""
        for number in numbers:
            self._checkpoints.drop(number)

    def position(self) -> Mapping[str, Any]:
        """Which trials are in which group, and when each of them answers."""
        if len(self._groups) == 1:
            return {}
        groups = [
            {
                "trials": sorted(
                    {*group.costs, *group.expected, *_removed(group.steps), *_removed(group.orders.steps)}
                ),
                "due": group.due if group.resumed is None else group.resumed,
            }
            for group in self._groups
        ]
        return {"now": self._now, "groups": groups}

    def restore(self, position: Mapping[str, Any]) -> None:
        """Give trials back to their groups, in the order in which those answer."""
        groups = position.get("groups", position.get("lanes", ()))  # "lanes" in earlier versions
        if len(groups) != len(self._groups) or len(groups) == 1:
            return
        self._now = position["now"]
        for group, was in zip(self._groups, groups, strict=True):
            group.expected, group.resumed = set(was["trials"]), was["due"]

    def poll(self, timeout_s: float) -> Sequence[Event]:
        """Let idle groups train for an epoch, and return what the one says that answers next.

        Without threads, training is done by the caller, however long that takes.
        """
        for index, group in enumerate(self._groups):
            if group.due is None and (group.costs or group.steps):
                self._begin(index, group)
            group.resumed = None
        busy = [group for group in self._groups if group.due is not None]
        if not busy:
            time.sleep(timeout_s)
            return []
        group = min(busy, key=lambda each: each.due or 0.0)
        if self._threads:
            try:
                answer = group.answers.get(timeout=timeout_s)
            except queue.Empty:
                return []
            if isinstance(answer, BaseException):
                raise answer
            events = answer
        else:
            events = group.worker.tick(group.orders)
        self._now, group.due, group.orders = group.due or self._now, None, Orders()
        on = (Reported, Interrupted, Restarted)
        for event in events:
            if not isinstance(event, on):
                group.costs.pop(event.number, None)
        return events

    def close(self, *, at_once: bool = False) -> None:
        """Write a checkpoint of the trials that train, behind the epoch that is under way if it ends soon.

        An epoch that goes on for longer leaves no trace, and its trial goes on from the last checkpoint.
        """
        sys.setswitchinterval(self._before)
        begun = self._cancel_ticks()
        for _ in range(self._threads):
            self._todo.put(_LAST)
        deadline = time.monotonic() + (0.0 if at_once else _CLOSE_S)
        for group in self._groups:
            if group.due is None:
                group.worker.settle()
        for index, group in enumerate(self._groups):
            is_still = group.due is None or index not in begun or not self._threads
            if not at_once and (is_still or group.ends_by(deadline)):
                group.worker.checkpoint()
            group.worker.retire()

    def _cancel_ticks(self) -> set[int]:
        """Take back the ticks that no thread has begun; the groups of those that one has."""
        begun = {index for index, group in enumerate(self._groups) if group.due is not None}
        with suppress(queue.Empty):
            while True:
                begun.discard(self._todo.get_nowait()[1])
        return begun

    def _begin(self, index: int, group: _RowGroup) -> None:
        group.orders, group.steps = Orders(tuple(group.steps), self._bar), []
        group.due = self._now + sum(group.costs.values()) if group.resumed is None else group.resumed
        group.expected.clear()
        if self._threads:
            self._todo.put((group.due, index))

    def _serve(self) -> None:
        """Be a thread: train the group that is due first."""
        while (job := self._todo.get()) != _LAST:
            self._groups[job[1]].train()

    def _room(self, group: _RowGroup) -> int:
        """How many trials a group takes now; of one that trained when a session ended, those it had."""
        if group.due is not None:
            return 0
        if group.resumed is not None:
            return len(group.expected)
        return group.worker.capacity - len(group.costs)

    def _remove(self, orders: Mapping[int, bool], *, pause: bool) -> None:
        for number, wanted in orders.items():
            group = next(group for group in self._groups if number in group.costs)
            del group.costs[number]
            group.steps.append(Removal(number, wanted, pause))


def _removed(steps: Sequence[Placement | Removal]) -> list[int]:
    return [step.number for step in steps if isinstance(step, Removal)]
