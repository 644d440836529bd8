"""A Ray cluster of three nodes on this machine, started once for all tests of a process."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NODES = 3
TRIES = 3


def be_patient() -> None:
    """Let Ray wait for longer in this process and those that it starts; a busy machine needs it."""
    seconds = {
        "raylet_start_wait_time_s": 120,
        "gcs_rpc_server_connect_timeout_s": 60,
        "py_gcs_connect_timeout_s": 120,
        "gcs_server_request_timeout_seconds": 180,
    }
    for name, value in seconds.items():
        os.environ.setdefault(f"RAY_{name}", str(value))


def ports(count: int) -> list[int]:
    """Free ports of this machine."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def add_node(cluster: Any, **resources: Any) -> Any:
    """A further node; its ports are given, since a busy machine takes too long to tell them."""
    names = (
        "metrics_agent_port",
        "metrics_export_port",
        "dashboard_agent_listen_port",
        "runtime_env_agent_port",
    )
    return cluster.add_node(
        **{"num_cpus": 2, "object_store_memory": 80 * 2**20, "include_dashboard": False, **resources},
        **dict(zip(names, ports(len(names)), strict=True)),
    )


@contextlib.contextmanager
def running(**head: Any) -> Iterator[Any]:
    """The cluster; `RAY_ADDRESS` is its address meanwhile.

    Args:
        head: what its first node has, if not what the others have.

    Raises:
        RuntimeError: it does not start; with the end of what its first node has said.
    """
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_memory_monitor_refresh_ms="0")
    be_patient()
    from ray.cluster_utils import Cluster

    cluster: Any = None
    said = ""
    for _ in range(TRIES):
        cluster = Cluster()
        try:
            for number in range(NODES):
                add_node(cluster, **({} if number else head))
            cluster.wait_for_nodes(timeout=60)
            break
        except Exception as error:  # noqa: BLE001
            said = f"{error}\n{_end_of_log()}"
            cluster.shutdown()
            cluster = None
    if cluster is None:
        raise RuntimeError(f"no Ray cluster could be started here: {said}")
    os.environ["RAY_ADDRESS"] = cluster.address
    try:
        yield cluster
    finally:
        del os.environ["RAY_ADDRESS"]
        import ray

        ray.shutdown()
        cluster.shutdown()


def _end_of_log() -> str:
    logs = sorted(Path("/tmp/ray").glob("session_*/logs/raylet.err"), key=lambda path: path.stat().st_mtime)
    return logs[-1].read_text(errors="replace")[-2000:] if logs else ""
