"""Pool: trials train in N workers, wherever these are; a worker that is gone is replaced.

Workers move in lockstep with `poll`, each on its own: one that has answered gets its next orders
without waiting for the others. What a worker does with its orders is in `worker`; how it is started
and spoken to is the affair of a kind of pool and its links, see `links`.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from typing import Any

from tuner.artifacts import Artifacts, log_tail
from tuner.core.events import Event, Failed, Interrupted, Paused, Reported, Restarted, Stopped
from tuner.core.job import Job
from tuner.core.ports import Placement
from tuner.core.trial import Stop
from tuner.errors import PluginError
from tuner.executors.checkpoints import Checkpoints
from tuner.executors.limits import Limits, Watched
from tuner.executors.links import Link
from tuner.executors.orders import Orders, Removal
from tuner.executors.serving import Answer, Broken, Ready

_CLOSE_S = 1.5
_LOOK_S = 0.5
_MOST_LOG_BYTES = 16_000_000
"""A log that grows beyond it in one epoch is shortened from here; else its worker does so after the epoch."""


@dataclass(slots=True)
class PooledWorker:
    """A worker, the trials it holds and the orders it gets when it is idle.

    Attributes:
        index: which of the workers it is; its successor is the same.
        trials: those that train, with all that they have reported.
        removed: those that were told to end and have not answered.
        ahead: further ticks of its last answer that were not used yet.
        taken: how many of them were.
        since: when it got its last orders, in seconds of the monotonic clock.
        overdue: whether it was ended because an epoch took too long.
        limit: the limit for which it was ended.
        watched: what its limits go by.
        retries: trials that its predecessor did not live to answer for.
    """

    index: int
    link: Link
    capacity: int = 0
    idle: bool = False
    alone: bool = False
    ahead: deque[list[Event]] = field(default_factory=deque)
    taken: int = 0
    since: float = 0.0
    overdue: bool = False
    limit: Stop | None = None
    watched: Watched = field(default_factory=Watched)
    retries: list[Placement] = field(default_factory=list)
    trials: dict[int, Placement] = field(default_factory=dict)
    removed: dict[int, Removal] = field(default_factory=dict)
    steps: list[Placement | Removal] = field(default_factory=list)

    @property
    def room(self) -> int:
        """How many more trials it takes."""
        return 0 if self.alone else self.capacity - len(self.trials)


class WorkerPool:
    """N workers, replaced when they are gone."""

    def __init__(
        self,
        workers: int,
        job: Job,
        artifacts: Artifacts,
        restarts: int = 2,
        *,
        ordered: bool = False,
        ahead_s: float = 0.0,
    ) -> None:
        """Start the workers, by `_launch`; for the rest see `Processes`."""
        self._ahead_s = ahead_s
        self._restarts = restarts
        self._ordered = ordered
        self._limit_s = job.spec.stop.epoch_seconds
        self._limits = Limits.of(job.spec.stop)
        self._artifacts = artifacts
        self._checkpoints = Checkpoints(artifacts)
        self._bar: float | None = None
        self._queue: deque[Placement] = deque()
        self._without_neighbours: deque[Placement] = deque()
        self._early_removals: dict[int, Removal] = {}
        self._deaths: Counter[int] = Counter()
        self._failed_starts, self._looked = 0, -math.inf
        self._events: list[Event] = []
        self._workers = [PooledWorker(index, self._launch(index)) for index in range(workers)]

    def _launch(self, index: int) -> Link:
        """Start the worker of this index, or its successor; does not wait for it."""
        raise NotImplementedError

    def _answered(self, links: Sequence[Link], timeout_s: float) -> Sequence[Link]:
        """Those of some links whose `recv` does not block; waits up to `timeout_s` for the first."""
        raise NotImplementedError

    def _release(self) -> None:
        """Release what the workers were started with; none is started any more."""

    def free(self) -> int:
        """How many trials may be submitted now; 0 until the first worker is ready.

        Ordered: 0 until all workers are ready, and while one of them has not answered, so that nothing
        is chosen before all that is to be known by then is told.
        """
        if self._ordered and (self._busy() or not all(worker.capacity for worker in self._workers)):
            return 0
        waiting = sum(placement.trial.number not in self._early_removals for placement in self._queue)
        room = sum(each.capacity - len(each.trials) for each in self._workers if not each.alone)
        return max(0, room - waiting)

    def submit(self, placements: Sequence[Placement], bar: float | None) -> None:
        """Start trials, or go on with them, at the next `poll`."""
        self._queue += placements
        self._bar = bar

    def stop(self, orders: Mapping[int, bool]) -> None:
        """End trials at the next `poll`."""
        self._remove(Removal(number, wanted) for number, wanted in orders.items())

    def pause(self, orders: Mapping[int, bool]) -> None:
        """Take trials out of their rows at the next `poll`."""
        self._remove(Removal(number, wanted, pause=True) for number, wanted in orders.items())

    def drop(self, numbers: Collection[int]) -> None:
        """Delete the checkpoints of trials that were paused and are over."""
        for number in numbers:
            self._checkpoints.drop(number)

    def position(self) -> Mapping[str, Any]:
        """Nothing: in order or not, it does not depend on what came before."""
        return {}

    def restore(self, position: Mapping[str, Any]) -> None:
        """Nothing to go on from."""

    def poll(self, timeout_s: float) -> Sequence[Event]:
        """Give idle workers their orders and return what those say that answer within `timeout_s`.

        Raises:
            PluginError: a worker cannot be started.
            Exception: what else a worker raised while it was set up, and DeviceError at any time.
        """
        if not self._ordered or not self._busy():
            self._assign()
            for worker in self._workers:
                if worker.idle and (worker.trials or worker.steps):
                    self._send(worker)
        is_enough = self._events and not (self._ordered and self._busy())
        deadline = time.monotonic() + (0.0 if is_enough else timeout_s)
        while self._listen(max(0.0, deadline - time.monotonic())):
            if not self._ordered or not self._busy():
                break
        self._end_overdue()
        if self._ordered and self._busy():
            return []
        events, self._events = self._events, []
        if self._ordered:
            events.sort(key=lambda event: event.number)
        return events

    def _busy(self) -> bool:
        return any(not worker.idle for worker in self._workers)

    def _listen(self, timeout_s: float) -> bool:
        """Take the answers that come within `timeout_s`; whether there were any."""
        busy = [worker for worker in self._workers if not worker.idle]
        ready = {id(link) for link in self._answered([worker.link for worker in busy], timeout_s)}
        for worker in busy:
            if id(worker.link) not in ready:
                continue
            try:
                answer = worker.link.recv()
            except (EOFError, OSError):
                self._replace(worker)
            else:
                self._take(worker, answer)
        return bool(ready)

    def _end_overdue(self) -> None:
        """End workers that have been busy for longer than all their epochs may take, or break a limit."""
        now = time.monotonic()
        # The files of thousands of workers are not looked at in each turn.
        is_due = now - self._looked > _LOOK_S
        self._looked = now if is_due else self._looked
        for worker in self._workers:
            if not worker.capacity or worker.idle:
                continue
            allowed = math.inf if self._limit_s is None else self._limit_s * max(1, len(worker.trials))
            allowed += self._ahead_s
            if now - worker.since > allowed:
                worker.overdue = True
                worker.link.kill()
            elif worker.trials and worker.limit is None and (is_due or self._limits):
                self._end_beyond_limit(worker, is_due=is_due)

    def _end_beyond_limit(self, worker: PooledWorker, *, is_due: bool) -> None:
        number = min(worker.trials)
        if worker.capacity == 1 and is_due:
            with suppress(OSError):
                self._artifacts.shorten_log(number, _MOST_LOG_BYTES)
        if self._limits:
            log = self._artifacts.log(number)
            worker.limit = worker.link.broken(self._limits, len(worker.trials), log, worker.watched)
            if worker.limit is not None:
                worker.link.kill()

    def close(self, *, at_once: bool = False) -> None:
        """Let the workers write checkpoints and end; after a second and a half they are ended by force."""
        deadline = time.monotonic() + (0.0 if at_once else _CLOSE_S)
        for worker in self._workers:
            if at_once or not worker.capacity:
                worker.link.kill()
            elif worker.idle:
                worker.link.send(None)
        busy = (
            []
            if at_once
            else [worker.link for worker in self._workers if worker.capacity and not worker.idle]
        )
        while busy and (answered := self._answered(busy, max(0.0, deadline - time.monotonic()))):
            for link in answered:
                busy.remove(link)
                with suppress(EOFError, OSError):
                    link.recv()
                    link.send(None)
        for worker in self._workers:
            worker.link.close(max(0.0, deadline - time.monotonic()))
        self._workers.clear()
        self._release()

    def _remove(self, removals: Iterable[Removal]) -> None:
        for removal in removals:
            worker = next((worker for worker in self._workers if removal.number in worker.trials), None)
            if worker is None:
                self._early_removals[removal.number] = removal
                continue
            stands = worker.trials.pop(removal.number)
            worker.steps.append(replace(removal, placement=stands) if worker.ahead else removal)
            self._place_alone(worker)

    def _assign(self) -> None:
        """Spread the queue over the idle workers, the emptiest first."""
        if not self._queue:
            return
        idle = [
            (-each.room, at, each) for at, each in enumerate(self._workers) if each.idle and each.room > 0
        ]
        heapify(idle)
        while self._queue and idle:
            _, at, worker = heappop(idle)
            self._place(worker, self._queue.popleft())
            if worker.room > 0:
                heappush(idle, (-worker.room, at, worker))

    def _place(self, worker: PooledWorker, placement: Placement) -> None:
        number = placement.trial.number
        worker.steps.append(placement)
        if number in self._early_removals:
            worker.steps.append(self._early_removals.pop(number))
        else:
            worker.trials[number] = placement

    def _place_alone(self, worker: PooledWorker) -> None:
        """Give an empty worker the next of the trials that must not have neighbours."""
        worker.alone = bool(self._without_neighbours and not worker.trials)
        if worker.alone:
            self._place(worker, self._without_neighbours.popleft())

    def _send(self, worker: PooledWorker) -> None:
        """Give a worker its orders, unless it has answered them already."""
        if worker.ahead and not worker.steps:
            worker.taken += 1
            self._take_tick(worker, worker.ahead.popleft())
            return
        worker.idle = False
        worker.since = worker.watched.heard = time.monotonic()
        worker.removed = {step.number: step for step in worker.steps if isinstance(step, Removal)}
        orders = Orders(tuple(worker.steps), self._bar, worker.taken, self._ahead_s)
        worker.steps, worker.taken = [], 0
        worker.ahead.clear()
        worker.link.send(orders)

    def _take(self, worker: PooledWorker, answer: Answer) -> None:
        worker.idle = True
        if isinstance(answer, Broken):
            raise answer.exception()
        if isinstance(answer, Ready):
            self._failed_starts = 0
            worker.capacity = answer.capacity
            if not worker.retries:
                self._place_alone(worker)
                return
            for retry in worker.retries:
                self._place(worker, retry)
            worker.retries = []
            self._send(worker)
            return
        worker.removed = {}
        worker.ahead.extend(answer[1:])
        self._take_tick(worker, answer[0])
        worker.link.tail()

    def _take_tick(self, worker: PooledWorker, events: Iterable[Event]) -> None:
        for event in events:
            self._events.append(event)
            placement = worker.trials.get(event.number)
            if isinstance(event, Reported):
                if placement is not None:
                    worker.trials[event.number] = replace(placement, curve=(*placement.curve, event.reading))
            elif isinstance(event, Restarted):
                if placement is not None:
                    worker.trials[event.number] = replace(placement, curve=())
            else:
                worker.trials.pop(event.number, None)
                self._deaths.pop(event.number, None)
        if not worker.trials:
            self._place_alone(worker)

    def _printed(self, worker: PooledWorker) -> str:
        """The end of what a worker's trial has printed, where it has a single one."""
        numbers = list(worker.trials)
        return log_tail(self._artifacts, numbers[0]) if worker.capacity == len(numbers) == 1 else ""

    def _replace(self, worker: PooledWorker) -> None:
        """Put another worker in a dead one's place, and its trials in front of all others.

        In order, its successor trains them before any event of this round is reported.
        """
        words = worker.link.ending()
        if worker.overdue:
            words = f"was ended since an epoch took longer than {self._limit_s:g} seconds"
        if worker.limit is not None:
            words = f"was ended since {worker.limit.reason}"
        tail = self._printed(worker) or worker.link.tail()
        last = f"its last line of output: {tail.splitlines()[-1]}" if tail else "it printed nothing"
        if not worker.capacity:
            self._failed_starts += 1
            if self._failed_starts > self._restarts:
                raise PluginError(f"a worker {words} while it started; {last}")
        unsent = [step for step in worker.steps if isinstance(step, Removal)]
        for removal in (*worker.removed.values(), *unsent):
            if not removal.pause:
                self._checkpoints.drop(removal.number)
            self._events.append(Paused(removal.number) if removal.pause else Stopped(removal.number))
        retries = list(worker.retries)
        for placement in reversed(list(worker.trials.values())):
            number = placement.trial.number
            if worker.limit is not None and len(worker.trials) == 1:
                self._checkpoints.drop(number)
                self._events.append(Stopped(number, why=worker.limit))
                continue
            self._deaths[number] += 1
            if self._deaths[number] > self._restarts:
                times = (
                    f"{self._deaths[number]} times, at last because it" if self._restarts else "because it"
                )
                self._checkpoints.drop(number)
                self._events.append(Failed(number, f"its worker died {times} {words}; {last}", tail))
                continue
            self._events.append(Interrupted(number, f"its worker {words}"))
            # The last try is made without neighbours: one of them may be to blame.
            last_try = self._deaths[number] == self._restarts
            if self._ordered and (not last_try or worker.capacity == 1):
                retries.insert(0, placement)
            else:
                (self._without_neighbours if last_try else self._queue).appendleft(placement)
        worker.link.close(0.0)
        successor = PooledWorker(worker.index, self._launch(worker.index), retries=retries)
        self._workers[self._workers.index(worker)] = successor
