"""The cluster of these tests."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.executors.on_ray.nodes import running


@pytest.fixture(scope="package")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Three nodes of two cores; the processes of one run of the tests have them one after the other."""
    if not os.environ.get("CI"):
        pytest.importorskip("ray")
    is_apart = "PYTEST_XDIST_WORKER" in os.environ
    folder = tmp_path_factory.getbasetemp()
    with ((folder.parent if is_apart else folder) / "ray.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with running() as made:
            yield made
