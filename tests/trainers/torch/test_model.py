from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tests.trainers.torch import plain
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Dataset, Split, Task
from tuner.core.spec import StudySpec
from tuner.core.trial import Params, Reading, Trial
from tuner.data import load as load_data
from tuner.errors import TrialError
from tuner.testing.trainer import blobs, line
from tuner.trainers.torch import NetworkContext, load

NETWORK = """
from torch import nn

def build(params, context):
    return nn.Sequential(
        nn.Linear(context.input_shape[0], params["hidden"]),
        nn.BatchNorm1d(params["hidden"]),
        nn.Tanh(),
        nn.Linear(params["hidden"], context.outputs),
    )
"""
FRESH = """
import json, sys
from pathlib import Path
import numpy as np
from tuner.trainers import load_model

model = load_model(Path(sys.argv[1]))
print(json.dumps(np.asarray(model.predict(np.load(sys.argv[2]))).tolist()))
"""


def saved(
    folder: Path, data: Dataset, params: Params | None = None, spec: StudySpec | None = None
) -> list[Reading]:
    """Train a trial, write its model and return its curve."""
    rows = plain.batch(data, spec)
    rows.place(0, Trial(3, params or {"learning_rate": 0.01}, 5))
    curve = [plain.reading(rows) for _ in range(plain.EPOCHS)]
    folder.mkdir(exist_ok=True)
    assert rows.save(0, folder)
    return curve


def in_a_fresh_process(folder: Path, x: np.ndarray[Any, Any], where: Path) -> Any:
    np.save(where / "x.npy", x)
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(folder), str(where / "x.npy")],
        cwd=where,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_folder_predicts_the_same_in_a_fresh_process_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, other, model = (tmp_path / name for name in ("study", "other", "model"))
    study.mkdir()
    other.mkdir()
    (study / "net.py").write_text(NETWORK)
    monkeypatch.chdir(study)
    data, spec = blobs(), plain.study(model="./net.py:build")
    saved(model, data, {"learning_rate": 0.02, "hidden": 6}, spec)
    (study / "net.py").unlink()
    here = load(model).predict(data.validation.x)
    assert in_a_fresh_process(model, data.validation.x, other) == here.tolist()
    assert set(here) <= set(data.classes)


@pytest.mark.parametrize("scaling", ["min-max", "quantile"])
def test_module_takes_unscaled_inputs_and_gives_what_was_measured(tmp_path: Path, scaling: str) -> None:
    for data in (blobs(), plain.images()):
        folder = tmp_path / str(len(data.input_shape))
        curve = saved(folder, data, {"scaling": scaling, "learning_rate": 0.02, "dropout": 0.2})
        module = load(folder).module
        assert not module.training
        outputs = module(torch.tensor(data.validation.x)).detach()
        loss = torch.nn.functional.cross_entropy(outputs, torch.tensor(data.validation.y))
        assert float(loss) == pytest.approx(min(r.val_loss for r in curve), rel=1e-5)


def test_numbers_are_predicted_in_their_own_units(tmp_path: Path) -> None:
    data = line()
    curve = saved(tmp_path, data, {"learning_rate": 0.05})
    predicted = load(tmp_path).predict(data.validation.x)
    assert predicted.shape == data.validation.y.shape
    wanted = data.validation.y * data.target_scale + data.target_shift
    error = np.mean((predicted - wanted) ** 2) / 20**2
    assert error == pytest.approx(min(r.val_loss for r in curve), rel=1e-3)


def test_a_target_learned_by_its_logarithm_is_predicted_in_its_own_units(tmp_path: Path) -> None:
    data = replace(line(), target_shift=5.0, target_scale=0.5, target_log=True)
    curve = saved(tmp_path, data, {"learning_rate": 0.05})
    model, truth = load(tmp_path), np.exp(data.validation.y * 0.5 + 5)
    predicted = model.predict(data.validation.x)
    assert predicted.min() > 0
    best = min(curve, key=lambda reading: reading.val_loss)
    r2 = 1 - ((predicted - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
    assert r2 == pytest.approx(best.val_score, rel=1e-3)
    assert model.losses(data.validation.x, truth).mean() == pytest.approx(best.val_loss, rel=1e-3)


def test_several_targets_keep_their_axis_and_units(tmp_path: Path) -> None:
    data = line()
    both = [np.stack([s.y, -s.y], axis=1) for s in (data.train, data.validation)]
    shift, scale = np.array([1.0, 2.0], np.float32), np.array([10.0, 20.0], np.float32)
    wide = Dataset(
        Split(data.train.x, both[0]),
        Split(data.validation.x, both[1]),
        Task.REGRESSION,
        target_shift=shift,
        target_scale=scale,
    )
    saved(tmp_path, wide)
    model = load(tmp_path)
    outputs = model.module(torch.tensor(wide.validation.x)).detach().numpy()
    assert model.predict(wide.validation.x) == pytest.approx(outputs * scale + shift)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_probabilities_sum_to_one_and_agree_with_predictions(tmp_path: Path, loss: str) -> None:
    data = blobs()
    saved(tmp_path, data, spec=plain.study(loss=loss))
    model = load(tmp_path)
    shares = model.probabilities(data.validation.x)
    assert shares.sum(axis=1) == pytest.approx(1)
    assert [data.classes[i] for i in shares.argmax(axis=1)] == model.predict(data.validation.x).tolist()


def test_raw_rows_go_through_the_encoding_of_the_study(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": generator.normal(size=120).round(3),
            "colour": generator.choice(["red", "green", "blue"], 120),
        }
    )
    frame["kind"] = np.where((frame["size"] > 0) ^ (frame["colour"] == "red"), "yes", "no")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    data = load_data(DataSpec(source="rows.csv", target="kind"), tmp_path)
    saved(tmp_path / "model", data)
    model = load(tmp_path / "model")
    rows = frame.drop(columns="kind")[["colour", "size"]]
    predicted = model.predict(rows)
    assert set(predicted) <= {"yes", "no"}
    assert predicted.tolist() == model.predict(frame[["size", "colour"]].to_numpy()).tolist()
    with pytest.raises(TrialError, match="columns are missing: size"):
        model.predict(rows[["colour"]])


def test_rows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, plain.images(), {"width": 2})
    model = load(tmp_path)
    with pytest.raises(TrialError, match=r"rows have shape \(64,\) each; the network needs \(1, 8, 8\)"):
        model.predict(np.zeros((3, 64)))


def test_regression_has_no_probabilities(tmp_path: Path) -> None:
    saved(tmp_path, line())
    with pytest.raises(TrialError, match="no probabilities"):
        load(tmp_path).probabilities(line().validation.x)


def test_description_says_what_the_model_is(tmp_path: Path) -> None:
    curve = saved(tmp_path, blobs(), {"learning_rate": 0.01, "width": 5})
    description = load(tmp_path).description
    assert description["trainer"] == "torch"
    assert description["network"] == "mlp"
    assert description["params"] == {"learning_rate": 0.01, "width": 5}
    best = min(curve, key=lambda r: r.val_loss)
    assert description["best"]["epoch"] == best.epoch
    assert description["best"]["val_loss"] == best.val_loss
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.json", "model.safetensors"]


def test_best_epoch_is_kept_and_not_the_last(tmp_path: Path) -> None:
    table = plain.study().to_table()
    worst_is_best = StudySpec.parse({**table, "objective": {"metric": "val_loss", "direction": "maximize"}})
    data = blobs()
    first, *_, last = saved(tmp_path, data, spec=worst_is_best)
    assert first.val_loss > last.val_loss
    model = load(tmp_path)
    assert model.description["best"]["epoch"] == 1
    outputs = model.module(torch.tensor(data.validation.x)).detach()
    loss = torch.nn.functional.cross_entropy(outputs, torch.tensor(data.validation.y))
    assert float(loss) == pytest.approx(first.val_loss, rel=1e-5)


def lazy_and_tied(params: Params, context: NetworkContext) -> nn.Module:
    width = context.input_shape[0]
    network = nn.Sequential(nn.Linear(width, width), nn.Linear(width, width), nn.LazyLinear(context.outputs))
    network.get_submodule("1").weight = network.get_submodule("0").weight
    return network


def test_lazy_layers_and_tied_weights_come_back(tmp_path: Path) -> None:
    data = blobs()
    curve = saved(tmp_path, data, spec=plain.study(model=f"{__name__}:lazy_and_tied"))
    outputs = load(tmp_path).module(torch.tensor(data.validation.x)).detach()
    loss = torch.nn.functional.cross_entropy(outputs, torch.tensor(data.validation.y))
    assert float(loss) == pytest.approx(min(r.val_loss for r in curve), rel=1e-5)


def test_loading_leaves_the_global_generators_alone(tmp_path: Path) -> None:
    saved(tmp_path, blobs())
    torch.manual_seed(1)
    wanted = torch.rand(2)
    torch.manual_seed(1)
    load(tmp_path)
    assert torch.equal(torch.rand(2), wanted)


def _without(name: str) -> Any:
    return lambda folder: (folder / name).unlink()


def _changed(**keys: Any) -> Any:
    def change(folder: Path) -> None:
        path = folder / "model.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))

    return change


@pytest.mark.parametrize(
    "damage",
    [
        _without("model.json"),
        _without("model.safetensors"),
        lambda folder: (folder / "model.safetensors").write_bytes(b"no tensors"),
        lambda folder: (folder / "model.json").write_text("{"),
        lambda folder: (folder / "model.json").write_text("[]"),
        lambda folder: (folder / "model.json").write_text('{"format": 1, "trainer": "torch"}'),
        _changed(format=2),
        _changed(params={"width": 7}),
        _changed(context=None),
        _changed(network="mlpp"),
        _changed(params={"activation": "no such"}),
    ],
)
def test_damaged_folder_is_refused_in_one_line(tmp_path: Path, damage: Any) -> None:
    saved(tmp_path, blobs())
    damage(tmp_path)
    with pytest.raises(TrialError) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match="holds no model"):
        load(tmp_path / "gone")
