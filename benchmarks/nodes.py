"""A Ray cluster of three nodes in a process of its own, which loses nodes when it is told to."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from tests.executors.on_ray.nodes import add_node, be_patient, running

HOST = "ray::WorkerHost"


@dataclass(frozen=True)
class Nodes:
    """The cluster; `RAY_ADDRESS` is its address. Its first node has no cores, so that no worker is there."""

    connection: Connection
    pid: int

    def hosts(self) -> list[int]:
        """The processes of actors that have a worker."""
        found, parents = [], {self.pid}
        while parents:
            children = {child for parent in parents for child in children_of(parent)}
            found += [child for child in children if _command(child).startswith(HOST)]
            parents = children
        return [host for host in found if children_of(host)]

    def lose(self, host: int) -> bool:
        """Kill the node of an actor, with all that runs there; another one joins. Whether it was found."""
        self.connection.send(host)
        found: bool = self.connection.recv()
        return found


@contextlib.contextmanager
def nodes() -> Iterator[Nodes]:
    """Start it, and end it."""
    be_patient()
    ours, theirs = multiprocessing.Pipe()
    keeper = multiprocessing.get_context("spawn").Process(target=_keep, args=(theirs,))
    keeper.start()
    theirs.close()
    try:
        os.environ["RAY_ADDRESS"] = ours.recv()
        yield Nodes(ours, keeper.pid or 0)
    finally:
        ours.close()
        keeper.join()
        os.environ.pop("RAY_ADDRESS", None)


def _keep(connection: Connection) -> None:
    with running(num_cpus=0) as cluster, contextlib.suppress(EOFError):
        connection.send(cluster.address)
        while True:
            host = connection.recv()
            lost = [
                node
                for node in cluster.worker_nodes
                if host in children_of(node.all_processes["raylet"][0].process.pid)
            ]
            for node in lost:
                cluster.remove_node(node, allow_graceful=False)
                add_node(cluster)
            connection.send(bool(lost))


def children_of(pid: int) -> list[int]:
    """The processes that any of a process's threads has started."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in path.read_text().split()]
    return found


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""
