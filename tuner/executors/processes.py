"""Processes: trials train in N worker processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from typing import cast

import cloudpickle

from tuner.artifacts import Artifacts
from tuner.child_process import environment
from tuner.core.job import Job, Resources
from tuner.core.training import Trainer
from tuner.errors import PluginError, described
from tuner.executors.links import Link
from tuner.executors.pool import WorkerPool
from tuner.executors.standby import Standby
from tuner.executors.worker_process import WorkerProcess


class Processes(WorkerPool):
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
        ahead_s: float = 0.0,
        standby: Standby | None = None,
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
            ahead_s: for how long a worker may train on before it answers; see `AheadWorker`.
            standby: workers that are started already.

        Raises:
            PluginError: the trainer cannot be pickled.
        """
        payload = pickled(make, job, resources, artifacts)
        self._standby = standby or Standby()
        self._standby.payload.write(payload)
        self._standby.payload.flush()
        self._resources = resources
        super().__init__(len(resources), job, artifacts, restarts, ordered=ordered, ahead_s=ahead_s)

    def _launch(self, index: int) -> WorkerProcess:
        threads = self._resources[index].threads
        waiting = self._standby.take(index, threads)
        return waiting or WorkerProcess.start(index, self._standby.payload, environment(threads))

    def _answered(self, links: Sequence[Link], timeout_s: float) -> Sequence[Link]:
        workers = {each.connection: each for each in cast("Sequence[WorkerProcess]", links)}
        return [workers[connection] for connection in wait(list(workers), timeout_s)]  # type: ignore[index]

    def _release(self) -> None:
        self._standby.payload.close()


def pickled(
    make: Callable[[], Trainer], job: Job, resources: Sequence[Resources], artifacts: Artifacts
) -> bytes:
    """The payload of `serving.serve`.

    Raises:
        PluginError: the trainer cannot be pickled.
    """
    try:
        text: bytes = cloudpickle.dumps((make, job, tuple(resources), artifacts))
    except Exception as error:
        raise PluginError(
            f"the trainer cannot be sent to worker processes: {described(error)}; "
            'let it open what it needs by itself, or set executor = "inline"'
        ) from error
    return text
