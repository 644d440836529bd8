from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tuner import registry
from tuner.core.dataset import Dataset, Split, Task
from tuner.core.space.section import parse_space
from tuner.core.spec import StudySpec
from tuner.errors import SpecError
from tuner.starter import write, write_study


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_project_is_written_into_a_new_folder(tmp_path: Path) -> None:
    written = write(tmp_path / "a" / "b")
    assert sorted(str(path.relative_to(tmp_path / "a" / "b")) for path in written) == [
        "README.md",
        "network.py",
        "search_spaces/mine.toml",
        "studies/example.toml",
        "studies/own_trainer.toml",
        "trainer.py",
    ]
    assert all(path.read_text() for path in written)


def test_a_project_goes_into_a_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "house.csv").write_text("a,b\n")
    write(tmp_path)
    assert (tmp_path / "studies" / "example.toml").is_file()


def test_nothing_is_written_when_any_file_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "trainer.py").write_text("mine")
    (tmp_path / "README.md").write_text("mine")
    before = everything(tmp_path)
    with pytest.raises(SpecError) as error:
        write(tmp_path)
    assert [fault.split(":")[0] for fault in error.value.faults] == [
        str(tmp_path / "README.md"),
        str(tmp_path / "trainer.py"),
    ]
    assert everything(tmp_path) == before
    assert (tmp_path / "trainer.py").read_text() == "mine"


@pytest.mark.parametrize("obstacle", ["studies", "search_spaces"])
def test_nothing_is_left_when_writing_fails_half_way(tmp_path: Path, obstacle: str) -> None:
    (tmp_path / obstacle).write_text("a file where a folder is needed")
    with pytest.raises(SpecError, match="cannot be written"):
        write(tmp_path)
    assert everything(tmp_path) == [obstacle]


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecError, match="cannot be written") as error:
        write(tmp_path / "file" / "project")
    assert len(error.value.faults) == 1
    assert everything(tmp_path) == ["file"]


def test_the_written_space_is_a_valid_one_with_a_line_for_each_parameter(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "search_spaces" / "mine.toml"
    table = parse_space(tomllib.loads(path.read_text()), str(path))
    assert all(parameter["doc"] for parameter in table.values())


def test_the_written_trainer_learns(tmp_path: Path) -> None:
    write(tmp_path)
    study = tomllib.loads((tmp_path / "studies" / "own_trainer.toml").read_text())
    spec = StudySpec.parse(study)
    train = registry.load(spec.trainer.use, folder=tmp_path)
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 3)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    data = Dataset(Split(x[:150], y[:150]), Split(x[150:], y[150:]), Task.CLASSIFICATION, ("no", "yes"))
    kept: list[object] = []

    class Context:
        epochs, seed = 30, 1
        keep = staticmethod(kept.append)

    Context.data = data  # type: ignore[attr-defined]
    params = spec.search_space().defaults({"learning_rate": 0.1, "momentum": 0.9})
    readings = list(train(params, Context))
    assert len(readings) == 30
    assert readings[-1]["val_score"] > 0.85
    assert readings[-1]["train_loss"] < readings[0]["train_loss"] / 2
    assert len(kept) == 1


def test_the_written_gradients_are_those_of_the_written_loss(tmp_path: Path) -> None:
    write(tmp_path)
    gradients, judged = (registry.load(f"./trainer.py:{n}", folder=tmp_path) for n in ("gradients", "judged"))
    random = np.random.default_rng(0)
    shapes = {"w1": (4, 5), "b1": (5,), "w2": (5, 3), "b2": (3,)}
    weights = {name: random.normal(size=shape) for name, shape in shapes.items()}
    x, y = random.normal(size=(7, 4)), random.integers(0, 3, 7)
    for name, gradient in gradients(weights, x, y).items():
        index = tuple(0 for _ in shapes[name])
        losses = []
        for step in (1e-5, -1e-5):
            moved = {**weights, name: weights[name].copy()}
            moved[name][index] += step
            losses.append(judged(moved, x, y)[0])
        assert gradient[index] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-4)


def test_a_study_for_a_data_file_names_it_from_the_projects_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "house.csv").write_text("a,price\n1,2\n")
    table = {"name": "house", "data": {"source": "house.csv", "target": "price"}}
    here = write_study(Path(), table)
    there = write_study(tmp_path / "project", table)
    assert here == Path("studies/house.toml")
    assert tomllib.loads(here.read_text()) == table
    found = tomllib.loads(there.read_text())["data"]["source"]
    assert os.path.normpath(tmp_path / "project" / found) == str(tmp_path / "house.csv")
    with pytest.raises(SpecError, match=re.escape("house.toml: is there already")):
        write_study(Path(), table)
