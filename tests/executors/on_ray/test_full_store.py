"""A full object store: what is carried through it is larger than it is, and then there is no disk either."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from tests.executors.on_ray.large import STORE_BYTES, LargeTrainer
from tests.executors.on_ray.nodes import add_node
from tests.executors.on_ray.test_pool import pool, ready
from tuner.core.events import Finished, Interrupted, Paused, Reported
from tuner.core.job import Job
from tuner.executors import ray_cluster
from tuner.executors.ray_pool import RayPool
from tuner.testing.executor import artifacts, study

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("has_disk", [True, False])
def test_states_that_no_store_has_room_for_cost_epochs_at_most(
    nodes: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    has_disk: bool,
) -> None:
    if not has_disk:
        monkeypatch.setenv("RAY_local_fs_capacity_threshold", "0.0")
    node = add_node(nodes, num_cpus=4, object_store_memory=STORE_BYTES)
    # No other node has so many.
    trainer = {"use": "tests:none", "epochs": 4, "workers": 1, "resources": {"cpus": 4}}
    job = Job(study(4, trainer=trainer), None)
    with contextlib.closing(
        RayPool(LargeTrainer, job, artifacts(tmp_path / "models"), 1, shared=False)
    ) as made:
        desk = ready(made, tmp_path, 1)
        desk.submit(desk.trial(1))
        desk.until(lambda: desk.of(1))
        made.pause({1: True})
        desk.until_over(1)
        assert isinstance(desk.end(1), Paused)
        desk.until(lambda: made.free() == 1)
        desk.go_on(desk.trial(1), 1)
        desk.until_over(1)
        assert isinstance(desk.end(1), Finished)
        assert desk.diary(1) == ([1, 2, 3, 4] if has_disk else [1, 1, 2, 3, 4])
    assert ("object store of a node is full" in caplog.text) == (not has_disk)
    nodes.remove_node(node)


class NoRoom:
    """An actor's handle while the driver's node has no room for what is sent."""

    @property
    def exchange(self) -> NoRoom:
        return self

    def remote(self, *_: object) -> object:
        raise ray_cluster.imported().exceptions.OutOfDiskError("Local disk is full")


@pytest.mark.usefixtures("nodes")
def test_orders_that_cannot_be_sent_do_not_bring_the_last_answer_again(tmp_path: Path) -> None:
    with contextlib.closing(pool(tmp_path, 1, shared=False, ahead_s=0.0)) as made:
        desk = ready(made, tmp_path, 1)
        desk.submit(desk.trial(1))
        desk.until(lambda: desk.of(1))
        link: Any = made._workers[0].link
        host, link.host = link.host, NoRoom()
        desk.until(lambda: any(isinstance(event, Interrupted) for event in desk.of(1)))
        ray_cluster.imported().kill(host)
        desk.until_over(1)
        assert [e.reading.epoch for e in desk.of(1) if isinstance(e, Reported)] == [1, 2, 3]
        (interrupted,) = (event for event in desk.of(1) if isinstance(event, Interrupted))
        assert "ray start --object-store-memory" in interrupted.reason
