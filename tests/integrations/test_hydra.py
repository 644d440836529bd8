"""Hydra's sweeper: overrides as a space, and an app's multirun as a study."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

import tuner
from tests import processes
from tuner.core.space import Choice, Float, Int
from tuner.core.trial import TrialState
from tuner.errors import SpecError

pytest.importorskip("hydra", reason="hydra is not installed: its sweeper is not tested")

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from tuner.integrations.hydra import space_of

NOW = {
    "lr": 0.01,
    "n": 7,
    "text": "c,d",
    "model": {"name": "mlp"},
    "flag": False,
    "hydra": {"runtime": {"choices": {"model": "mlp"}}},
}


def searched(*overrides: str) -> dict[str, Any]:
    parser = OverridesParser.create()
    return space_of(parser.parse_overrides(list(overrides)), OmegaConf.create(NOW))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("lr=interval(0.001, 1)", Float(low=0.001, high=1.0, default=0.01)),
        ("lr=tag(log, interval(0.001, 1))", Float(low=0.001, high=1.0, default=0.01, log=True)),
        ("lr=interval(1, 2)", Float(low=1.0, high=2.0)),
        ("n=int(interval(1, 9))", Int(low=1, high=9, default=7)),
        ("n=range(1, 10)", Int(low=1, high=9, default=7)),
        ("n=range(9, 0, -2)", Int(low=1, high=9, step=2, default=7)),
        ("n=tag(log, range(1, 100))", Int(low=1, high=99, default=7, log=True)),
        ("+m=range(0, 1, 0.25)", Float(low=0.0, high=0.75, step=0.25)),
        ("model=cnn,mlp", Choice(choices=["cnn", "mlp"], default="mlp")),
        ("model=choice(cnn, rnn)", Choice(choices=["cnn", "rnn"])),
        ("n=1,2.5,null", Choice(choices=[1, 2.5, "null"])),
        ("flag=true,false", Choice(choices=[True, False], default=False)),
        ("text='a b','c,d'", Choice(choices=["'a b'", "'c,d'"])),
        ("layers=[1,2],{a:1}", Choice(choices=["[1,2]", "{a:1}"])),
    ],
)
def test_an_override_is_a_parameter_with_what_the_app_has_as_its_default(
    override: str, expected: object
) -> None:
    space = searched(override)
    assert space == {override.partition("=")[0]: expected, "fixed": {}}


def test_the_last_override_of_a_key_counts_and_values_are_fixed() -> None:
    space = searched("lr=interval(0,1)", "n=1,2", "lr=0.5", "~flag", "text='a b'", "n=3,4", "list=[1,2]")
    assert space == {
        "n": Choice(choices=[3, 4]),
        "fixed": {"lr": 0.5, "text": "'a b'", "list": "[1,2]"},
    }


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("lr=1", "nothing to search; give e.g. lr="),
        ("lr=tag(ordered, interval(0, 1))", "lr: the tag 'ordered' is not known; known: log"),
        ("model=tag(log, choice(a, b))", "model: only numbers have a logarithmic scale"),
        ("n=range(3, 3)", "n: a range without numbers"),
        ("lr=interval(1, 0)", "lr: Float: "),
        ("lr=tag(log, interval(0, 1))", "lr: Float: "),
    ],
)
def test_what_cannot_be_searched_is_told_with_its_key(override: str, told: str) -> None:
    with pytest.raises(SpecError) as error:
        searched(override)
    assert str(error.value).startswith(told)


APP = """
import hydra, os, tuner

@hydra.main(version_base=None, config_path=None)
def main(cfg):
    open(os.environ["COUNT"], "a").write(f"{cfg.lr} {cfg.depth} {cfg.text!r}\\n")
    if cfg.depth == 2:
        return {"val_loss": cfg.lr, "size": cfg.depth}
    for epoch in range(9):
        print(f"val_loss={cfg.lr + 1 / (epoch + 1):.3f}")
        tuner.report(val_loss=cfg.lr + 1 / (epoch + 1))

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_a_multirun_is_a_study_that_the_same_command_line_goes_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    Path("app.py").write_text(APP)

    def swept(trials: int, *more: str) -> subprocess.CompletedProcess[str]:
        study = "+hydra.sweeper.study={search: {pruner: none, sampler: grid, presets: false}}"
        own = ["hydra/sweeper=tuner", f"hydra.sweeper.trials={trials}", "hydra.sweeper.epochs=3", study]
        overrides = ["+lr=0.5", "+depth=1,2", "+text='a, b'", "hydra.sweeper.workers=1", *more]
        return processes.run("app.py", "-m", *own, *overrides)

    for trials in (1, 2):
        ended = swept(trials)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert f"best of {trials} trial" in ended.stdout
    found = tuner.load("app")
    assert len(Path("count").read_text().splitlines()) == 2
    assert "0.5 1 'a, b'" in Path("count").read_text()
    assert found.records[0].params == {"+lr": 0.5, "+depth": 1, "+text": "'a, b'"}
    # What reports has as many epochs as it may have, and what returns one; its trial has finished as well.
    told = {(each.params["+depth"], each.state, each.epochs, each.value) for each in found.records}
    assert told == {(1, TrialState.FINISHED, 3, 0.5 + 1 / 3), (2, TrialState.FINISHED, 1, 0.5)}
    folder = Path("multirun/app")
    assert sorted(path.name for path in folder.iterdir()) == ["0", "1", "optimization_results.yaml"]
    assert OmegaConf.load(folder / "optimization_results.yaml").best_value == 0.5

    ended = swept(2, "width=1,2")
    assert ended.returncode == 1
    assert "Could not override 'width'" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_a_trial_of_a_multirun_is_stopped_by_the_pruner_before_its_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    Path("app.py").write_text(APP)
    study = "+hydra.sweeper.study={search: {pruner: asha-stop, sampler: grid, reduction: 2, presets: false}}"
    own = ["hydra/sweeper=tuner", "hydra.sweeper.trials=2", "hydra.sweeper.epochs=4", study]
    overrides = ["+lr=0.1,0.9", "+depth=1", "+text=a", "hydra.sweeper.workers=1"]
    ended = processes.run("app.py", "-m", *own, *overrides)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    records = tuner.load("app").records
    told = [(each.params["+lr"], each.state, each.epochs, each.rule) for each in records]
    assert told == [(0.1, TrialState.FINISHED, 4, None), (0.9, TrialState.STOPPED, 1, "pruner")]
