"""Every way in, from a fresh folder to a model that predicts."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

import tuner
from tuner.core.data_spec import DataSpec
from tuner.data import load
from tuner.data.table import read_csv

pytestmark = pytest.mark.usefixtures("forked_workers")

QUICK: dict[str, Any] = {"trainer.epochs": 3, "trainer.workers": 1}


def test_csv_of_ones_own_gives_a_model_that_predicts_raw_rows(houses: Path) -> None:
    study = tuner.start("house.csv", target="price", trials=3, settings={**QUICK, "trainer.epochs": 12})
    assert study.name == "house"
    assert study.summary.counts["failed"] == 0
    path = study.best.model_path
    assert path is not None
    rows = pd.read_csv(houses).drop(columns="price")
    prices = tuner.load_model(path).predict(rows)
    assert np.corrcoef(prices, pd.read_csv(houses)["price"])[0, 1] > 0.5


def test_a_file_that_a_study_is_made_for_is_read_once(houses: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(path: Path, spec: DataSpec) -> Any:
        read.append(path)
        return read_csv(path, spec)

    monkeypatch.setattr("tuner.data.table.read_csv", counted)
    found = tuner.check("house.csv", target="price")
    assert read == [houses]
    assert found.data is not None
    again = load(DataSpec(source=str(houses), target="price"), Path(), resampling=True)
    assert np.array_equal(found.data.train.x, again.train.x)
    assert found.data.notes == again.notes


def test_npz_of_images_trains_a_cnn(images: Path) -> None:
    study = tuner.start(str(images), trials=2, settings={**QUICK, "trainer.rows": 1})
    assert study.spec.trainer.model == "cnn"
    assert study.best.value is not None
    module = study.best.model()
    x = np.load(images)["X"]
    import torch

    assert module(torch.from_numpy(x[:3])).shape[0] == 3


def test_regression_on_a_shipped_set() -> None:
    study = tuner.start("diabetes", trials=2, settings=QUICK)
    reading = study.best.reading
    assert reading is not None
    assert math.isfinite(reading.val_loss)


def test_sklearn_estimator_gives_the_fitted_estimator() -> None:
    study = tuner.start("digits_sklearn", trials=2, settings=QUICK)
    assert type(study.best.model()).__name__ == "MLPClassifier"


def test_function_of_ones_own_needs_nothing_but_a_space() -> None:
    closed = []

    def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
        loss = 1.0
        try:
            for _ in range(context.epochs):
                loss *= 0.5 + abs(params["x"] - 0.3)
                yield {"train_loss": loss / 2, "val_loss": loss, "reward": -loss}
        finally:
            closed.append(context.number)

    study = tuner.start(trainer=train, space={"x": tuner.Float(low=0, high=1, default=0.9)}, trials=12)
    assert study.name == "train"
    assert sorted(closed) == list(range(12))
    assert study.best.params["x"] == pytest.approx(0.3, abs=0.3)
    assert set(study.curves.columns) >= {"number", "epoch", "train_loss", "val_loss", "gap", "reward"}
    assert len(study.trials) == 12


def test_network_of_ones_own_from_a_file_beside_the_study(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def build(params, context):\n"
        "    return nn.Sequential(nn.Linear(context.input_shape[0], params['hidden']), nn.Tanh(),\n"
        "                         nn.Linear(params['hidden'], context.outputs))\n"
    )
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "mine.toml").write_text(
        '[data]\nsource = "sklearn:iris"\n'
        '[trainer]\nmodel = "./net.py:build"\nepochs = 3\nworkers = 2\n'
        "[budget]\ntrials = 3\n"
        '[space]\nuse = ["batch"]\n[space.hidden]\ntype = "int"\nlow = 4\nhigh = 9\ndefault = 8\n'
    )
    study = tuner.start("mine")
    assert study.summary.counts["failed"] == 0
    files = tuner.export("mine", tmp_path / "out")
    assert (tmp_path / "out" / "README.md") in files
    # A fresh process, elsewhere, without the file the network came from.
    (tmp_path / "net.py").unlink()
    code = "import sys, tuner; print(len(tuner.load_model(sys.argv[1]).predict([[5.1, 3.5, 1.4, 0.2]])))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "out")],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "1"


def test_arrays_and_tables_from_python() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    y = (x[:, 0] > 0).astype(int)
    settings = {**QUICK, "trainer.model": "mlp"}
    by_arrays = tuner.start(name="a", data=(x, y), space=["batch"], trials=1, settings=settings)
    table = pd.DataFrame(x, columns=["p", "q", "r"]).assign(label=y)
    by_table = tuner.start(name="b", data=table, target="label", space=["batch"], trials=1, settings=settings)
    assert by_arrays.best.value == by_table.best.value


def test_space_accepts_names_tables_and_parameters() -> None:
    spaces: list[Any] = [
        "batch",
        ["batch", "initialization"],
        {"use": ["batch"], "width": tuner.Int(low=4, high=8, default=8)},
        {"width": {"type": "int", "low": 4, "high": 8, "default": 8}},
    ]
    for index, space in enumerate(spaces):
        study = tuner.start(name=f"s{index}", data="sklearn:iris", space=space, trials=1, settings=QUICK)
        assert study.best.value is not None


def test_plain_optuna_sees_the_same_trials() -> None:
    study = tuner.start("digits", trials=8, settings=QUICK)
    plain = optuna.load_study(study_name="digits", storage="sqlite:///tuner.db")
    states = {"finished": "COMPLETE", "stopped": "PRUNED"}
    assert len(plain.trials) == 8
    curves = study.curves
    for record, trial in zip(study.records, plain.trials, strict=True):
        assert trial.params == dict(record.params)
        assert trial.state.name == states[record.state.value]
        stored = curves[curves["number"] == record.number]
        assert list(trial.intermediate_values.values()) == stored["val_loss"].tolist()
        if record.conclusive:
            assert trial.value == record.value
    assert plain.best_trial.number == study.best.number


def test_trial_0_is_the_default_configuration() -> None:
    study = tuner.start("digits", trials=1, settings=QUICK)
    assert dict(study.default.params) == study.spec.search_space().defaults()


def test_export_holds_the_spec_the_trials_and_the_curves(tmp_path: Path) -> None:
    study = tuner.start("digits", trials=2, settings=QUICK)
    tuner.export("digits", tmp_path / "out")
    assert (
        tuner.StudySpec.parse(json.loads((tmp_path / "out" / "study.json").read_text())["spec"]) == study.spec
    )
    assert len(pd.read_csv(tmp_path / "out" / "trials.csv")) == 2
    assert json.loads((tmp_path / "out" / "best.json").read_text())["value"] == study.best.value
    with pytest.raises(tuner.SpecError, match="is not empty"):
        tuner.export("digits", tmp_path / "out")
