"""Embeddings of categories in the shipped mlp: alone, stacked and fused, and in the model that is kept."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.loaded import from_arrays
from tests.trainers.torch import plain
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.seeds import derive
from tuner.core.training import TrialBatch
from tuner.core.trial import LAYER_NORMS, Params, Reading, Trial
from tuner.data import embedded, encode
from tuner.testing.trainer import blobs
from tuner.trainers import load_model
from tuner.trainers.torch.context import context_of
from tuner.trainers.torch.first_weights import EMBEDDING_DEVIATION
from tuner.trainers.torch.fused import FusedBatch
from tuner.trainers.torch.initialization import initialize
from tuner.trainers.torch.mlp import sizes_of
from tuner.trainers.torch.networks import mlp
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.stacked import StackedBatch
from tuner.trainers.torch.training_tensors import tensors_of

ROWS = 300
PARAMS: Params = {
    "learning_rate": 0.01,
    "width": 8,
    "depth": 2,
    "activation": "tanh",
    "embedding_size": 5,
    "init": "xavier_normal",
}
SETTINGS: list[dict[str, Any]] = [
    {"optimizer": "sgd", "learning_rate": 0.1, "l1": 0.001, "l2": 0.01, "clipping": "norm"},
    {"optimizer": "rmsprop", "rms_decay": 0.9, "schedule": "cosine"},
    {"optimizer": "adagrad", "batch_size": 100, "weight_decay": 0.05},
    {"optimizer": "adamw", "weight_decay": 0.1, "batch_size": "full", "clipping": "value", "clip_value": 0.1},
]


def frame() -> pd.DataFrame:
    chance = np.random.default_rng(0)
    zips, kinds = chance.integers(0, 40, ROWS), chance.integers(0, 36, ROWS)
    return pd.DataFrame(
        {
            "size": chance.normal(size=ROWS),
            "zip": [f"Z{i}" if i else None for i in zips],
            "kind": [f"k{i}" for i in kinds],
            "colour": chance.choice(["red", "green"], ROWS),
        }
    )


def target() -> NDArray[np.float64]:
    rows, effect = frame(), np.random.default_rng(1).normal(size=ROWS)
    found: NDArray[np.float64] = rows["size"].to_numpy() + effect[pd.factorize(rows["zip"])[0]]
    return found


def data() -> Dataset:
    return from_arrays(frame(), target(), DataSpec(source="memory", test=0.0))


def batches(found: Dataset, **trainer: Any) -> dict[str, TrialBatch]:
    job = Job(plain.study(model="mlp", **trainer), found)
    return {"alone": plain.alone(job), "stacked": StackedBatch(job), "fused": FusedBatch(job)}


def network(found: Dataset, params: Params, number: int = 7) -> nn.Module:
    """A plain network with the first weights of a trial."""
    coded = embedded(found)
    sizes = sizes_of(coded.categories, int(params["embedding_size"]))

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tables = nn.ModuleList(map(nn.Embedding, coded.categories, sizes))
            inputs = coded.input_shape[0] - len(sizes) + sum(sizes)
            self.rest = nn.Sequential(
                nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1)
            )

        def forward(self, x: Tensor) -> Tensor:
            first = x.shape[1] - len(sizes)
            looked = [table(x[:, first + i].long()) for i, table in enumerate(self.tables)]
            found: Tensor = self.rest(torch.cat([x[:, :first], *looked], 1))
            return found

    module, generator = Plain(), torch.Generator().manual_seed(derive(5, number, "initialization"))
    for table in module.tables:
        nn.init.normal_(table.weight, std=EMBEDDING_DEVIATION, generator=generator)  # type: ignore[arg-type]
    initialize(module.rest, "xavier_normal", 1.0, generator)
    return module


@pytest.mark.parametrize("way", ["alone", "stacked", "fused"])
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda each: each["optimizer"])
def test_embeddings_train_as_in_a_plain_loop(way: str, setting: dict[str, Any]) -> None:
    found, params = data(), {**PARAMS, **setting}
    params |= {"clip_norm": 0.3} if setting.get("clipping") == "norm" else {}
    losses, norms, rates = plain.train(network(found, params), embedded(found), params)
    rows = batches(found)[way]
    rows.place(0, Trial(7, params, 5))
    curve = [plain.reading(rows) for _ in range(plain.EPOCHS)]
    assert [r.val_loss for r in curve] == pytest.approx(losses, rel=2e-4)
    assert [r.grad_norm for r in curve] == pytest.approx(norms, rel=2e-4)
    assert [r.learning_rate for r in curve] == pytest.approx(rates, rel=1e-12)


@pytest.mark.parametrize(
    "more",
    [
        {"mixup": 0.4},
        {"depth": 0},
        {"layer_norm": True, "scaling": "quantile", "embedding_size": 1},
        {"scaling": "min-max", "activation": "sigmoid", "embedding_size": 16},
    ],
    ids=str,
)
def test_the_three_ways_agree(more: dict[str, Any]) -> None:
    curves = {}
    for name, rows in batches(data()).items():
        rows.place(0, Trial(3, {**PARAMS, **more}, 5))
        curves[name] = [plain.reading(rows) for _ in range(plain.EPOCHS)]
    for name in ("stacked", "fused"):
        for one, two in zip(curves["alone"], curves[name], strict=True):
            for number in ("train_loss", "val_loss", "grad_norm", *LAYER_NORMS):
                assert math.isclose(two.get(number), one.get(number), rel_tol=2e-4, abs_tol=1e-6) or (
                    math.isnan(two.get(number)) and math.isnan(one.get(number))
                ), (name, number)


def test_noise_and_mixing_leave_codes_as_they_are() -> None:
    """A category that does not exist would be looked up else."""
    for rows in batches(data()).values():
        rows.place(0, Trial(3, {**PARAMS, "input_noise": 3.0, "mixup": 1.0}, 5))
        assert all(math.isfinite(plain.reading(rows).val_loss) for _ in range(plain.EPOCHS))


def test_without_embedding_size_the_columns_are_zeros_and_ones() -> None:
    found = data()
    numbers = encode(frame(), found.encoding)
    plain_rows = from_arrays(numbers, target(), DataSpec(source="memory", test=0.0))
    assert found.train.codes is not None
    for params in ({}, {"embedding_size": 0}):
        for rows, same in zip(batches(found).values(), batches(plain_rows).values(), strict=True):
            readings = []
            for each in (rows, same):
                each.place(0, Trial(3, {"learning_rate": 0.01, **params}, 5))
                readings.append([plain.reading(each).val_loss for _ in range(plain.EPOCHS)])
            assert readings[0] == readings[1]


def test_a_network_of_ones_own_sees_zeros_and_ones_though_it_has_such_a_parameter() -> None:
    found = data()
    tensors = tensors_of(Job(plain.study(), found), found)
    own = tensors.suited("./net.py:build", Recipe(embedding_size=3))
    assert own is tensors
    assert context_of(Trial(0, {}, 0), own.data, own.loss.outputs).categories == ()
    coded = tensors.suited("mlp", Recipe(embedding_size=3))
    assert coded is tensors.suited("mlp", Recipe(embedding_size=7))
    context = context_of(Trial(0, {}, 0), coded.data, coded.loss.outputs)
    assert len(context.categories) == 2
    assert context.features[-2:] == ("zip", "kind")
    assert len(context.features) == context.input_shape[0]


@pytest.mark.parametrize("way", ["alone", "stacked", "fused"])
@pytest.mark.parametrize("scaling", ["standard", "quantile"])
def test_the_model_that_is_kept_takes_raw_rows(
    tmp_path: Path, way: str, scaling: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = data()
    rows = batches(found)[way]
    rows.place(0, Trial(3, {**PARAMS, "scaling": scaling}, 5))
    losses = [plain.reading(rows).val_loss for _ in range(plain.EPOCHS)]
    assert rows.save(0, tmp_path)
    model = load_model(tmp_path)
    assert model.losses(frame(), target()).shape == (ROWS,)
    coded = embedded(found)
    outputs = model.module(torch.tensor(coded.validation.x))[:, 0].detach().numpy()
    assert np.mean((outputs - coded.validation.y) ** 2) == pytest.approx(min(losses), rel=1e-4)
    caplog.set_level(logging.WARNING)
    new = frame()[:2]
    new["zip"] = pd.Series(["never", None], dtype=object)
    assert np.isfinite(model.predict(new)).all()
    assert "'never', which training never had" in caplog.text


def test_tables_without_such_columns_train_as_ever() -> None:
    for rows in batches(blobs()).values():
        readings = []
        for row, params in enumerate(({}, {"embedding_size": 8})):
            rows.place(0, Trial(3, params, 5))
            readings.append([plain.reading(rows).val_loss for _ in range(plain.EPOCHS)])
            rows.clear(0)
            assert readings[0] == readings[row]


def test_a_row_of_embeddings_goes_on_from_its_snapshot() -> None:
    found = data()
    for name, rows in batches(found).items():
        trial = Trial(3, PARAMS, 5)
        rows.place(0, trial)
        plain.reading(rows)
        snapshot = rows.snapshot(0)
        wanted = plain.reading(rows).val_loss
        rows.clear(0)
        rows.place(0, trial, snapshot)
        assert plain.reading(rows).val_loss == wanted, name


def test_splits_may_differ_in_how_many_categories_they_know() -> None:
    found = from_arrays(frame(), target(), DataSpec(source="memory", test=0.0, folds=5), resampling=True)
    spec = plain.study(model="mlp").model_copy(update={"data": DataSpec(source="memory", test=0.0, folds=5)})
    job = Job(spec, found, rows=5)
    members = job.members(Trial(3, PARAMS, 5))
    folds = [embedded(job.data_for(member) or found) for member in members]
    assert len({fold.categories for fold in folds}) > 1
    ways: dict[str, TrialBatch] = {"stacked": StackedBatch(job), "fused": FusedBatch(job)}
    for name, rows in ways.items():
        for row, member in enumerate(members):
            rows.place(row, member)
        for reading in rows.advance().values():
            assert isinstance(reading, Reading), name
            assert math.isfinite(reading.val_loss)


def test_an_embedding_has_at_most_half_as_many_numbers_as_there_are_categories() -> None:
    assert sizes_of((301, 12, 3), 16) == (16, 6, 2)
    found = embedded(data())
    module = mlp({"embedding_size": 4}, context_of(Trial(0, {}, 0), found, 1))
    assert [tuple(p.shape) for p in module.parameters()][:2] == [
        (found.categories[0], 4),
        (found.categories[1], 4),
    ]
