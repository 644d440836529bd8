"""Ray: how a cluster is joined or started, and what there is of it. The only module that imports Ray.

What `Ray` has under `_private` is used for one thing: which actor is on which node, which it tells nowhere
else without its dashboard.
"""

from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from tuner.core.sections import ResourceSpec
from tuner.core.spec import TrainerSpec
from tuner.errors import PluginError, SpecError, shortened

NAMESPACE = "tuner"
"""The workers of all studies are actors of this namespace, named ``study/index/random digits``."""

_LOCAL = "local:"
_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
_STORE_BYTES = 200 * 2**20
"""Of the object store of a Ray that is started here: it holds the data once, and answers for a moment."""
_EXCLUDED = [".git", ".venv", "tuner_models", "*.db", "*.db-*"]


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A machine of a cluster.

    Attributes:
        resources: what it has, by Ray's names.
        workers: names of the studies' workers on it.
    """

    name: str
    alive: bool
    resources: Mapping[str, float]
    workers: Sequence[str]
    death: str = ""


def imported() -> Any:
    """Ray.

    Raises:
        PluginError: it is not installed.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise PluginError(
            f'executor = "ray" needs Ray: pip install "tuner[ray]" ({shortened(str(error))})'
        ) from error
    return ray


def fault(address: str) -> str | None:
    """Why an address of a cluster is none; None where it may be one."""
    count = address.removeprefix(_LOCAL)
    if address.startswith(_LOCAL) and not (count.isdecimal() and int(count)):
        return f"trainer.cluster: {address!r}: give the number of cores, e.g. local:3"
    if address != "auto" and ":" not in address:
        return f"trainer.cluster: {address!r} is no cluster; give auto, host:port, ray://host:port or local:3"
    return None


def join(address: str, *, start: bool = True) -> None:
    """Connect this process to a cluster, unless it is connected already.

    Args:
        address: of `[trainer] cluster`.
        start: whether one may be started on this machine.

    Raises:
        SpecError: the address is none.
        PluginError: Ray is not installed, or there is no such cluster.
    """
    if words := fault(address):
        raise SpecError(words)
    ray = imported()
    if ray.is_initialized():
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "namespace": NAMESPACE}
    fresh = {**quiet, "include_dashboard": False, "object_store_memory": _STORE_BYTES}
    try:
        with redirect_stderr(StringIO()):
            if address.startswith(_LOCAL):
                ray.init(address="local", num_cpus=int(address.removeprefix(_LOCAL)), **fresh)
                return
            with suppress(ConnectionError):
                ray.init(address=address, **quiet)
                return
            if address != "auto" or not start or os.environ.get("RAY_ADDRESS"):
                raise ConnectionError("no answer, or it wants a token (export RAY_AUTH_MODE=token)")
            ray.init(address="local", **fresh)
    except Exception as error:
        where = os.environ.get("RAY_ADDRESS", "this machine") if address == "auto" else address
        raise PluginError(
            f"no Ray cluster at {where}: {shortened(str(error))}; start one with `ray start --head`, or let "
            "a study do it on this machine: tune start STUDY --cluster local:3"
        ) from error


def leave() -> None:
    """End the connection, and a cluster that was started with it."""
    ray = imported()
    if ray.is_initialized():
        ray.shutdown()


def nodes() -> list[ClusterNode]:
    """What the cluster that this process is connected to has, and which workers are where."""
    placed: dict[str, list[str]] = {}
    for state, node, name in _workers():
        if state == "ALIVE":
            placed.setdefault(node, []).append(name)
    return [
        ClusterNode(
            node["NodeManagerHostname"],
            node["Alive"],
            node["Resources"],
            sorted(placed.get(node["NodeID"], ())),
            node.get("DeathReasonMessage", ""),
        )
        for node in imported().nodes()
    ]


def _workers() -> list[tuple[str, str, str]]:
    """State, node and name of each worker there ever was, from Ray's own table of actors.

    A client (``ray://``) has no such table, and asks on the cluster.
    """
    ray = imported()

    def table() -> list[tuple[str, str, str]]:
        import ray

        actors = ray._private.state.state.actor_table(None).values()
        ours = [each for each in actors if each["ActorClassName"] == "WorkerHost"]
        return [(str(each["State"]), str(each["Address"]["NodeID"]), str(each["Name"])) for each in ours]

    if not ray.util.client.ray.is_connected():
        return table()
    found: list[tuple[str, str, str]] = ray.get(ray.remote(num_cpus=0)(table).remote())
    return found


def waiting() -> list[str]:
    """Names of the studies' workers that no node has room for."""
    starting = ("PENDING_CREATION", "DEPENDENCIES_UNREADY")
    return sorted(name for state, _, name in _workers() if state in starting)


def is_full(error: Exception) -> bool:
    """Whether Ray had no room for an object, neither in memory nor on the disk."""
    exceptions = imported().exceptions
    return isinstance(error, exceptions.OutOfDiskError | exceptions.ObjectStoreFullError)


def options(resources: ResourceSpec, threads: int) -> dict[str, Any]:
    """What Ray is asked for one worker, all of whose processes have so many threads together."""
    asked: dict[str, Any] = {"num_cpus": resources.cpus or threads, "num_gpus": resources.gpus}
    if resources.memory_bytes:
        asked["memory"] = resources.memory_bytes
    return asked


def slots(asked: Mapping[str, Any]) -> int:
    """How many workers with these `options` all nodes have room for."""
    return sum(_slots_of(node["Resources"], asked) for node in imported().nodes() if node["Alive"])


def _slots_of(has: Mapping[str, float], asked: Mapping[str, Any]) -> int:
    names = {"num_cpus": "CPU", "memory": "memory"}
    rooms = [has.get(name, 0) / asked[key] for key, name in names.items() if asked.get(key)]
    if gpus := asked.get("num_gpus"):
        # No worker has parts of two GPUs.
        rooms.append(int(has.get("GPU", 0) / max(1, gpus)) * ResourceSpec(gpus=gpus).workers_of_gpu)
    return int(min(rooms, default=math.inf))


def room(trainer: TrainerSpec) -> int:
    """How many workers of a study its cluster has room for, at least 1; joins it.

    Raises:
        SpecError, PluginError: see `join`.
    """
    join(trainer.cluster)
    threads = trainer.threads if trainer.threads != "auto" else 1
    ranks = trainer.world_size if trainer.world_size != "auto" else 1
    return max(1, slots(options(trainer.resources, threads * ranks)))


def runtime() -> dict[str, Any]:
    """Ray's `runtime_env`: the working folder, where one of the nodes is another machine."""
    here = socket.gethostname()
    if all(node["NodeManagerHostname"] == here for node in imported().nodes() if node["Alive"]):
        return {}
    return {"working_dir": str(Path.cwd()), "excludes": _EXCLUDED}
