"""RayPool: trials train in workers on the machines of a Ray cluster.

A worker that is lost with its actor or its node is replaced by another one, as a process is; Ray's own
retries are off, since they would run an epoch twice. The pool grows when nodes join, and where a node
leaves its workers share what there is.
"""

from __future__ import annotations

import logging
import pickle
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from tuner.artifacts import Artifacts, mirror
from tuner.core.events import Event
from tuner.core.job import Job, Resources
from tuner.core.ports import Placement
from tuner.core.training import Trainer
from tuner.core.trial import Stop
from tuner.errors import PluginError, described, shortened
from tuner.executors import ray_cluster
from tuner.executors.limits import Limits, Watched
from tuner.executors.links import Link
from tuner.executors.orders import Orders
from tuner.executors.pool import PooledWorker, WorkerPool
from tuner.executors.processes import pickled
from tuner.executors.ray_host import HostAnswer, WorkerHost
from tuner.executors.serving import Answer

AHEAD_S = 0.2
"""For how long workers train on before they answer: many times what an answer takes."""

_SCALE_S = 2.0
_CROWDED_S = 5.0
"""A worker that no node has room for after so long shares one with others."""
_LOOK_S = 0.5
_SIGN_S = 5.0
_SILENCE_S = 60.0
"""A host that gives no sign of life for so long is taken for lost."""

_LOG = logging.getLogger(__name__)


class _RayLink:
    """A worker's actor."""

    def __init__(self, host: Any, name: str, files: Artifacts, *, asked_cpus: bool) -> None:
        self.host, self.name, self._files = host, name, files
        self.ref: Any = host.begin.remote()
        self.asked_cpus, self.since, self.is_ready, self.lost = asked_cpus, time.monotonic(), False, ""
        self._is_shared = True
        self._ending, self._tail = "", ""
        self._sign: Any = None
        self._heard = self.since
        self._found: Stop | None = None

    def send(self, orders: Orders | None) -> None:
        steps = () if orders is None else orders.steps
        numbers = [step.trial.number for step in steps if isinstance(step, Placement)]
        carried = [] if self._is_shared else mirror.carried(self._files, numbers)
        try:
            self.ref = (
                self.host.finish.remote()
                if orders is None
                else self.host.exchange.remote(pickle.dumps(orders), carried)
            )
        except Exception as error:  # noqa: BLE001 - else the last answer would be taken for the next one
            self.lost = _ending_of(error)

    def recv(self) -> Answer:
        answer = self._get()
        if answer.answer is None:
            self._ending = answer.ending
            raise EOFError(answer.ending)
        if isinstance(answer.answer, list):
            return [[self._here(event) for event in tick] for tick in answer.answer]
        self.is_ready = True
        return answer.answer

    def _get(self) -> HostAnswer:
        try:
            if self.lost:
                raise EOFError(self.lost)
            answer: HostAnswer = ray_cluster.imported().get(self.ref)
        except Exception as error:
            self._ending = self.lost or _ending_of(error)
            raise EOFError(self._ending) from error
        self._is_shared, self._tail, self._heard = answer.is_shared, answer.tail, time.monotonic()
        try:
            mirror.receive(self._files, answer.files)
        except OSError as error:
            _LOG.warning("what a worker has sent was not written: %s", error)
        return answer

    def _here(self, event: Event) -> Event:
        """The event with the model's folder as it is called here."""
        if getattr(event, "model_path", None) is None or self._is_shared:
            return event
        return cast("Event", replace(cast("Any", event), model_path=str(self._files.path(event.number))))

    def broken(self, limits: Limits, trials: int, log: Path, watched: Watched) -> Stop | None:
        if time.monotonic() - watched.heard > _LOOK_S:
            watched.heard = time.monotonic()
            self.look(limits, trials, int(log.stem))
        return self._found

    def look(self, limits: Limits | None, trials: int = 0, number: int = 0) -> None:
        """Ask for a sign of life, unless one is awaited, and take what came since."""
        ray, now = ray_cluster.imported(), time.monotonic()
        if self._sign is not None and ray.wait([self._sign], timeout=0)[0]:
            try:
                self._found = ray.get(self._sign)
            except Exception as error:  # noqa: BLE001
                self.lost = _ending_of(error)
            self._sign, self._heard = None, now
        if self._sign is None and self.is_ready and (limits is not None or now - self._heard > _SIGN_S):
            with suppress(Exception):
                self._sign = self.host.watch.remote(limits, trials, number)
        if self.is_ready and now - self._heard > _SILENCE_S:
            self.lost = f"gave no sign of life for {_SILENCE_S:g} seconds"

    def kill(self) -> None:
        with suppress(Exception):
            self.host.end.remote()

    def ending(self) -> str:
        return self._ending or self.lost

    def tail(self) -> str:
        return self._tail

    def close(self, timeout_s: float) -> None:
        ray = ray_cluster.imported()
        with suppress(Exception):
            if timeout_s > 0 and ray.wait([self.ref], timeout=timeout_s)[0]:
                self._get()
        with suppress(Exception):
            ray.kill(self.host, no_restart=True)


def _ending_of(error: Exception) -> str:
    """How a worker has ended whose actor, or the way to it, is at fault."""
    if ray_cluster.is_full(error):
        words = (
            "could not send what it had, or be sent it: the object store of a node is full, and so is its "
            "disk; free some space there, or give the cluster more: ray start --object-store-memory=BYTES"
        )
        _LOG.warning("a worker %s", words)
        return words
    if (cause := getattr(error, "cause", None)) is not None:
        return f"was lost with its actor: {described(cause)}"
    return f"was lost with its actor: {shortened((str(error).splitlines() or [''])[0])}"


class RayPool(WorkerPool):
    """Workers on a Ray cluster, replaced when they or their nodes are gone."""

    def __init__(
        self,
        make: Callable[[], Trainer],
        job: Job,
        artifacts: Artifacts,
        workers: int,
        restarts: int = 2,
        *,
        ordered: bool = False,
        shared: bool = True,
        ahead_s: float = AHEAD_S,
    ) -> None:
        """Join the study's cluster and start the workers; what is not said here is as of `Processes`.

        The job's resources are those of each worker. There are `workers` of them, and later as many as there
        is room for, where `[trainer] workers` is "auto" and they are not ordered. Those that see the study's
        folder use it, unless it is not `shared`: then all files go by the driver.

        Raises:
            PluginError: there is no such cluster, or the trainer cannot be pickled.
        """
        trainer = job.spec.trainer
        ray_cluster.join(trainer.cluster)
        gpus, device = trainer.resources.gpus, job.resources.device.partition(":")[0]
        asked = trainer.resources
        if device != "cpu" and not gpus:
            gpus = len(job.resources.devices)
            asked = asked.model_copy(update={"gpus": float(gpus)})
        # A worker sees its own GPUs only, counted from 0.
        devices = tuple(f"cuda:{i}" for i in range(max(1, int(gpus)))) if gpus else ("cpu",)
        each = Resources(devices, job.resources.threads, job.resources.world_size)
        self._asked = ray_cluster.options(asked, each.threads * each.world_size)
        self._is_elastic = trainer.workers == "auto" and not ordered
        self._most = job.spec.budget.trials or workers
        self._least = workers
        self._scaled = time.monotonic()
        self._threads = each.threads
        self._share(pickled(make, replace(job, resources=each), [each], artifacts), artifacts, shared=shared)
        super().__init__(workers, job, artifacts, restarts, ordered=ordered, ahead_s=ahead_s)

    def _share(self, payload: bytes, files: Artifacts, *, shared: bool) -> None:
        """Give the cluster what all workers are started with."""
        ray = ray_cluster.imported()
        self._open = ExitStack()
        self._token = self._open.enter_context(mirror.token(files)) if shared else None
        try:
            self._payload = ray.put(payload)
            self._runtime = ray_cluster.runtime()
            self._host = ray.remote(max_restarts=0, max_task_retries=0, max_concurrency=2)(WorkerHost)
        except Exception as error:
            self._open.close()
            raise PluginError(
                f"the cluster does not take the study's data, {len(payload):,} bytes: "
                f"{shortened(str(error))}; give it more: ray start --object-store-memory=BYTES"
            ) from error

    def _launch(self, index: int, *, shares: bool = False) -> _RayLink:
        """Start an actor; one that `shares` takes no cores of its own."""
        asked = {**self._asked, **({"num_cpus": 0} if shares else {})}
        files = self._artifacts
        name = f"{files.study}/{index}/{uuid4().hex[:6]}"
        options = {**asked, "name": name, "scheduling_strategy": "SPREAD"}
        if self._runtime:
            options["runtime_env"] = self._runtime
        path = [each for each in sys.path if each]
        host = self._host.options(**options).remote(
            self._payload, files, self._token, self._threads, str(Path.cwd()), path
        )
        return _RayLink(host, name, files, asked_cpus=not shares)

    def _answered(self, links: Sequence[Link], timeout_s: float) -> Sequence[Link]:
        mine = {each.ref: each for each in cast("Sequence[_RayLink]", links)}
        for link in mine.values():
            link.look(None)
        if lost := [link for link in mine.values() if link.lost]:
            return lost
        if not mine:
            time.sleep(timeout_s)
            return []
        ray, refs = ray_cluster.imported(), list(mine)
        if ray.wait(refs, num_returns=1, timeout=timeout_s)[0]:
            return [mine[ref] for ref in ray.wait(refs, num_returns=len(refs), timeout=0)[0]]
        return []

    def _release(self) -> None:
        self._open.close()

    def poll(self, timeout_s: float) -> Sequence[Event]:
        """As a pool does, and see what nodes have come and gone."""
        if time.monotonic() - self._scaled > _SCALE_S:
            self._scaled = time.monotonic()
            self._scale()
        return super().poll(timeout_s)

    def _scale(self) -> None:
        """Use what has joined; let workers that wait for room share what there is, or leave."""
        for worker in [each for each in self._workers if each.idle]:
            idle = cast("_RayLink", worker.link)
            idle.look(None)
            if idle.lost:
                self._replace(worker)
        room = ray_cluster.slots(self._asked)
        if self._is_elastic and room > len(self._workers):
            taken = {worker.index for worker in self._workers}
            free = (index for index in range(2 * room) if index not in taken)
            for _ in range(min(room, max(self._most, self._least)) - len(self._workers)):
                index = next(free)
                self._workers.append(PooledWorker(index, self._launch(index)))
        for worker in [each for each in self._workers if not each.capacity]:
            link = cast("_RayLink", worker.link)
            if time.monotonic() - link.since <= _CROWDED_S or room >= len(self._workers):
                continue
            if link.name not in ray_cluster.waiting():  # it has its room, and is only slow to start
                continue
            if self._is_elastic and len(self._workers) > 1:
                self._queue.extendleft(reversed(worker.retries))
                self._workers.remove(worker)
                link.close(0.0)
            elif link.asked_cpus and not self._asked["num_gpus"]:
                _LOG.info("worker %d shares a node, since none has room for it", worker.index)
                link.close(0.0)
                worker.link = self._launch(worker.index, shares=True)
