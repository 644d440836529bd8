from __future__ import annotations

import shlex
import sys
from typing import Any

import pytest

from tuner.core.spec import StudySpec
from tuner.trainers.command import CommandTrainer
from tuner.trainers.command.line import arguments

PARAMS = {"rate": 0.001, "kind": "it's new", "deep": True, "units": 8}
TRIAL = {"trial": 7, "seed": 3, "epochs": 9, "folder": "/tmp/a b"}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("./run --lr ${rate} --kind=${kind}", ["./run", "--lr", "0.001", "--kind=it's new"]),
        ("./run ${args}", ["./run", "--rate=0.001", "--kind=it's new", "--deep=true", "--units=8"]),
        ("./run ${args_no_hyphens}", ["./run", "rate=0.001", "kind=it's new", "deep=true", "units=8"]),
        (
            "./run '${args_json}'",
            ["./run", '{"rate": 0.001, "kind": "it\'s new", "deep": true, "units": 8}'],
        ),
        ("${env} python3 'a b.py'", ["/usr/bin/env", "python3", "a b.py"]),
        ("./run ${trial} ${seed} ${epochs} ${folder}/x", ["./run", "7", "3", "9", "/tmp/a b/x"]),
        ("python train.py", [sys.executable, "train.py"]),
        ("sh -c 'echo $HOME'", ["sh", "-c", "echo $HOME"]),
    ],
)
def test_settings_are_put_into_a_command_and_stay_single_arguments(command: str, expected: list[str]) -> None:
    assert arguments(command, PARAMS, TRIAL) == expected


SPACE = {
    "rate": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5},
    "kind": {"type": "choice", "choices": ["a", "b"], "default": "a"},
    "momentum": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5, "when": {"kind": "b"}},
    "fixed": {"units": 8},
}


def faults(command: str, **trainer: Any) -> list[str]:
    spec = StudySpec.parse({"trainer": {"command": command, **trainer}, "space": SPACE})
    return list(CommandTrainer().validate(spec, None))


def test_a_command_without_fault_is_told_none() -> None:
    for command in (
        "python x.py ${rate} ${units} ${args}",
        "sh x.sh ${trial} ${env}",
        "${env} x ${args_json}",
    ):
        assert faults(command) == []


@pytest.mark.parametrize(
    ("command", "trainer", "told"),
    [
        ("python x.py ${rat}", {}, "${rat} is no setting of the space; known: args, "),
        ("pyhton x.py", {}, "there is no program 'pyhton'"),
        ("python x.py --all=${args}", {}, "write it as a word of its own"),
        ("python x.py ${momentum}", {}, "not every trial has 'momentum'; write ${args}"),
        ("python 'x.py", {}, "cannot be read: no closing quotation"),
        (" ", {}, "is empty"),
        ("sh x", {"metrics": "loss (?P<val_loss"}, "is no regular expression"),
        ("sh x", {"metrics": "numbers.txt"}, "is neither a regular expression"),
        ("sh x", {"metrics": "numbers.csv"}, "all trials would write to numbers.csv"),
    ],
)
def test_what_is_wrong_with_a_command_is_told(command: str, trainer: dict[str, Any], told: str) -> None:
    (fault,) = faults(command, **trainer)
    assert fault.startswith(("trainer.command: ", "trainer.metrics: "))
    assert told in fault


def test_a_command_takes_no_data_and_no_other_trainer() -> None:
    table = {"trainer": {"command": "sh x"}, "space": SPACE, "data": {"source": "sklearn:iris"}}
    (fault,) = CommandTrainer().validate(StudySpec.parse(table), None)
    assert fault == "data: a command reads its data by itself; drop [data]"
    with pytest.raises(Exception, match="'torch' runs no command; drop use"):
        faults("sh x", use="torch")
    (fault,) = CommandTrainer().validate(
        StudySpec.parse({"trainer": {"use": "command"}, "space": SPACE}), None
    )
    assert "trainer.command: is missing" in fault


def test_a_spec_with_a_command_is_read_back_as_it_was() -> None:
    spec = StudySpec.parse({"trainer": {"command": shlex.join(["sh", "a b"])}, "space": SPACE})
    assert spec.trainer.use == "command"
    assert StudySpec.parse(spec.to_table()) == spec
