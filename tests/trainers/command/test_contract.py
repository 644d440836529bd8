"""Commands pass the suite of every trainer, with state and without."""

from __future__ import annotations

import pytest

from tests.trainers.command.scripts import PLAIN, STATEFUL
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.training import Trainer
from tuner.core.trial import Params
from tuner.testing.trainer import TrainerContract
from tuner.trainers.command import CommandTrainer


class CommandContract(TrainerContract):
    """What both have in common."""

    predicts = False
    script: str
    arguments: str

    @pytest.fixture(autouse=True)
    def _script(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.path = tmp_path_factory.mktemp("scripts") / "train.py"
        self.path.write_text(self.script)

    def trainer(self) -> Trainer:
        return CommandTrainer()

    def job(self) -> Job:
        rate = {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5}
        command = f"python {self.path} {self.arguments}"
        table = {"trainer": {"command": command, "epochs": 3}, "space": {"rate": rate}}
        return Job(StudySpec.parse(table), None)

    def params(self, number: int) -> Params:
        return {"rate": 0.1 / (number + 1)}


class TestCommand(CommandContract):
    script, arguments = PLAIN, "${rate}"


class TestCommandWithState(CommandContract):
    script, arguments = STATEFUL, ""
