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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import IO

import cloudpickle

from tuner.core.events import Event, Failed, Reported, Restarted, Stopped
from tuner.core.ports import Job, Trainer
from tuner.core.trial import Trial
from tuner.errors import PluginError
from tuner.executors.worker import Answer, Broken, Orders, Ready

_TAIL_BYTES = 4_000
_LOG_BYTES = 1_000_000
_CLOSE_S = 2.0
# SIGINT goes to the whole group of processes; what it means is the parent's decision.
_BOOT = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = {path!r}; "
_BOOT += "from tuner.executors.worker import serve; serve({wire}, {payload})"


@dataclass(slots=True)
class _Seat:
    """A worker process, the trials it holds and the orders it gets when it is idle."""

    process: subprocess.Popen[bytes]
    wire: Connection
    log: IO[bytes]
    capacity: int = 0
    idle: bool = False
    alone: bool = False
    trials: dict[int, Trial] = field(default_factory=dict)
    stopping: dict[int, bool] = field(default_factory=dict)
    stop: dict[int, bool] = field(default_factory=dict)
    place: list[Trial] = field(default_factory=list)

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
        models: Path,
        workers: int,
        threads: int = 1,
        restarts: int = 2,
    ) -> None:
        """Start the workers; `free` and `poll` see each of them as soon as it is ready.

        Args:
            make: makes the trainer, in each worker.
            job: what the trainer needs; `rows` are each worker's.
            models: where models are written, a folder for each trial.
            workers: how many.
            threads: how many threads the numerical libraries of each worker use.
            restarts: how often a trial is started again after its worker died.

        Raises:
            PluginError: the trainer cannot be pickled.
        """
        self._restarts = restarts
        self._bar: float | None = None
        self._queue: deque[Trial] = deque()
        self._alone: deque[Trial] = deque()
        self._deaths: Counter[int] = Counter()
        self._stillborn = 0
        self._events: list[Event] = []
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
        self._environment = {**os.environ, **dict.fromkeys(names, str(threads))}
        # Without a name, so that nothing is left behind however this process ends.
        self._payload = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            cloudpickle.dump((make, job, models), self._payload)
        except Exception as error:
            self._payload.close()
            raise PluginError(
                f"the trainer cannot be sent to worker processes: {type(error).__name__}: {error}; "
                'let it open what it needs by itself, or set executor = "inline"'
            ) from error
        self._payload.flush()
        self._seats = [self._start() for _ in range(workers)]

    def free(self) -> int:
        """How many trials may be submitted now; 0 until the first worker is ready."""
        return max(0, sum(seat.room for seat in self._seats) - len(self._queue))

    def submit(self, trials: Sequence[Trial], bar: float | None) -> None:
        """Start trials at the next `poll`."""
        self._queue += trials
        self._bar = bar

    def stop(self, orders: Mapping[int, bool]) -> None:
        """End trials at the next `poll`."""
        for number, wanted in orders.items():
            seat = next((seat for seat in self._seats if number in seat.trials), None)
            if seat is None:
                self._forget(number)
                continue
            del seat.trials[number]
            seat.stop[number] = wanted
            self._seat_alone(seat)

    def poll(self, timeout_s: float) -> Sequence[Event]:
        """Give idle workers their orders and return what those say that answer within `timeout_s`.

        Raises:
            PluginError: a worker cannot be started.
            Exception: what else a worker raised while it was set up, and DeviceError at any time.
        """
        self._assign()
        for seat in self._seats:
            if seat.idle and (seat.trials or seat.stop):
                self._send(seat)
        seats = {seat.wire: seat for seat in self._seats}
        ready = wait(list(seats), 0.0 if self._events else timeout_s)
        for wire in ready:
            seat = seats[wire]  # type: ignore[index]
            try:
                answer: Answer = seat.wire.recv()
            except (EOFError, OSError):
                self._replace(seat)
            else:
                self._take(seat, answer)
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """End the workers, after two seconds by force."""
        for seat in self._seats:
            seat.wire.close()
        deadline = time.monotonic() + _CLOSE_S
        for seat in self._seats:
            try:
                seat.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                seat.process.kill()
                seat.process.wait()
            seat.log.close()
        self._seats.clear()
        self._payload.close()

    def _start(self) -> _Seat:
        ours, theirs = Pipe()
        log = tempfile.TemporaryFile("ab+", buffering=0)  # noqa: SIM115
        handles = (theirs.fileno(), self._payload.fileno())
        code = _BOOT.format(path=[str(path) for path in sys.path], wire=handles[0], payload=handles[1])
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=handles,
            env=self._environment,
        )
        theirs.close()
        return _Seat(process, ours, log)

    def _assign(self) -> None:
        """Spread the queue over the idle workers, the emptiest first."""
        while self._queue:
            seat = max((seat for seat in self._seats if seat.idle), key=lambda s: s.room, default=None)
            if seat is None or seat.room <= 0:
                return
            self._place(seat, self._queue.popleft())

    def _place(self, seat: _Seat, trial: Trial) -> None:
        seat.trials[trial.number] = trial
        seat.place.append(trial)

    def _seat_alone(self, seat: _Seat) -> None:
        """Give an empty worker the next of the trials that must not have neighbours."""
        seat.alone = bool(self._alone and not seat.trials)
        if seat.alone:
            self._place(seat, self._alone.popleft())

    def _send(self, seat: _Seat) -> None:
        seat.idle = False
        seat.stopping = seat.stop
        orders = Orders(seat.stop, tuple(seat.place), self._bar)
        seat.stop, seat.place = {}, []
        try:
            seat.wire.send(orders)
        except OSError:
            # It died while it was idle; the end of its wire says so in a moment.
            return

    def _take(self, seat: _Seat, answer: Answer) -> None:
        seat.idle = True
        if isinstance(answer, Broken):
            raise self._error(answer)
        if isinstance(answer, Ready):
            self._stillborn = 0
            seat.capacity = answer.capacity
            self._seat_alone(seat)
            return
        seat.stopping = {}
        for event in answer:
            self._events.append(event)
            if not isinstance(event, Reported):
                seat.trials.pop(event.number, None)
                self._deaths.pop(event.number, None)
        seat.tail()
        if not seat.trials:
            self._seat_alone(seat)

    def _error(self, answer: Broken) -> BaseException:
        if answer.error is None:
            return PluginError(f"a worker cannot be started: {answer.text.strip().splitlines()[-1]}")
        error: BaseException = cloudpickle.loads(answer.error)
        error.add_note(f"In a worker:\n{answer.text}")
        return error

    def _replace(self, seat: _Seat) -> None:
        """Put another worker in a dead one's place, and its trials in front of all others."""
        words = _ending(seat.process.wait())
        tail = seat.tail()
        last = tail.splitlines()[-1] if tail else "none"
        if not seat.capacity:
            self._stillborn += 1
            if self._stillborn > self._restarts:
                raise PluginError(f"a worker {words} while it started; its last words: {last}")
        self._events += [Stopped(number) for number in (*seat.stopping, *seat.stop)]
        for trial in reversed(list(seat.trials.values())):
            number = trial.number
            self._deaths[number] += 1
            if self._deaths[number] > self._restarts:
                times = (
                    f"{self._deaths[number]} times, at last because it" if self._restarts else "because it"
                )
                self._events.append(
                    Failed(number, f"its worker died {times} {words}; its last words: {last}", tail)
                )
                continue
            self._events.append(Restarted(number, f"its worker {words}"))
            # The last try is made without neighbours: one of them may be to blame.
            last_try = self._deaths[number] == self._restarts
            (self._alone if last_try else self._queue).appendleft(trial)
        seat.wire.close()
        seat.log.close()
        self._seats[self._seats.index(seat)] = self._start()

    def _forget(self, number: int) -> None:
        for queue in (self._queue, self._alone):
            for trial in [trial for trial in queue if trial.number == number]:
                queue.remove(trial)
                self._events.append(Stopped(number))


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    memory = " (the system's answer to memory running out)" if name == "SIGKILL" else ""
    return f"was killed by {name}{memory}"
