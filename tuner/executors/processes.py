"""Processes: trials train in N worker processes of this machine.

Workers move in lockstep with `poll`, each on its own: one that has answered gets its next orders
without waiting for the others. What a worker does with its orders is in `worker`.
"""

from __future__ import annotations

import math
import os
import subprocess
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

import cloudpickle

from tuner.artifacts import Artifacts, log_tail
from tuner.core.events import Event, Failed, Interrupted, Paused, Reported, Restarted, Stopped
from tuner.core.job import Job, Resources
from tuner.core.ports import Placement
from tuner.core.training import Trainer
from tuner.errors import PluginError, described, shortened
from tuner.executors.checkpoints import Checkpoints
from tuner.executors.limits import Limits, end
from tuner.executors.orders import Orders, Removal
from tuner.executors.serving import Answer, Broken, Ready
from tuner.executors.worker_process import WorkerProcess

_CLOSE_S = 1.5
_MOST_LOG_BYTES = 16_000_000
"""A log that grows beyond it in one epoch is shortened from here; else its worker does so after the epoch."""


class Processes:
    """N worker processes, replaced when they die."""

    def __init__(
        self,
        make: Callable[[], Trainer],
        job: Job,
        artifacts: Artifacts,
        resources: Sequence[Resources],
        restarts: int = 2,
        *,
        ordered: bool = False,
    ) -> None:
        """Start the workers; `free` and `poll` see each of them as soon as it is ready.

        Args:
            make: makes the trainer, in each worker.
            job: what the trainer needs; `rows` are each worker's.
            artifacts: the study's files.
            resources: of each worker; there are as many workers.
            restarts: how often a trial goes on after its worker died.
            ordered: let `poll` wait until every worker has answered and say it in the order of
                workers, so that what the study decides does not depend on which one was faster.

        Raises:
            PluginError: the trainer cannot be pickled.
        """
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
        self._failed_starts = 0
        self._events: list[Event] = []
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
        self._environments = [{**os.environ, **dict.fromkeys(names, str(each.threads))} for each in resources]
        # Without a name, so that nothing is left behind however this process ends.
        self._payload = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            cloudpickle.dump((make, job, tuple(resources), artifacts), self._payload)
        except Exception as error:
            self._payload.close()
            raise PluginError(
                f"the trainer cannot be sent to worker processes: {described(error)}; "
                'let it open what it needs by itself, or set executor = "inline"'
            ) from error
        self._payload.flush()
        self._workers = [self._start(index) for index in range(len(resources))]

    def free(self) -> int:
        """How many trials may be submitted now; 0 until the first worker is ready.

        Ordered: 0 until all workers are ready, and while one of them has not answered, so that nothing
        is chosen before all that is to be known by then is told.
        """
        if self._ordered and (self._busy() or not all(worker.capacity for worker in self._workers)):
            return 0
        waiting = sum(placement.trial.number not in self._early_removals for placement in self._queue)
        return max(0, sum(worker.room for worker in self._workers) - waiting)

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
        deadline = time.monotonic() + (0.0 if self._events and not self._ordered else timeout_s)
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
        workers = {worker.connection: worker for worker in self._workers if not worker.idle}
        ready = wait(list(workers), timeout_s)
        for connection in ready:
            worker = workers[connection]  # type: ignore[index]
            try:
                answer: Answer = worker.connection.recv()
            except (EOFError, OSError):
                self._replace(worker)
            else:
                self._take(worker, answer)
        return bool(ready)

    def _end_overdue(self) -> None:
        """End workers that have been busy for longer than all their epochs may take, or break a limit."""
        for worker in self._workers:
            if not worker.capacity or worker.idle:
                continue
            allowed = math.inf if self._limit_s is None else self._limit_s * max(1, len(worker.trials))
            if time.monotonic() - worker.since > allowed:
                worker.overdue = True
                worker.process.kill()
            elif worker.trials and worker.limit is None:
                self._end_beyond_limit(worker)

    def _end_beyond_limit(self, worker: WorkerProcess) -> None:
        number = min(worker.trials)
        if worker.capacity == 1:
            with suppress(OSError):
                self._artifacts.shorten_log(number, _MOST_LOG_BYTES)
        if self._limits:
            log = self._artifacts.log(number)
            worker.limit = self._limits.broken(worker.process.pid, len(worker.trials), log, worker.watched)
            if worker.limit is not None:
                end(worker.process.pid)

    def close(self, *, at_once: bool = False) -> None:
        """Let the workers write checkpoints and end; after a second and a half they are ended by force."""
        deadline = time.monotonic() + (0.0 if at_once else _CLOSE_S)
        busy = {worker.connection: worker for worker in self._workers if worker.capacity and not worker.idle}
        for worker in self._workers:
            if at_once or not worker.capacity:
                worker.process.kill()
            elif worker.idle:
                self._dismiss(worker)
        while busy and (answered := wait(list(busy), max(0.0, deadline - time.monotonic()))):
            for connection in answered:
                worker = busy.pop(connection)  # type: ignore[call-overload]
                with suppress(EOFError, OSError):
                    worker.connection.recv()
                    self._dismiss(worker)
        for worker in self._workers:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.connection.close()
            worker.log.close()
        self._workers.clear()
        self._payload.close()

    def _dismiss(self, worker: WorkerProcess) -> None:
        with suppress(OSError):
            worker.connection.send(None)

    def _remove(self, removals: Iterable[Removal]) -> None:
        for removal in removals:
            worker = next((worker for worker in self._workers if removal.number in worker.trials), None)
            if worker is None:
                self._early_removals[removal.number] = removal
                continue
            del worker.trials[removal.number]
            worker.steps.append(removal)
            self._place_alone(worker)

    def _start(self, index: int) -> WorkerProcess:
        return WorkerProcess.start(index, self._payload, self._environments[index])

    def _assign(self) -> None:
        """Spread the queue over the idle workers, the emptiest first."""
        while self._queue:
            idle = (worker for worker in self._workers if worker.idle)
            worker = max(idle, key=lambda each: each.room, default=None)
            if worker is None or worker.room <= 0:
                return
            self._place(worker, self._queue.popleft())

    def _place(self, worker: WorkerProcess, placement: Placement) -> None:
        number = placement.trial.number
        worker.steps.append(placement)
        if number in self._early_removals:
            worker.steps.append(self._early_removals.pop(number))
        else:
            worker.trials[number] = placement

    def _place_alone(self, worker: WorkerProcess) -> None:
        """Give an empty worker the next of the trials that must not have neighbours."""
        worker.alone = bool(self._without_neighbours and not worker.trials)
        if worker.alone:
            self._place(worker, self._without_neighbours.popleft())

    def _send(self, worker: WorkerProcess) -> None:
        worker.idle = False
        worker.since = worker.watched.heard = time.monotonic()
        worker.removed = {step.number: step for step in worker.steps if isinstance(step, Removal)}
        orders = Orders(tuple(worker.steps), self._bar)
        worker.steps = []
        # If it died while it was idle, the end of its connection says so in a moment.
        with suppress(OSError):
            worker.connection.send(orders)

    def _take(self, worker: WorkerProcess, answer: Answer) -> None:
        worker.idle = True
        if isinstance(answer, Broken):
            raise self._error(answer)
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
        for event in answer:
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
        worker.tail()
        if not worker.trials:
            self._place_alone(worker)

    def _printed(self, worker: WorkerProcess) -> str:
        """The end of what a worker's trial has printed, where it has a single one."""
        numbers = list(worker.trials)
        return log_tail(self._artifacts, numbers[0]) if worker.capacity == len(numbers) == 1 else ""

    def _error(self, answer: Broken) -> Exception:
        error = None if answer.error is None else cloudpickle.loads(answer.error)
        if not isinstance(error, Exception):
            last = shortened(answer.text.strip().splitlines()[-1])
            return PluginError(f"a worker cannot be started: {last}")
        error.add_note(f"In a worker:\n{answer.text}")
        return error

    def _replace(self, worker: WorkerProcess) -> None:
        """Put another worker in a dead one's place, and its trials in front of all others.

        In order, its successor trains them before any event of this round is reported.
        """
        words = worker.ending()
        if worker.overdue:
            words = f"was ended since an epoch took longer than {self._limit_s:g} seconds"
        if worker.limit is not None:
            words = f"was ended since {worker.limit.reason}"
        tail = self._printed(worker) or worker.tail()
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
        worker.connection.close()
        worker.log.close()
        self._workers[self._workers.index(worker)] = successor = self._start(worker.index)
        successor.retries = retries
