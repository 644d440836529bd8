"""GroupBatch: one trial at a time on several processes, its ranks, which stay for the next trial.

Runs in the worker, which trains nothing itself: it gives each rank the same orders and hears all of them, so
that whatever becomes of one is seen. Rank 0 counts. Each trial has a process group of its own.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NoReturn, cast

import cloudpickle

from tuner.core.job import Job
from tuner.core.training import Exhausted, Failure, Outcome, Snapshot, Trainer
from tuner.core.trial import Reading, Trial
from tuner.errors import DeviceError, TrialError
from tuner.trainers.group.hang import SILENT_S, HangWatch
from tuner.trainers.group.orders import Answered, Raised, RankOrder, joined, parted
from tuner.trainers.group.process import RankProcess
from tuner.trainers.scratch import ScratchFolder

GRACE_S = 5.0
"""How long the other ranks may take to answer when one has failed: they may wait for it for ever."""

_CLEAR_S = 10.0
_LOOK_S = 0.2
"""How often the ranks' output is looked for."""


def end_worker(words: str) -> NoReturn:
    """End this worker process as if it had died like its rank: the executor knows what to do then."""
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()
    os._exit(1)


class GroupBatch:
    """One row over the rows of the same index of all ranks; a `TrialBatch`."""

    capacity = 1

    def __init__(
        self, make: Callable[[], Trainer], job: Job, lost: Callable[[str], NoReturn] = end_worker
    ) -> None:
        """Start the ranks, and wait until they are ready.

        Args:
            make: makes the trainer, in each rank.
            job: its resources say how many ranks there are.
            lost: what to do when a rank has died, which is told in words.
        """
        self._size, self._lost = job.resources.world_size, lost
        self._payload = tempfile.TemporaryFile()  # noqa: SIM115
        cloudpickle.dump((make, job), self._payload)
        self._payload.flush()
        self._notes = tempfile.TemporaryFile()  # noqa: SIM115
        self._hang = HangWatch(self._notes)
        self._scratch, self._stores = ScratchFolder(), 0
        self._is_placed, self._failure = False, cast("Failure | None", None)
        self._ranks: list[RankProcess] = []
        self._start()

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        """Start a trial on all ranks, each with its own part of the state."""
        if row or self._is_placed:
            raise ValueError(f"row {row} is not an empty row of this batch")
        self._is_placed, self._failure = True, None
        if not self._ranks:
            self._start()
        self._stores += 1
        store = str(self._scratch.part("stores") / str(self._stores))
        orders = [RankOrder("place", (trial, part, store)) for part in parted(snapshot, self._size)]
        self._failure = self._failure_of(self._asked(orders))

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Train one epoch on all ranks; rank 0's outcome counts."""
        if not self._is_placed or (rows is not None and 0 not in rows):
            return {}
        if self._failure is None:
            answers = self._asked([RankOrder("advance")] * self._size)
            self._failure = self._failure_of(answers)
            if self._failure is None:
                return {0: self._agreed(_values(answers))}
        return {0: self._failure}

    def snapshot(self, row: int) -> Snapshot | None:
        """The states of all ranks; what is the same in all of them is kept once."""
        if row or not self._is_placed or self._failure is not None:
            return None
        (first,) = self._asked([RankOrder("snapshot")])
        if not isinstance(first, Answered) or first.value is None:
            return None
        found, known = first.value
        answers = self._asked([RankOrder("snapshot", (known,))] * (self._size - 1), first=1)
        if any(not isinstance(answer, Answered) or answer.value is None for answer in answers):
            return None
        return joined(found, _values(answers))

    def save(self, row: int, folder: Path) -> bool:
        """Write rank 0's model."""
        if row or not self._is_placed or not self._ranks:
            return False
        (answer,) = self._asked([RankOrder("save", (folder,))])
        if isinstance(answer, Raised):
            raise answer.error or TrialError(answer.failure.error)
        return bool(answer.value)

    def clear(self, row: int) -> None:
        """End the trial on all ranks, after the same epoch."""
        if row or not self._is_placed:
            return
        self._is_placed = False
        if self._ranks:
            self._asked([RankOrder("clear")] * self._size, within_s=_CLEAR_S)

    def close(self) -> None:
        """End the ranks; a worker process just ends, and they with it."""
        self._end()
        self._scratch.close()
        self._payload.close()
        self._notes.close()

    def _start(self) -> None:
        self._ranks = [
            RankProcess.start(rank, self._size, self._payload, self._notes) for rank in range(self._size)
        ]
        for answer in self._heard(range(self._size), math.inf):
            if isinstance(answer, Raised):
                self._end()
                raise answer.error or TrialError(answer.failure.error)

    def _asked(
        self, orders: Sequence[RankOrder], *, first: int = 0, within_s: float = math.inf
    ) -> Sequence[Answered | Raised]:
        """The answers of ranks, from the first one on, to an order each; one that is late ends the group."""
        chosen = range(first, first + len(orders))
        for rank, order in zip(chosen, orders, strict=True):
            with suppress(OSError):  # of one that has died, which is seen when it is listened to
                self._ranks[rank].connection.send(order)
        return self._heard(chosen, within_s)

    def _heard(self, chosen: Sequence[int], within_s: float) -> Sequence[Answered | Raised]:
        waiting = {self._ranks[rank].connection: self._ranks[rank] for rank in chosen}
        others = {each.connection: each for each in self._ranks if each.connection not in waiting}
        answers: dict[int, Answered | Raised] = {}
        failed: Raised | None = None
        deadline = time.monotonic() + within_s
        self._hang.begin()
        while waiting and (left := deadline - time.monotonic()) > 0:
            for connection in wait([*waiting, *others], min(left, _LOOK_S)):
                rank = waiting.get(connection) or others[connection]  # type: ignore[call-overload, index]
                try:
                    answer = rank.connection.recv()
                except (EOFError, OSError):
                    self._die(rank)
                if isinstance(answer, Answered | Raised):
                    answers[rank.rank] = answer
                    del waiting[rank.connection]
                    answer = answer if isinstance(answer, Raised) else None
                if answer is not None and failed is None:
                    failed = Raised(getattr(answer, "error", None), self._told(rank.rank, answer.failure))
                    deadline = min(deadline, time.monotonic() + GRACE_S)
            self._print()
            silent = [each.rank for each in waiting.values()]
            if silent and (hung := self._hang.hung([each.process.pid for each in self._ranks], silent)):
                self._give_up(hung)
        if not waiting:
            self._print()
            # What has failed first is told: the others' failures may follow from it.
            return [failed] * len(answers) if failed else [answers[rank] for rank in chosen]
        late = ", ".join(str(each.rank) for each in waiting.values())
        words = f"rank {late} of {self._size} did not end its trial in time"
        self._end()
        return [failed or Raised(None, Failure(words, words))] * len(chosen)

    def _failure_of(self, answers: Sequence[Answered | Raised]) -> Failure | None:
        raised = next((answer for answer in answers if isinstance(answer, Raised)), None)
        if raised is None:
            return None
        if isinstance(raised.error, DeviceError):
            raise raised.error
        return raised.failure

    def _agreed(self, outcomes: Sequence[Outcome]) -> Outcome:
        """Rank 0's outcome, if the others can go on with it."""
        early = [rank for rank, each in enumerate(outcomes) if isinstance(each, Exhausted)]
        if isinstance(outcomes[0], Reading) and early:
            words = f"rank {early[0]} of {self._size} ended before rank 0; let all train as many epochs"
            self._failure = Failure(words, words)
            return self._failure
        return outcomes[0]

    def _told(self, rank: int, failure: Failure) -> Failure:
        return Failure(f"rank {rank} of {self._size}: {failure.error}", failure.traceback)

    def _print(self) -> None:
        for each in self._ranks:
            for line in each.output().splitlines(keepends=True):
                sys.stdout.write(line if each.rank == 0 else f"[rank {each.rank}] {line}")
        sys.stdout.flush()

    def _die(self, rank: RankProcess) -> NoReturn:
        self._print()
        words = f"rank {rank.rank} of {self._size} {rank.ending()}"
        self._end()
        self._lost(words)

    def _give_up(self, hung: Sequence[int]) -> NoReturn:
        named = ", ".join(map(str, hung))
        self._print()
        self._end()
        self._lost(
            f"rank {named} of {self._size} hangs: others wait, and none has computed for {SILENT_S:g} s"
        )

    def _end(self) -> None:
        for each in self._ranks:
            each.end()
        self._ranks = []


def _values(answers: Sequence[Answered | Raised]) -> list[Any]:
    return [answer.value for answer in answers if isinstance(answer, Answered)]
