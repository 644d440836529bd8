"""Inline: the contract, and what only it does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contracts.executor import Abacus, ExecutorContract, study
from tuner.core.ports import Executor, Job, Trainer
from tuner.errors import PluginError
from tuner.executors import Inline


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
