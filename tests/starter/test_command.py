from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tuner.core.spec import StudySpec
from tuner.errors import SpecError
from tuner.starter import study_of
from tuner.trainers.command import CommandTrainer

ARGPARSE = """
import argparse
parser = argparse.ArgumentParser(description="Train a model. --nothing 3 (default: 1)")
parser.add_argument("-l", "--learning-rate", type=float, default=1e-3, help="the step size: "
    + "so long a text that it goes on in a second line of what is printed, and in a third " * 2)
parser.add_argument("--dropout", type=float, default=0.25)
parser.add_argument("--weight_decay", default=0.0, type=float)
parser.add_argument("--units", type=int, default=64)
parser.add_argument("--optimizer", choices=["adam", "sgd"], default="sgd")
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--data", default="data/")
parser.add_argument("--num-workers", type=int, default=4)
parser.add_argument("--nesterov", action="store_true")
parser.parse_args()
"""
SHOWN = ARGPARSE.replace(
    "(description", "(formatter_class=argparse.ArgumentDefaultsHelpFormatter, description"
)
OPTIONS = """
@{0}.command()
@{0}.option("-l", "--learning-rate", default=1e-3, help="the step size", show_default=True)
@{0}.option("--dropout", default=0.25, show_default=True)
@{0}.option("--weight_decay", default=0.0, show_default=True)
@{0}.option("--units", default=64, type={0}.IntRange(1, 512), show_default=True)
@{0}.option("--optimizer", type={0}.Choice(["adam", "sgd"]), default="sgd", show_default=True)
@{0}.option("--epochs", default=12, show_default=True)
@{0}.option("--seed", default=0)
@{0}.option("--data", default="data/", show_default=True)
@{0}.option("--num-workers", default=4, show_default=True)
@{0}.option("--nesterov/--no-nesterov")
def main(**given): pass
main()
"""
CLICK = "import click\n" + OPTIONS.format("click")
TYPER = """
import enum
import typer
from typing import Annotated
class Kind(str, enum.Enum):
    adam = "adam"
    sgd = "sgd"
def main(
    learning_rate: Annotated[float, typer.Option("--learning-rate", "-l", help="the step size")] = 1e-3,
    dropout: float = 0.25,
    weight_decay: Annotated[float, typer.Option("--weight_decay")] = 0.0,
    units: Annotated[int, typer.Option(min=1)] = 64,
    optimizer: Kind = Kind.sgd,
    epochs: int = 12,
    seed: int = 0,
    data: str = "data/",
    num_workers: int = 4,
    nesterov: bool = False,
): pass
typer.run(main)
"""

SPACE = {
    "learning_rate": {"type": "float", "low": 1e-5, "high": 0.1, "default": 1e-3, "log": True},
    "dropout": {"type": "float", "low": 0.0, "high": 0.9, "default": 0.25},
    "weight_decay": {"type": "float", "low": 0.0, "high": 0.1, "default": 0.0},
    "units": {"type": "int", "low": 16, "high": 256, "default": 64, "log": True},
    "optimizer": {"type": "choice", "choices": ["adam", "sgd"], "default": "sgd"},
}


def script(folder: Path, text: str) -> str:
    path = folder / "train.py"
    path.write_text(text)
    return f"python {path}"


@pytest.mark.parametrize(
    "text", [ARGPARSE, SHOWN, CLICK, TYPER], ids=["argparse", "defaults", "click", "typer"]
)
def test_the_settings_of_a_script_are_read_from_its_help(text: str, tmp_path: Path) -> None:
    command = script(tmp_path, text)
    table = study_of(command)
    assert table["space"] == SPACE
    assert table["trainer"] == {
        "command": f"{command} --learning-rate ${{learning_rate}} --dropout ${{dropout}} "
        "--weight_decay ${weight_decay} --units ${units} --optimizer ${optimizer} "
        "--epochs ${epochs} --seed ${seed}",
        "epochs": 12,
    }
    assert table["name"] == "train"
    assert CommandTrainer().validate(StudySpec.parse(table), None) == []


def test_what_a_command_names_already_stays_as_it_is(tmp_path: Path) -> None:
    command = script(tmp_path, ARGPARSE) + " --optimizer adam --units=3 --dropout ${p}"
    table = study_of(command)
    assert list(table["space"]) == ["learning_rate", "weight_decay"]
    assert table["trainer"]["command"].startswith(f"{command} --learning-rate ")


def test_what_is_not_understood_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="names no numbers with a default and no choices; write a study file"):
        study_of(script(tmp_path, "print('usage: train.py FILE')"))
    with pytest.raises(SpecError, match=r"--help: ended with exit code 1: no such data; run it by hand"):
        study_of(script(tmp_path, "import sys; sys.exit('no such data')"))
    with pytest.raises(SpecError, match="cannot be run"):
        study_of("/nowhere/train")
    with pytest.raises(SpecError, match="is empty"):
        study_of("")


def test_a_program_in_another_language_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "train.sh"
    path.write_text("echo '  --rate FLOAT   the step (default: 0.5)'; echo '  --kind {a,b}'")
    table = study_of(shlex.join(["sh", str(path)]))
    assert table["space"]["rate"] == {
        "type": "float",
        "low": 0.005,
        "high": 50.0,
        "default": 0.5,
        "log": True,
    }
    assert table["space"]["kind"]["choices"] == ["a", "b"]
    assert sys.executable not in table["trainer"]["command"]
