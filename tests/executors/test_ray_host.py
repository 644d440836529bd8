"""WorkerHost, without Ray: what a worker that does not see the study's folder leaves on its machine."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tuner.core.job import Job, Resources
from tuner.executors.processes import pickled
from tuner.executors.ray_host import WorkerHost
from tuner.executors.serving import Ready
from tuner.testing.executor import FakeTrainer, artifacts, study

PATIENCE_S = 120.0


@pytest.mark.parametrize("how", ["is told to end", "is killed"])
def test_the_folder_of_a_worker_goes_with_it(tmp_path: Path, how: str) -> None:
    files = artifacts(tmp_path / "models")
    payload = pickled(FakeTrainer, Job(study(), None), [Resources()], files)
    host = WorkerHost(payload, files, None, 1, str(Path.cwd()), sys.path)
    assert host.begin().answer == Ready(1)
    folder, worker = host._files.folder, host._worker
    assert list(folder.iterdir())
    if how == "is told to end":
        host.finish()
    else:
        os.kill(worker.process.pid, signal.SIGKILL)
        assert host._answer().answer is None
    assert not folder.exists()
    worker.close(PATIENCE_S)
