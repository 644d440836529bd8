"""What a Ray cluster has and runs, in words."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.core import words
from tuner.executors import ray_cluster

_GIB = 2**30


def cluster(address: str = "auto") -> list[str]:
    """Sentences on a cluster: its nodes, the workers of studies on each, and what is wrong.

    Args:
        address: as in `start`; no cluster is started.

    Raises:
        SpecError: the address is none.
        PluginError: Ray is not installed, or no cluster answers there.
    """
    ray_cluster.join(address, start=False)
    found = ray_cluster.nodes()
    alive = [node for node in found if node.alive]
    has = [f"{_has(node)}; {_runs(node.workers)}" for node in alive]
    wrong = [
        f"wrong: node {node.name} is gone{f' ({node.death})' if node.death else ''}; its trials go on"
        for node in found
        if not node.alive
    ]
    if waiting := ray_cluster.waiting():
        wrong.append(
            f"wrong: {len(waiting)} of the workers ({_studies(waiting)}) wait for room: no node has as much "
            "free as [trainer] resources asks for; lower it, or add nodes"
        )
    if not alive:
        wrong.append("wrong: no node is there")
    total = sum(node.resources.get("CPU", 0) for node in alive)
    gpus = sum(node.resources.get("GPU", 0) for node in alive)
    head = f"{words.count(len(alive), 'node')}, {total:g} cores, {gpus:g} GPUs"
    return [head, *has, *(wrong or ["nothing is wrong"])]


def _has(node: ray_cluster.ClusterNode) -> str:
    told = [f"{node.resources.get('CPU', 0):g} cores"]
    if gpus := node.resources.get("GPU", 0):
        told.append(f"{gpus:g} GPU{'s' if gpus != 1 else ''}")
    told.append(f"{node.resources.get('memory', 0) / _GIB:.1f} GiB")
    return f"node {node.name}: {', '.join(told)}"


def _runs(workers: Sequence[str]) -> str:
    if not workers:
        return "no study has workers there"
    return f"{words.count(len(workers), 'worker')} of {_studies(workers)}"


def _studies(workers: Sequence[str]) -> str:
    names = sorted({name.rsplit("/", 2)[0] for name in workers})
    return ", ".join(f"'{name}'" for name in names)
