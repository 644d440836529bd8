"""A study file that has changed is taken over only where that was allowed, and every change is named."""

from __future__ import annotations

from pathlib import Path

import pytest

import tuner
from tuner.store import verify

STUDY = """
[trainer]
use = "./trainer.py:train"
epochs = 2
workers = 1
[search]
sampler = "random"
pruner = "none"
[budget]
trials = 2
[space.x]
type = "float"
low = 0.0
high = 0.1
default = 0.05
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A study of two trials, run from `study.toml`."""
    (tmp_path / "trainer.py").write_text(
        "def train(params, context):\n    for _ in range(context.epochs):\n        yield params['x']\n"
    )
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    tuner.start("study.toml")
    return path


def change(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_a_file_that_has_not_changed_goes_on(file: Path) -> None:
    assert len(tuner.resume("study", trials=3).records) == 3
    assert len(tuner.resume(study="study.toml", trials=4).records) == 4
    file.write_text("# a remark\n" + file.read_text())
    assert len(tuner.resume("study", trials=5).records) == 5
    file.unlink()
    assert len(tuner.resume("study", trials=6).records) == 6


@pytest.mark.parametrize("study", [None, "study.toml"])
def test_a_changed_file_is_refused_and_every_change_is_named(file: Path, study: str | None) -> None:
    change(file, "high = 0.1", "high = 1.0")
    change(file, "epochs = 2", "epochs = 3")
    with pytest.raises(tuner.SpecError) as caught:
        tuner.resume("study", study=study, trials=3)
    [fault] = caught.value.faults
    assert "space.x.high: 0.1 -> 1.0" in fault
    assert "trainer.epochs: 2 -> 3" in fault
    assert "--allow-changes" in fault
    assert len(tuner.load("study").records) == 2


def test_allowed_changes_are_taken_over_and_noted(file: Path) -> None:
    change(file, "high = 0.1", "high = 1.0")
    file.write_text(file.read_text() + '[space.y]\ntype = "int"\nlow = 1\nhigh = 3\ndefault = 2\n')
    study = tuner.resume("study", allow_changes=True, trials=6)
    records = study.records
    assert [set(r.params) for r in records] == [{"x"}] * 2 + [{"x", "y"}] * 4
    assert max(float(r.params["x"]) for r in records[2:]) > 0.1
    first, second = study.specs
    assert first.command == "start study.toml"
    assert second.command == "resume study --trials 6 --allow-changes"
    assert second.changes == (
        "budget.trials: 2 -> 6", "space.x.high: 0.1 -> 1.0", "space.y: (none) -> int low = 1, high = 3",
    )  # fmt: skip
    assert (first.digest, second.digest) == (study.specs[0].digest, study.summary.digest)
    assert first.digest != second.digest
    assert len(tuner.resume("study", trials=7).records) == 7
    assert verify("tuner.db").is_sound


def test_changes_may_be_ignored(file: Path) -> None:
    change(file, "high = 0.1", "high = 1.0")
    study = tuner.resume("study", allow_changes=False, trials=12)
    assert max(float(r.params["x"]) for r in study.records) <= 0.1
    with pytest.raises(tuner.SpecError, match=r"space\.x\.high"):
        tuner.resume("study", trials=13)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("[search]", '[objective]\nmetric = "train_loss"\n[search]', "val_loss -> train_loss"),
        ("[search]", "[search]\nseed = 1", "search.seed: 0 -> 1"),
        (STUDY.partition("[space.x]\n")[2], 'type = "choice"\nchoices = [1]\ndefault = 1\n',
         "space.x.type: float -> choice: refused, trials have values of the other kind"),
        ("[space.x]", "[space.z]", "space.x: float low = 0.0, high = 0.1 -> (none): refused, trials have it"),
        (".py:train", ".py:other", "trainer.use"),
    ],
)  # fmt: skip
def test_some_things_never_change(file: Path, old: str, new: str, part: str) -> None:
    (file.parent / "trainer.py").write_text((file.parent / "trainer.py").read_text() + "\nother = train\n")
    change(file, old, new)
    with pytest.raises(tuner.SpecError) as caught:
        tuner.resume("study", allow_changes=True, trials=3)
    assert part.partition(": refused")[0] in str(caught.value)
    assert part.partition(": refused")[2] in str(caught.value)
    assert "start another study" in str(caught.value)


def test_options_of_the_start_are_no_changes_of_the_file(file: Path) -> None:
    tuner.start("study.toml", name="other", trials=3, seed=5, settings={"trainer.epochs": 4})
    assert len(tuner.resume("other").records) == 3
    assert len(tuner.resume("other", study="study.toml").records) == 3
    assert {r.epochs for r in tuner.resume("other", study="study.toml", trials=4).records} == {4}


def test_a_project_that_was_moved_goes_on_with_its_file(file: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("study.toml", "trainer.py"):
        (tmp_path / name).rename(moved / name)
    with pytest.raises(
        tuner.SpecError, match=r"trainer\.use: .*trainer\.py:train -> .*moved/trainer\.py:train"
    ):
        tuner.resume(study="moved/study.toml", trials=3)
    assert len(tuner.resume(study="moved/study.toml", trials=3, allow_changes=True).records) == 3
