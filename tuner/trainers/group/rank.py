"""What each rank runs: it carries out the orders of its `GroupBatch`, one after the other.

Started by `process` over two file descriptors, in a process of its own that has never trained before it was
started. It ends with its parent, whatever it is busy with.
"""

from __future__ import annotations

import mmap
import pickle
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import cloudpickle

from tuner.child_process import end_with_parent
from tuner.core.job import Job
from tuner.core.training import Failure, Outcome, SessionTrainer, Snapshot, Trainer, TrialBatch, TrialSession
from tuner.core.trial import Trial
from tuner.trainers.group.hang import note_waiting
from tuner.trainers.group.orders import (
    AdvanceOrder,
    Answered,
    ClearOrder,
    Failing,
    PlaceOrder,
    Raised,
    RankOrder,
    SaveOrder,
    SnapshotOrder,
    digests,
    without,
)


def serve(connection: int, payload: int, notes: int, rank: int) -> None:
    """Carry out orders until the parent's end of the connection is gone.

    Args:
        connection: file descriptor of the connection to the parent.
        payload: file descriptor of the pickled (make, job).
        notes: file descriptor of what `HangWatch` reads.
        rank: which one this is.
    """
    line = Connection(connection)
    end_with_parent(connection)
    threading.Thread(target=note_waiting, args=(notes, rank), daemon=True).start()
    try:
        with mmap.mmap(payload, 0, access=mmap.ACCESS_READ) as memory:
            make, job = cloudpickle.loads(memory)
        group = _Rank(make(), job, rank, line)
        line.send(Answered(None))
        while True:
            line.send(group.answer(line.recv()))
    except (EOFError, ConnectionError):
        return
    except BaseException as error:
        line.send(_raised(error))
        raise


class _Rank:
    """One member of process groups, one after the other."""

    def __init__(self, trainer: Trainer, job: Job, rank: int, line: Connection) -> None:
        # It takes seconds, which must not count as a trial's.
        import torch.distributed

        from tuner.trainers.members import open_batch

        size = job.resources.world_size
        devices = _devices(job.resources.devices, size)
        is_apart = all(name.startswith("cuda") for name in devices) and len(set(devices)) == size
        # Two ranks on one GPU cannot be members of NCCL's groups.
        self._backend = "nccl" if is_apart else "gloo"
        own = replace(job.resources, devices=(devices[rank],), rank=rank)
        if devices[rank].startswith("cuda"):
            torch.cuda.set_device(devices[rank])
        trainer = cast("Trainer", _Announcing(cast("SessionTrainer", trainer), line))
        self._rank, self._size = rank, size
        self._batch: TrialBatch = open_batch(trainer, replace(job, rows=1, resources=own))

    def answer(self, order: RankOrder) -> Answered | Raised:
        try:
            return Answered(self._carried_out(order))
        except BaseException as error:  # noqa: BLE001 - what becomes of it, the parent decides
            return _raised(error)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()

    def _carried_out(self, order: RankOrder) -> Any:
        match order:
            case PlaceOrder(trial, snapshot, store):
                self._join(store)
                self._batch.place(0, trial, snapshot)
            case AdvanceOrder():
                return self._batch.advance()[0]
            case SnapshotOrder(known):
                found = self._batch.snapshot(0)
                if found is None or not self._rank:
                    return found and (found, digests(found))
                return without(found, known)
            case SaveOrder(folder):
                return self._batch.save(0, Path(folder))
            case ClearOrder():
                try:
                    self._batch.clear(0)
                finally:
                    self._leave()
        return None

    def _join(self, path: str) -> None:
        from torch import distributed
        from torch._C._distributed_c10d import FileStore

        store = FileStore(path, self._size)
        distributed.init_process_group(self._backend, store=store, rank=self._rank, world_size=self._size)

    def _leave(self) -> None:
        from torch import distributed

        if distributed.is_initialized():
            distributed.destroy_process_group()


class _Announcing:
    """A trainer whose sessions say at once that they have failed: the other ranks may wait for this one."""

    def __init__(self, trainer: SessionTrainer, line: Connection) -> None:
        self._trainer, self._line = trainer, line
        self.validate = trainer.validate

    def start(self, job: Job, trial: Trial, snapshot: Snapshot | None = None) -> TrialSession:
        session = self._trainer.start(job, trial, snapshot)
        # Sessions have slots, so that their `next` cannot be replaced.
        return cast("TrialSession", _AnnouncingSession(session, partial(self._announce)))

    def _announce(self, failure: Failure) -> None:
        self._line.send(Failing(failure))


class _AnnouncingSession:
    def __init__(self, session: TrialSession, announce: Any) -> None:
        self._session, self._announce = session, announce
        self.snapshot, self.save, self.close = session.snapshot, session.save, session.close

    def next(self) -> Outcome:
        try:
            outcome = self._session.next()
        except Exception as error:
            self._announce(Failure.of(error))
            raise
        if isinstance(outcome, Failure):
            self._announce(outcome)
        return outcome


def _devices(names: Sequence[str], size: int) -> list[str]:
    """Each rank's device: those of the worker in turn, and every GPU where they are just called cuda."""
    if tuple(names) == ("cuda",):
        import torch

        names = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return [names[rank % len(names)] for rank in range(size)]


def _raised(error: BaseException) -> Raised:
    try:
        sent = pickle.loads(pickle.dumps(error))  # noqa: S301 - by itself, whether it can be sent
    except Exception:  # noqa: BLE001
        sent = None
    return Raised(sent, Failure.of(error))
