"""Inline: the contract, and what only it does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contracts.executor import Abacus, ExecutorContract, study
from tuner.core.events import Finished
from tuner.core.ports import Executor, Job, Placement, Trainer
from tuner.core.trial import Trial
from tuner.errors import PluginError
from tuner.executors import Inline
from tuner.executors.worker import WRITING


class TestInline(ExecutorContract):
    def executor(self, make: Callable[[], Trainer], job: Job, models: Path) -> Executor:
        return Inline(make, job, models)


def test_a_trainer_that_cannot_be_made_says_so_at_once(tmp_path: Path) -> None:
    def make() -> Trainer:
        raise PluginError("no such trainer")

    with pytest.raises(PluginError, match="no such trainer"):
        Inline(make, Job(study(), None), tmp_path)


def test_as_many_trials_fit_in_as_the_population_has_rows(tmp_path: Path) -> None:
    assert Inline(Abacus, Job(study(), None, rows=7), tmp_path).free() == 7


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the names of open files are not told here")
def test_a_durable_study_has_its_models_on_the_disk_before_and_after_they_get_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def sync(handle: int) -> None:
        done.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    def renamed(path: Path, target: Path) -> Path:
        done.append(f"{path.name} -> {target.name}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "rename", renamed)
    spec = study(durability="full", trainer={"epochs": 1, "checkpoint_seconds": 0})
    executor = Inline(Abacus, Job(spec, None), tmp_path / "models")
    executor.submit([Placement(Trial(3, {"diary": str(tmp_path / "diary")}, 0))], None)
    while not any(isinstance(event, Finished) for event in executor.poll(1)):
        pass
    executor.close()
    at = done.index(f"{WRITING}3 -> 3")
    assert done[0] == tmp_path.name, "the folder of models is new"
    assert f"{WRITING}3" in done[:at]
    assert done[at + 1] == "models"
