"""Processes: trials train in N worker processes of this machine.

Workers move in lockstep with `poll`, each on its own: one that has answered gets its next orders
without waiting for the others. What a worker does with its orders is in `worker`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, Pipe, wait
from typing import IO, Any

import cloudpickle

from tuner.artifacts import Artifacts
from tuner.core.events import Event, Failed, Interrupted, Paused, Reported, Restarted, Stopped
from tuner.core.job import Job, Resources
from tuner.core.ports import Placement
from tuner.core.training import Trainer
from tuner.errors import PluginError, described, shortened
from tuner.executors.checkpoints import Checkpoints
from tuner.executors.worker import Answer, Broken, Leave, Orders, Ready

_TAIL_BYTES = 4_000
_LOG_BYTES = 1_000_000
_CLOSE_S = 1.5
# SIGINT goes to the whole group of processes; what it means is the parent's decision.
_BOOT = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = {path!r}; "
_BOOT += "from tuner.executors.worker import serve; serve({wire}, {payload}, {index})"


@dataclass(slots=True)
class _Seat:
    """A worker process, the trials it holds and the orders it gets when it is idle.

    Attributes:
        index: which of the workers it is; its successor is the same.
        trials: those that train, with all that they have reported.
        leaving: those that were told to leave and have not answered.
        since: when it got its last orders, in seconds of the monotonic clock.
        overdue: whether it was ended because an epoch took too long.
        again: trials that its predecessor did not live to answer for.
    """

    index: int
    process: subprocess.Popen[bytes]
    wire: Connection
    log: IO[bytes]
    capacity: int = 0
    idle: bool = False
    alone: bool = False
    since: float = 0.0
    overdue: bool = False
    again: list[Placement] = field(default_factory=list)
    trials: dict[int, Placement] = field(default_factory=dict)
    leaving: dict[int, Leave] = field(default_factory=dict)
    steps: list[Placement | Leave] = field(default_factory=list)

    @property
    def room(self) -> int:
        return 0 if self.alone else self.capacity - len(self.trials)

    def tail(self) -> str:
        """The end of what the worker and the user's code in it have printed."""
        size = os.fstat(self.log.fileno()).st_size
        text = os.pread(self.log.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        if size > _LOG_BYTES:
            os.ftruncate(self.log.fileno(), 0)
            os.write(self.log.fileno(), text)
        return text.decode(errors="replace").strip()


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
        self._checkpoints = Checkpoints(artifacts)
        self._bar: float | None = None
        self._queue: deque[Placement] = deque()
        self._alone: deque[Placement] = deque()
        self._early: dict[int, Leave] = {}
        self._deaths: Counter[int] = Counter()
        self._stillborn = 0
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
        self._seats = [self._start(index) for index in range(len(resources))]

    def free(self) -> int:
        """How many trials may be submitted now; 0 until the first worker is ready.

        Ordered: 0 until all workers are ready, and while one of them has not answered, so that nothing
        is chosen before all that is to be known by then is told.
        """
        if self._ordered and (self._busy() or not all(seat.capacity for seat in self._seats)):
            return 0
        waiting = sum(placement.trial.number not in self._early for placement in self._queue)
        return max(0, sum(seat.room for seat in self._seats) - waiting)

    def submit(self, placements: Sequence[Placement], bar: float | None) -> None:
        """Start trials, or go on with them, at the next `poll`."""
        self._queue += placements
        self._bar = bar

    def stop(self, orders: Mapping[int, bool]) -> None:
        """End trials at the next `poll`."""
        self._leave(Leave(number, wanted) for number, wanted in orders.items())

    def pause(self, orders: Mapping[int, bool]) -> None:
        """Take trials out of their rows at the next `poll`."""
        self._leave(Leave(number, wanted, pause=True) for number, wanted in orders.items())

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
            for seat in self._seats:
                if seat.idle and (seat.trials or seat.steps):
                    self._send(seat)
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
        return any(not seat.idle for seat in self._seats)

    def _listen(self, timeout_s: float) -> bool:
        """Take the answers that come within `timeout_s`; whether there were any."""
        seats = {seat.wire: seat for seat in self._seats if not seat.idle}
        ready = wait(list(seats), timeout_s)
        for wire in ready:
            seat = seats[wire]  # type: ignore[index]
            try:
                answer: Answer = seat.wire.recv()
            except (EOFError, OSError):
                self._replace(seat)
            else:
                self._take(seat, answer)
        return bool(ready)

    def _end_overdue(self) -> None:
        """End workers that have been busy for longer than all their epochs may take."""
        if self._limit_s is None:
            return
        for seat in self._seats:
            allowed = self._limit_s * max(1, len(seat.trials))
            if seat.capacity and not seat.idle and time.monotonic() - seat.since > allowed:
                seat.overdue = True
                seat.process.kill()

    def close(self, *, at_once: bool = False) -> None:
        """Let the workers write checkpoints and end; after a second and a half they are ended by force."""
        deadline = time.monotonic() + (0.0 if at_once else _CLOSE_S)
        busy = {seat.wire: seat for seat in self._seats if seat.capacity and not seat.idle}
        for seat in self._seats:
            if at_once or not seat.capacity:
                seat.process.kill()
            elif seat.idle:
                self._dismiss(seat)
        while busy and (answered := wait(list(busy), max(0.0, deadline - time.monotonic()))):
            for wire in answered:
                seat = busy.pop(wire)  # type: ignore[call-overload]
                with suppress(EOFError, OSError):
                    seat.wire.recv()
                    self._dismiss(seat)
        for seat in self._seats:
            try:
                seat.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                seat.process.kill()
                seat.process.wait()
            seat.wire.close()
            seat.log.close()
        self._seats.clear()
        self._payload.close()

    def _dismiss(self, seat: _Seat) -> None:
        with suppress(OSError):
            seat.wire.send(None)

    def _leave(self, leaves: Iterable[Leave]) -> None:
        for leave in leaves:
            seat = next((seat for seat in self._seats if leave.number in seat.trials), None)
            if seat is None:
                self._early[leave.number] = leave
                continue
            del seat.trials[leave.number]
            seat.steps.append(leave)
            self._seat_alone(seat)

    def _start(self, index: int) -> _Seat:
        ours, theirs = Pipe()
        log = tempfile.TemporaryFile("ab+", buffering=0)  # noqa: SIM115
        handles = (theirs.fileno(), self._payload.fileno())
        path = [str(path) for path in sys.path]
        code = _BOOT.format(path=path, wire=handles[0], payload=handles[1], index=index)
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=handles,
            env=self._environments[index],
        )
        theirs.close()
        return _Seat(index, process, ours, log)

    def _assign(self) -> None:
        """Spread the queue over the idle workers, the emptiest first."""
        while self._queue:
            seat = max((seat for seat in self._seats if seat.idle), key=lambda s: s.room, default=None)
            if seat is None or seat.room <= 0:
                return
            self._place(seat, self._queue.popleft())

    def _place(self, seat: _Seat, placement: Placement) -> None:
        number = placement.trial.number
        seat.steps.append(placement)
        if number in self._early:
            seat.steps.append(self._early.pop(number))
        else:
            seat.trials[number] = placement

    def _seat_alone(self, seat: _Seat) -> None:
        """Give an empty worker the next of the trials that must not have neighbours."""
        seat.alone = bool(self._alone and not seat.trials)
        if seat.alone:
            self._place(seat, self._alone.popleft())

    def _send(self, seat: _Seat) -> None:
        seat.idle = False
        seat.since = time.monotonic()
        seat.leaving = {step.number: step for step in seat.steps if isinstance(step, Leave)}
        orders = Orders(tuple(seat.steps), self._bar)
        seat.steps = []
        # If it died while it was idle, the end of its wire says so in a moment.
        with suppress(OSError):
            seat.wire.send(orders)

    def _take(self, seat: _Seat, answer: Answer) -> None:
        seat.idle = True
        if isinstance(answer, Broken):
            raise self._error(answer)
        if isinstance(answer, Ready):
            self._stillborn = 0
            seat.capacity = answer.capacity
            if not seat.again:
                self._seat_alone(seat)
                return
            for again in seat.again:
                self._place(seat, again)
            seat.again = []
            self._send(seat)
            return
        seat.leaving = {}
        for event in answer:
            self._events.append(event)
            placement = seat.trials.get(event.number)
            if isinstance(event, Reported):
                if placement is not None:
                    seat.trials[event.number] = replace(placement, curve=(*placement.curve, event.reading))
            elif isinstance(event, Restarted):
                if placement is not None:
                    seat.trials[event.number] = replace(placement, curve=())
            else:
                seat.trials.pop(event.number, None)
                self._deaths.pop(event.number, None)
        seat.tail()
        if not seat.trials:
            self._seat_alone(seat)

    def _error(self, answer: Broken) -> Exception:
        error = None if answer.error is None else cloudpickle.loads(answer.error)
        if not isinstance(error, Exception):
            last = shortened(answer.text.strip().splitlines()[-1])
            return PluginError(f"a worker cannot be started: {last}")
        error.add_note(f"In a worker:\n{answer.text}")
        return error

    def _replace(self, seat: _Seat) -> None:
        """Put another worker in a dead one's place, and its trials in front of all others.

        In order, its successor trains them before anybody is told anything of this round.
        """
        words = _ending(seat.process.wait())
        if seat.overdue:
            words = f"was ended, for an epoch took longer than {self._limit_s:g} seconds"
        tail = seat.tail()
        last = tail.splitlines()[-1] if tail else "none"
        if not seat.capacity:
            self._stillborn += 1
            if self._stillborn > self._restarts:
                raise PluginError(f"a worker {words} while it started; its last words: {last}")
        unsent = [step for step in seat.steps if isinstance(step, Leave)]
        for leave in (*seat.leaving.values(), *unsent):
            if not leave.pause:
                self._checkpoints.drop(leave.number)
            self._events.append(Paused(leave.number) if leave.pause else Stopped(leave.number))
        again = list(seat.again)
        for placement in reversed(list(seat.trials.values())):
            number = placement.trial.number
            self._deaths[number] += 1
            if self._deaths[number] > self._restarts:
                times = (
                    f"{self._deaths[number]} times, at last because it" if self._restarts else "because it"
                )
                self._checkpoints.drop(number)
                self._events.append(
                    Failed(number, f"its worker died {times} {words}; its last words: {last}", tail)
                )
                continue
            self._events.append(Interrupted(number, f"its worker {words}"))
            # The last try is made without neighbours: one of them may be to blame.
            last_try = self._deaths[number] == self._restarts
            if self._ordered and (not last_try or seat.capacity == 1):
                again.insert(0, placement)
            else:
                (self._alone if last_try else self._queue).appendleft(placement)
        seat.wire.close()
        seat.log.close()
        self._seats[self._seats.index(seat)] = successor = self._start(seat.index)
        successor.again = again


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    memory = " (the system's answer to memory running out)" if name == "SIGKILL" else ""
    return f"was killed by {name}{memory}"
