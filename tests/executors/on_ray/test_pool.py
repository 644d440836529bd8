"""Ray: actors, nodes and drivers are killed on a cluster of three nodes; none of it costs a trial."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.executors.on_ray.nodes import NODES, add_node
from tuner.api.cluster import cluster as told_of
from tuner.artifacts import Artifacts
from tuner.core.events import Finished, Interrupted, Reported
from tuner.core.job import Job
from tuner.core.ports import Executor
from tuner.core.training import Trainer
from tuner.errors import SpecError
from tuner.executors import ray_cluster
from tuner.executors.ray_pool import RayPool
from tuner.testing.executor import ExecutorContract, ExecutorHarness, FakeTrainer, artifacts, study

# What Ray leaves open in this process is its own affair.
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def pool(folder: Path, workers: int, *, epochs: int = 3, rows: int = 1, **options: Any) -> RayPool:
    spec = study(epochs, trainer={"use": "tests:none", "epochs": epochs, "workers": workers})
    return RayPool(FakeTrainer, Job(spec, None, rows=rows), artifacts(folder / "models"), workers, **options)


@pytest.mark.usefixtures("nodes")
class TestRay(ExecutorContract):
    rows = 2

    def executor(self, make: Callable[[], Trainer], job: Job, artifacts: Artifacts) -> Executor:
        # One worker, whose files all go by the driver.
        return RayPool(make, job, artifacts, 1, ordered=True, shared=False)


def ready(made: RayPool, folder: Path, rooms: int) -> ExecutorHarness:
    desk = ExecutorHarness(made, folder)
    desk.until(lambda: made.free() == rooms)
    return desk


def test_nodes_come_and_go_and_workers_die_and_no_trial_is_lost(nodes: Any, tmp_path: Path) -> None:
    spec = study(
        9, budget={"trials": 8}, trainer={"use": "tests:none", "epochs": 9, "resources": {"cpus": 2}}
    )
    with contextlib.closing(
        RayPool(FakeTrainer, Job(spec, None), artifacts(tmp_path / "models"), NODES, shared=False)
    ) as made:
        desk = ready(made, tmp_path, NODES)
        node = add_node(nodes)
        desk.until(lambda: made.free() == NODES + 1)
        told = told_of("auto")
        assert told[0] == "4 nodes, 8 cores, 0 GPUs"
        assert sum("1 worker of 'study'" in line for line in told) == NODES + 1

        desk.submit(desk.trial(0, does="die", at=4, once=True), *(desk.trial(n) for n in range(1, 5)))
        ray_cluster.imported().kill(made._workers[1].link.host, no_restart=True)  # type: ignore[attr-defined]
        nodes.remove_node(node, allow_graceful=False)
        desk.until_over(*range(5))
        for number in range(5):
            assert isinstance(desk.end(number), Finished)
            told_epochs = [event.reading.epoch for event in desk.of(number) if isinstance(event, Reported)]
            assert told_epochs == list(range(1, 10))
            text = (tmp_path / "models" / str(number) / "model.txt").read_text()
            assert text == f"trial {number}, 9 epochs\n"
        assert any(isinstance(event, Interrupted) for event in desk.of(0))
        assert not list((tmp_path / "models" / "checkpoints").glob("*"))
        desk.until(lambda: any(line.startswith("wrong: node ") for line in told_of("auto")))
        desk.until(lambda: made.free() == NODES)


@pytest.mark.usefixtures("nodes")
def test_workers_end_with_a_driver_that_is_killed(tmp_path: Path) -> None:
    script = """
        import os, sys
        from pathlib import Path
        from tests.executors.on_ray.test_pool import pool, ready
        folder = Path(sys.argv[1])
        made = pool(folder, 1)
        desk = ready(made, folder, 1)
        desk.submit(desk.trial(1, does="sleep", at=1))
        desk.until(lambda: desk.diary(1))
        print("trains", flush=True)
        made.poll(600)
    """
    code = "\n".join(line.strip() for line in script.splitlines())
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as driver:
        assert driver.stdout is not None
        # Where the machine is busy, Ray has words for it there.
        assert "trains\n" in iter(driver.stdout.readline, "")
        ray_cluster.join("auto", start=False)
        driver.send_signal(signal.SIGKILL)
    with contextlib.closing(pool(tmp_path / "next", 1)) as made:
        desk = ready(made, tmp_path, 1)
        desk.until(
            lambda: (
                [name for node in ray_cluster.nodes() for name in node.workers]
                == [
                    made._workers[0].link.name  # type: ignore[attr-defined]
                ]
            )
        )


@pytest.mark.parametrize("address", ["local:x", "local:0", "somewhere"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SpecError, match=r"trainer\.cluster"):
        ray_cluster.join(address)
