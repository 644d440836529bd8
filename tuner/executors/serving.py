"""What a worker process runs: it answers each message of orders with the events of one tick.

Started by `processes` over two file descriptors. Its main thread trains; another one waits for the
parent's end, after which nothing is written any more.
"""

from __future__ import annotations

import contextlib
import mmap
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import cloudpickle

from tuner.artifacts import mirror
from tuner.child_process import end_with_parent
from tuner.core.events import Event
from tuner.core.training import Failure
from tuner.errors import PluginError, shortened
from tuner.executors.ahead import AheadWorker
from tuner.executors.checkpoints import Checkpoints
from tuner.trainers import open_batch

_GRACE_S = 0.5


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker process is set up and waits for orders."""

    capacity: int


@dataclass(frozen=True, slots=True)
class Broken:
    """A worker process cannot go on, and another one in its place could not either.

    Attributes:
        error: the exception, pickled; None where it cannot be.
        text: its traceback.
    """

    error: bytes | None
    text: str

    def exception(self) -> Exception:
        """What is raised for it in the parent: the same, with a note of where, or a PluginError."""
        error = None if self.error is None else cloudpickle.loads(self.error)
        if not isinstance(error, Exception):
            last = shortened(self.text.strip().splitlines()[-1])
            return PluginError(f"a worker cannot be started: {last}")
        error.add_note(f"In a worker:\n{self.text}")
        return error


Answer = Ready | Broken | list[list[Event]]
"""What a worker process sends; the events of a tick, and of further ones, answer Orders."""


def serve(connection: int, payload: int, index: int | None, folder: str | None = None) -> None:
    """Be a worker process: answer each message of orders with the events of its ticks; None is the last.

    Args:
        connection: file descriptor of the connection to the parent; its end is ours.
        payload: file descriptor of the pickled (make, job, resources of each worker, artifacts).
        index: which worker this is; None: a `Standby` asks questions first, and says it then.
        folder: where the study's files lie here, if not where the payload says.
    """
    orders = Connection(connection)
    workers: list[AheadWorker] = []

    def retire() -> None:
        # The study may go on elsewhere by then, so nothing is written any more.
        for worker in workers:
            worker.retire()
        time.sleep(_GRACE_S)

    end_with_parent(connection, retire)
    try:
        if index is None:
            index = _answer(orders)
        with mmap.mmap(payload, 0, access=mmap.ACCESS_READ) as memory:
            make, job, resources, artifacts = cloudpickle.loads(memory)
        if folder is not None:
            artifacts = mirror.files_in(artifacts, Path(folder))
        checkpoints = Checkpoints(artifacts)
        job = replace(job, resources=resources[index])
        worker = AheadWorker(open_batch(make(), job, make), job.spec, artifacts, checkpoints)
        workers.append(worker)
        orders.send(Ready(worker.capacity))
        while (told := orders.recv()) is not None:
            ticks = worker.ticks(told)
            # A paused trial may go on in another worker.
            checkpoints.flush()
            orders.send(ticks)
        worker.checkpoint()
    except (EOFError, ConnectionError):
        return
    except BaseException as error:
        with contextlib.suppress(ConnectionError):
            orders.send(Broken(_pickled(error), Failure.of(error).traceback))
        raise


def _answer(orders: Connection) -> int:
    """Load what is sent first, and answer questions about it until it is said which worker this is."""
    loaded = cloudpickle.loads(orders.recv())()
    while not isinstance(asked := orders.recv(), int):
        orders.send(cloudpickle.loads(asked)(loaded))
    return asked


def _pickled(error: BaseException) -> bytes | None:
    try:
        text: bytes = cloudpickle.dumps(error)
        cloudpickle.loads(text)
    except Exception:  # noqa: BLE001
        return None
    return text
