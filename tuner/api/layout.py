"""Which devices a study uses, how many workers it has on them, and what is kept of that where it goes on.

Called by `Session.of`, once for each run. Rows are measured on one device, of which each worker has its own.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tuner import executors
from tuner.api.cores import cores, memory
from tuner.api.planning import PreparedStudy
from tuner.api.probe import WorkerLayout, fastest
from tuner.api.world import world_size
from tuner.core.job import Resources
from tuner.core.sections import ResourceSpec
from tuner.core.spec import TrainerSpec
from tuner.trainers.device import devices_at_hand, every_gpu


def assign_devices(devices: Sequence[str], each: int, workers: int, threads: int) -> list[Resources]:
    """What each worker may use: `each` devices in a row; they are shared where there are more workers."""
    parts = [tuple(devices[i : i + each]) for i in range(0, len(devices), each)]
    return [Resources(parts[worker % len(parts)], threads) for worker in range(workers)]


def layout_of(
    planned: PreparedStudy,
    devices: Sequence[str],
    unfused: str | None,
    in_process: bool,
    stored: Mapping[str, Any],
) -> tuple[WorkerLayout, str | None]:
    """How trials train, and what was measured of it."""
    trainer = planned.spec.trainer
    given = trainer.resources
    asked = {name: getattr(trainer, name) for name in ("rows", "workers", "threads")}
    if trainer.world_size != 1:
        asked["world_size"] = trainer.world_size
    kept = {name: stored.get(name) for name in asked}
    as_asked = all(value in ("auto", kept[name]) for name, value in asked.items())
    if (
        as_asked
        and None not in kept.values()
        and (unfused is None or kept["rows"] == 1)
        and _is_same_place(trainer, devices, stored)
    ):
        most = stored.get("most_work")
        layout = WorkerLayout(**{name: int(value or 1) for name, value in kept.items()})
        return replace(layout, most_work=math.inf if most is None else most), stored.get("measured")
    told: str | None = None
    size = trainer.world_size
    if size == "auto":
        size, told = world_size(planned, devices, cores())
    device, named = devices[0], trainer.executor
    parts = len(devices) // devices_each(trainer, devices, size)
    found = executors.kind(named) if named != executors.AUTO else None
    is_local = found is not None and found.is_local
    room = getattr(found, "workers", None)
    if room is not None and trainer.workers == "auto":
        held = room(trainer.model_copy(update={"world_size": size}))
        planned = _with(planned, workers=min(held, planned.spec.budget.trials or held))
        trainer = planned.spec.trainer
    if trainer.workers != "auto":
        workers = trainer.workers
    elif given != ResourceSpec() and not is_local:
        workers = _workers_of(given, parts if device != "cpu" else 0)
    elif parts > 1 and not is_local and not (in_process and trainer.device == "auto"):
        workers = parts
    else:
        workers = 1 if in_process or device != "cpu" or not unfused or is_local else max(1, cores() // size)
    if trainer.workers == "auto":
        workers = min(workers, planned.spec.budget.trials or workers)
    cpus = max(1, given.cpus // size) if given.cpus else None
    decided = cpus or (1 if unfused or room is not None else max(1, cores() // workers))
    threads = trainer.threads if trainer.threads != "auto" else decided
    if unfused:
        return WorkerLayout(1, workers, threads, world_size=size), told
    if trainer.rows != "auto":
        return WorkerLayout(trainer.rows, workers, threads), None
    if given.cpus is not None or room is not None:
        planned = _with(planned, workers=workers, threads=threads)
    elif workers > 1:
        planned = _with(planned, workers=workers)
    job = planned.job(1, Resources((device,), threads))
    return fastest(planned.make(), job, cores(), processes=not in_process)


def devices_for(trainer: TrainerSpec) -> tuple[str, ...]:
    """The devices that a study may use; one of each worker's where an executor finds room for workers."""
    if trainer.device == "cuda" and trainer.world_size == "auto":
        return every_gpu() or trainer.devices
    if trainer.device != "auto":
        return trainer.devices
    if trainer.executor != executors.AUTO and hasattr(executors.kind(trainer.executor), "workers"):
        return ("cuda",) if trainer.resources.gpus else (devices_at_hand()[0].partition(":")[0],)
    return devices_at_hand()


def devices_each(trainer: TrainerSpec, devices: Sequence[str], size: int) -> int:
    """How many devices a worker gets whose trials train on so many processes."""
    is_open = trainer.device == "auto" or trainer.world_size == "auto"
    each = size if is_open else trainer.devices_of_worker
    return min(max(each, int(trainer.resources.gpus)), len(devices))


def used_devices(trainer: TrainerSpec, devices: Sequence[str], workers: int, size: int) -> tuple[str, ...]:
    """The devices that so many workers use, which share them where there are fewer."""
    each = devices_each(trainer, devices, size)
    return tuple(devices[: each * min(workers, len(devices) // each)])


def _is_same_place(trainer: TrainerSpec, devices: Sequence[str], stored: Mapping[str, Any]) -> bool:
    """Whether what a study was started on is at hand, and no more."""
    used = used_devices(trainer, devices, int(stored["workers"]), int(stored.get("world_size", 1)))
    known = stored.get("devices_at_hand", len(used))
    found = stored.get("device"), stored.get("machine"), known
    return found == (", ".join(used), machine(), len(devices))


def _with(planned: PreparedStudy, **fixed: int) -> PreparedStudy:
    trainer = planned.spec.trainer.model_copy(update=fixed)
    return replace(planned, spec=planned.spec.model_copy(update={"trainer": trainer}))


def _workers_of(given: ResourceSpec, gpus: int) -> int:
    """How many workers with these resources this machine has room for, at least 1.

    Args:
        given: the resources; one GPU each where they name none.
        gpus: how many there are, or as many as workers that have several; 0: none is used.
    """
    limits = [cores() // given.cpus] if given.cpus else []
    limits += [gpus * given.workers_of_gpu] if gpus else []
    limits += [memory() // given.memory_bytes] if given.memory_bytes else []
    return max(1, min(limits, default=cores()))


def machine() -> str:
    """What a study's facts say of the machine."""
    return f"{platform.system()} {platform.machine()}, {cores()} cores"
