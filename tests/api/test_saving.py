"""Models that cannot be written: for want of room, which is the study's fault, or by their own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tuner
from tuner.core.budget import StudyState
from tuner.errors import StoreError

pytestmark = pytest.mark.usefixtures("forked_workers")

MODELS = Path("tuner_models")
ROOM = 2_000_000
TRIALS = 8


FUNCTIONS = """
import numpy as np

def train(params, context):
    for epoch in range(1, context.epochs + 1):
        context.keep({"w": np.full(4_000, params["x"] + epoch, np.float32)})
        loss = (params["x"] - 0.7) ** 2 + 1 / epoch
        yield {"train_loss": loss, "val_loss": loss}

def exotic(params, context):
    for reading in train(params, context):
        if context.number in (0, 2):
            context.keep({"w": "no array"})
        yield reading

def fails_to_send(params, context):
    from fsspec.implementations.local import LocalFileSystem
    from pathlib import Path

    def pipe_file(system, path, value, **more):
        if Path("away").exists() and not path.endswith("study.json"):
            raise ConnectionError("hiccup")
        Path(path).write_bytes(value)

    LocalFileSystem.pipe_file = pipe_file
    yield from train(params, context)
"""
NETWORK = """
from torch import nn

def build(params, context):
    width = 64
    first, second = nn.Linear(context.input_shape[0], width), nn.Linear(width, width)
    second.weight = nn.Linear(width, width).weight
    return nn.Sequential(first, nn.Tanh(), second, nn.Linear(width, context.outputs))
"""


def function(name: str = "train", **more: Any) -> dict[str, Any]:
    """A study whose models take 16 kilobytes each."""
    return {"trainer": f"./f.py:{name}", "space": {"x": tuner.Float(low=0, high=1, default=0.2)}, **more}


def network(model: str, rows: int, **trainer: Any) -> dict[str, Any]:
    """A study of networks of 20 kilobytes or more."""
    table = {
        "name": "study",
        "data": {"source": "sklearn:wine"},
        "trainer": {"epochs": 2, "rows": rows, "model": model, "checkpoint_seconds": 0.001, **trainer},
        "space": {
            "width": {"type": "int", "low": 50, "high": 80, "default": 64},
            "learning_rate": {"type": "float", "low": 1e-3, "high": 0.1, "default": 0.01},
        },
        "search": {"sampler": "random"},
    }
    return {"study": table}


ENGINES: dict[str, Callable[[], dict[str, Any]]] = {
    "function": lambda: function(workers=1),
    "fused": lambda: network("mlp", 3),
    "stacked": lambda: network("./net.py:build", 3),
    "two processes": lambda: function(workers=2, settings={"trainer.reproducible": True}),
}


@pytest.fixture
def no_room(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """A folder of models that takes only so many; to be called, and it takes all."""
    models = tmp_path / MODELS
    models.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(models)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    filler = models / "filler"
    filler.write_bytes(b"x" * (ROOM - 100_000))
    try:
        yield filler.unlink
    finally:
        subprocess.run(["umount", str(models)], check=True)


def table(study: tuner.Study) -> list[object]:
    """What must not depend on how often the study was cut off."""
    return [
        (
            r.number,
            r.params,
            r.state,
            r.value,
            r.rule,
            r.reason,
            r.epochs,
            r.model_path is None,
            curve(study, r.number),
        )
        for r in study.records
    ]


def curve(study: tuner.Study, number: int) -> list[str]:
    return [repr((r.epoch, r.train_loss, r.val_loss)) for r in study.trial(number).curve]


def written(folder: str) -> None:
    """What is trained, as files."""
    Path(folder).mkdir(exist_ok=True)
    (Path(folder) / "f.py").write_text(FUNCTIONS)
    (Path(folder) / "net.py").write_text(NETWORK)


def stops_and_goes_on(engine: str, room: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """A study whose models find no room ends, once they do, as one that always had it."""
    written("whole")
    written(".")
    with pytest.raises(StoreError) as stopped:
        tuner.start(**ENGINES[engine](), name="study", trials=TRIALS)
    told = str(stopped.value)
    assert "tuner_models" in told
    assert "`tune resume`" in told
    assert "\n" not in told
    broken = tuner.load("study")
    assert (broken.summary.state, broken.summary.reason) == (StudyState.FAILED, told)
    assert not [record for record in broken.records if record.state is tuner.TrialState.FAILED]
    before = {record.number: record.value for record in broken.records if record.state.is_over}
    room()
    after = tuner.resume("study")
    assert before.items() <= {record.number: record.value for record in after.records}.items()
    named = {str(record.number) for record in after.records if record.model_path}
    (place,) = [path for path in MODELS.iterdir() if path.is_dir()]
    assert {path.name for path in place.iterdir()} - {"checkpoints", "logs", "study.json"} == named
    found = table(after)
    monkeypatch.chdir("whole")
    assert found == table(tuner.start(**ENGINES[engine](), name="study", trials=TRIALS))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_disk_that_takes_no_more_models_stops_the_study_which_loses_nothing(
    no_room: Callable[[], None], engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops_and_goes_on(engine, no_room, monkeypatch)


def test_a_file_in_place_of_the_models_stops_the_study_which_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    MODELS.write_text("in the way")
    stops_and_goes_on("function", MODELS.unlink, monkeypatch)


@pytest.mark.parametrize(
    ("sent", "told"),
    [("the mark", "study 'study': file://"), ("a model", "the model of trial 0 cannot be stored: file://")],
)
def test_an_object_store_that_is_out_of_reach_stops_the_study_which_loses_nothing(
    sent: str, told: str
) -> None:
    written(".")
    wanted = table(tuner.start(**function("fails_to_send", workers=1), name="local", trials=4))
    bucket, away = Path("bucket"), Path("away")
    in_the_way = bucket if sent == "the mark" else away
    in_the_way.write_text("in the way")
    if sent == "a model":
        bucket.mkdir()
    arguments = function("fails_to_send", workers=1, models=f"file://{bucket.resolve()}")
    with pytest.raises(StoreError, match=rf"^{told}.*; see whether it is in reach") as stopped:
        tuner.start(**arguments, name="study", trials=4)
    broken = tuner.load("study")
    assert (broken.summary.state, broken.summary.reason) == (StudyState.FAILED, str(stopped.value))
    assert not [record for record in broken.records if record.state is tuner.TrialState.FAILED]
    in_the_way.unlink()
    after = tuner.resume("study")
    assert table(after) == wanted
    (place,) = bucket.iterdir()
    named = {str(record.number) for record in after.records if record.model_path}
    assert {path.name for path in place.iterdir()} == {*named, "study.json"}


def test_what_only_one_trial_cannot_keep_costs_its_model_and_nothing_else() -> None:
    written(".")
    study = tuner.start(**function(workers=1), name="plain", trials=5)
    other = tuner.start(**function("exotic", workers=1), name="exotic", trials=5)
    for one, two in zip(study.records, other.records, strict=True):
        assert (one.state, one.value, curve(study, one.number)) == (
            two.state,
            two.value,
            curve(other, two.number),
        )
        assert two.state is not tuner.TrialState.FAILED
    for number in (0, 2):
        record = other.records[number]
        assert record.model_path is None
        assert "its model was not kept: " in str(record.reason)
        assert "a str cannot be kept; give arrays, tensors or a module" in str(record.reason)
        assert record.traceback


def test_models_that_a_killed_confirmation_left_are_deleted_when_it_is_asked_for_again() -> None:
    written(".")
    tuner.start(**function(workers=1), name="study", trials=4)
    found = tuner.confirm("study", repeats=3, top=1)
    (folder,) = MODELS.glob("*confirm*")
    lying = {path.name for path in folder.iterdir() if path.name.isdecimal()}
    kept = next(path for path in MODELS.iterdir() if path != folder) / "0"
    for number in {"1", "3", "5"} - lying:
        shutil.copytree(kept, folder / number)
    assert replace(tuner.confirm("study"), locked_reads=()) == replace(found, locked_reads=())
    assert {path.name for path in folder.iterdir() if path.name.isdecimal()} == lying
