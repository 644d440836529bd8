from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tuner.errors import PluginError, TrialError
from tuner.trainers import load_model, resolve
from tuner.trainers.function import FunctionTrainer
from tuner.trainers.sklearn import SklearnTrainer

OWN = """
def generator(params, context):
    yield 1.0

def plain(params, context):
    return 1.0

class Trainer:
    def validate(self, spec, data):
        return ()

    def why_unfused(self, spec, data, device):
        return None

    def epoch_cost(self, job):
        return None

    def open_batch(self, job):
        return self

class Partial:
    def validate(self, spec, data):
        return ()

    def open_batch(self, job):
        return self

class Rude:
    def start(self, job, trial, snapshot=None):
        return self

class Broken(Trainer):
    def __init__(self):
        raise ValueError("no licence")

class Callable:
    def __call__(self, params, context):
        yield 1.0

instance = Trainer()
called = Callable()
number = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


@pytest.mark.parametrize("name", ["generator", "plain", "called"])
def test_functions_become_function_trainers(folder: Path, name: str) -> None:
    assert isinstance(resolve(f"./own.py:{name}", folder), FunctionTrainer)


def test_classes_are_instantiated_and_objects_taken_as_they_are(folder: Path) -> None:
    made: Any = resolve("./own.py:Trainer", folder)
    instance: Any = resolve("./own.py:instance", folder)
    assert type(made) is type(instance)
    assert resolve(instance) is instance


def test_shipped_trainers_are_found_by_name_and_by_path() -> None:
    assert isinstance(resolve("sklearn"), SklearnTrainer)
    assert isinstance(resolve("tuner.trainers.sklearn:SklearnTrainer"), SklearnTrainer)


def test_a_python_function_is_taken_as_it_is() -> None:
    def train(params: Any, context: Any) -> float:
        return 1.0

    trainer = resolve(train)
    assert isinstance(trainer, FunctionTrainer)
    assert trainer.function is train


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("skleran", "did you mean 'sklearn'?"),
        ("./own.py:number", "./own.py:number: cannot train: found int, neither a trainer"),
        ("./own.py:Callable", "./own.py:Callable: cannot train: found type, neither a trainer"),
        (
            "./own.py:Partial",
            "./own.py:Partial: cannot train: has open_batch, but not why_unfused, epoch_cost;",
        ),
        ("./own.py:Rude", "./own.py:Rude: cannot train: has start, but not validate;"),
        ("./own.py:Broken", "./own.py:Broken: cannot be set up: ValueError: no licence"),
        ("./gone.py:train", "no such file"),
    ],
)
def test_what_cannot_train_is_told(folder: Path, use: str, message: str) -> None:
    with pytest.raises(PluginError) as caught:
        resolve(use, folder)
    assert message in str(caught.value)


def test_only_the_named_trainer_is_imported() -> None:
    code = (
        "import sys, tuner.trainers, tuner.callbacks, tuner.trainers.function\n"
        "print([m for m in ('torch', 'sklearn', 'pandas', 'scipy') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "holds no model: model.json is missing"),
        ("{", "cannot be read"),
        ("[]", "a table is needed, found list"),
        ("{}", "its trainer is None; known: function, sklearn, torch"),
        ('{"trainer": "torhc"}', "did you mean 'torch'?"),
        ('{"trainer": "function"}', "cannot be loaded: KeyError"),
        ('{"trainer": "function", "arrays": "numpy"}', "cannot be loaded: FileNotFoundError"),
    ],
)
def test_a_folder_without_a_model_is_told_in_one_line(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "model.json").write_text(text)
    with pytest.raises(TrialError) as caught:
        load_model(tmp_path)
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
