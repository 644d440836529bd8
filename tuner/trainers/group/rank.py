"""What each rank runs: it carries out the orders of its `GroupBatch`, one after the other.

Started by `process` over two file descriptors, in a process of its own that has never trained before it was
started. It ends with its parent, whatever it is busy with.
"""

from __future__ import annotations

import mmap
import pickle
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import cloudpickle

from tuner.child_process import end_with_parent
from tuner.core.job import Job
from tuner.core.training import Failure, Outcome, SessionTrainer, Snapshot, Trainer, TrialBatch, TrialSession
from tuner.core.trial import Trial
from tuner.trainers.device import every_gpu
from tuner.trainers.group.hang import note_waiting
from tuner.trainers.group.orders import Answered, Failing, Raised, RankOrder, digests, without


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
        group = Rank(make(), job, rank, line)
        line.send(Answered(None))
        while True:
            line.send(group.answer(line.recv()))
    except (EOFError, ConnectionError):
        return
    except BaseException as error:
        line.send(_raised(error))
        raise


class Rank:
    """One member of process groups, one after the other; see `RankOrder`."""

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
        """Carry out an order."""
        try:
            return Answered(getattr(self, order.method)(*order.given))
        except BaseException as error:  # noqa: BLE001 - what becomes of it, the parent decides
            return _raised(error)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()

    def place(self, trial: Trial, snapshot: Snapshot | None, store: str) -> None:
        """Join a new process group whose members meet in the file `store`, and start a trial."""
        from torch import distributed
        from torch._C._distributed_c10d import FileStore

        meeting = FileStore(store, self._size)
        distributed.init_process_group(self._backend, store=meeting, rank=self._rank, world_size=self._size)
        self._batch.place(0, trial, snapshot)

    def advance(self) -> Outcome:
        """Train for one epoch."""
        return self._batch.advance()[0]

    def snapshot(self, known: Mapping[str, bytes] | None = None) -> Any:
        """The trial's state.

        Args:
            known: digests of arrays that need not be given, by name: those of rank 0, which is given none and
                answers with its own.
        """
        found = self._batch.snapshot(0)
        if found is None:
            return None
        return (found, digests(found)) if known is None else without(found, known)

    def save(self, folder: Path) -> bool:
        """Write the best epoch's model into a folder."""
        return self._batch.save(0, folder)

    def clear(self) -> None:
        """End the trial and leave its process group."""
        from torch import distributed

        try:
            self._batch.clear(0)
        finally:
            if distributed.is_initialized():
                distributed.destroy_process_group()


class _Announcing:
    """A trainer whose sessions say at once that they have failed: the other ranks may wait for this one."""

    def __init__(self, trainer: SessionTrainer, line: Connection) -> None:
        self._trainer, self._line = trainer, line
        self.validate = trainer.validate

    def start(self, job: Job, trial: Trial, snapshot: Snapshot | None = None) -> TrialSession:
        # Sessions have slots, so that their `next` cannot be replaced.
        return _AnnouncingSession(self._trainer.start(job, trial, snapshot), self._line)


class _AnnouncingSession:
    def __init__(self, session: TrialSession, line: Connection) -> None:
        self._session, self._line = session, line
        self.snapshot, self.save, self.close = session.snapshot, session.save, session.close

    def next(self) -> Outcome:
        try:
            outcome = self._session.next()
        except Exception as error:
            self._line.send(Failing(Failure.of(error)))
            raise
        if isinstance(outcome, Failure):
            self._line.send(Failing(outcome))
        return outcome


def _devices(names: Sequence[str], size: int) -> list[str]:
    """Each rank's device: those of the worker in turn, and every GPU where they are just called cuda."""
    names = every_gpu() if tuple(names) == ("cuda",) else names
    return [names[rank % len(names)] for rank in range(size)]


def _raised(error: BaseException) -> Raised:
    try:
        sent = pickle.loads(pickle.dumps(error))  # noqa: S301 - by itself, whether it can be sent
    except Exception:  # noqa: BLE001
        sent = None
    return Raised(sent, Failure.of(error))
