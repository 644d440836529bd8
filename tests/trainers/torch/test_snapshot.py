from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers.torch import nets
from tests.trainers.torch.plain import alone, images, series, stacked, texts
from tests.trainers.torch.test_fused import SETTINGS
from tuner.core.dataset import Dataset, InputKind
from tuner.core.job import Job, Resources
from tuner.core.training import Exhausted, Failure, Snapshot, TrialBatch
from tuner.core.trial import Params, Reading, Trial
from tuner.testing.trainer import blobs, line, same, study, written_and_read
from tuner.trainers import load_model
from tuner.trainers.torch.fused import FusedBatch

EPOCHS = 3
NOISY: Params = {"width": 12, "batch_size": 16, "dropout": 0.3, "input_noise": 0.2, "mixup": 0.3}
KINDS: list[Callable[[Job], TrialBatch]] = [alone, FusedBatch]

NETWORKS = """
import torch
from torch import nn

class Buffers(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm, self.out = nn.BatchNorm1d(inputs), nn.Linear(inputs, outputs)
        self.again = self.out
        self.register_buffer("seen", torch.zeros(()), persistent=False)
        self.register_buffer("count", torch.zeros(3, dtype=torch.bfloat16))

    def forward(self, x):
        if self.training:
            self.seen += x.mean()
            self.count += 1
        return self.again(self.norm(x)) * (1 + 0.1 * self.seen.tanh()) + self.count.float().mean()

class Told(nn.Linear):
    def get_extra_state(self):
        return {"steps": 3}

    def set_extra_state(self, state):
        pass

class Mixed(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.a, self.b = nn.LazyLinear(8), nn.Linear(8, outputs, dtype=torch.bfloat16)

    def forward(self, x):
        return self.b(self.a(x).relu().bfloat16()).float()

def buffers(params, context):
    return Buffers(context.input_shape[0], context.outputs)

def told(params, context):
    return Told(context.input_shape[0], context.outputs)

def mixed(params, context):
    return Mixed(context.input_shape[0], context.outputs)
"""


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets.py").write_text(NETWORKS)
    monkeypatch.chdir(tmp_path)


def job(data: Dataset | None = None, **trainer: Any) -> Job:
    return Job(study(epochs=EPOCHS, **{"model": "mlp", **trainer}), data or blobs(), rows=2)


def reading(batch: TrialBatch, row: int) -> Reading:
    outcome = batch.advance([row])[row]
    assert isinstance(outcome, Reading), outcome
    return outcome


def snapshot(batch: TrialBatch, row: int) -> Snapshot:
    found = batch.snapshot(row)
    assert found is not None
    return written_and_read(found)


def goes_on(populate: Callable[[Job], TrialBatch], given: Job, params: Params) -> None:
    """Train a trial whole, and again with a move to a fresh batch after every epoch."""
    trial = Trial(4, params, 0)
    whole = populate(given)
    whole.place(0, trial)
    wanted = [reading(whole, 0) for _ in range(EPOCHS)]
    found: list[Reading] = []
    state: Snapshot | None = None
    for _ in range(EPOCHS):
        batch = populate(given)
        row = batch.capacity - 1
        batch.place(row, trial, state)
        found.append(reading(batch, row))
        state = snapshot(batch, row)
    assert same(found, wanted)
    end = snapshot(whole, 0)
    assert state is not None
    assert {n: a.tobytes() for n, a in state.arrays.items()} == {
        n: a.tobytes() for n, a in end.arrays.items()
    }
    batch = populate(given)
    batch.place(0, trial, state)
    assert batch.advance() == {0: Exhausted()}


@pytest.mark.parametrize("populate", KINDS)
@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_every_setting_goes_on_bit_for_bit(populate: Callable[[Job], TrialBatch], params: Params) -> None:
    goes_on(populate, job(), {**NOISY, **params})


@pytest.mark.parametrize("populate", KINDS)
def test_regression_goes_on_bit_for_bit(populate: Callable[[Job], TrialBatch]) -> None:
    goes_on(populate, job(line(), loss="mae"), NOISY)


AUGMENTED: dict[InputKind, Params] = {
    InputKind.IMAGE: {
        "image_crop": 0.3,
        "image_rotation": 20.0,
        "image_shift": 2,
        "image_flip": True,
        "mixup": 0.3,
        "image_flip_vertical": True,
        "image_brightness": 0.3,
        "image_contrast": 0.3,
        "image_cutout": 2,
    },
    InputKind.SERIES: {"time_shift": 2, "input_noise": 0.2},
    InputKind.TOKENS: {"token_dropout": 0.3},
}


@pytest.mark.parametrize("populate", [alone, stacked])
@pytest.mark.parametrize(
    ("data", "model"),
    [(images(), "cnn"), (series(), nets.of("Steps")), (texts(), nets.of("Words"))],
    ids=["images", "series", "tokens"],
)
def test_augmented_inputs_go_on_bit_for_bit(
    populate: Callable[[Job], TrialBatch], data: Dataset, model: str
) -> None:
    goes_on(populate, job(data, model=model), {"width": 4, **AUGMENTED[data.kind], "optimizer": "adam"})


@pytest.mark.parametrize("name", ["buffers", "mixed"])
@pytest.mark.parametrize("optimizer", ["momentum", "adamw", "adagrad"])
@pytest.mark.usefixtures("networks")
def test_networks_of_ones_own_go_on_bit_for_bit(name: str, optimizer: str) -> None:
    given = job(model=f"./nets.py:{name}")
    goes_on(alone, given, {"optimizer": optimizer, "learning_rate": 0.01})


@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
@pytest.mark.parametrize("name", ["Normalized", "NormalizedTwice", "normalized_convolutions"])
def test_running_averages_go_on_bit_for_bit(name: str, optimizer: str) -> None:
    given = job(images() if name == "normalized_convolutions" else blobs(), model=nets.of(name))
    params: Params = {**NOISY, "optimizer": optimizer, "learning_rate": 0.01, "norm_momentum": 0.0}
    params = {**params, "ema": 0.7, "accumulation": 2}
    goes_on(stacked, given, params)


@pytest.mark.usefixtures("networks")
def test_a_network_with_a_state_that_is_no_tensor_has_no_snapshot() -> None:
    batch = alone(job(model="./nets.py:told"))
    batch.place(0, Trial(4, {}, 0))
    reading(batch, 0)
    assert batch.snapshot(0) is None


@pytest.mark.parametrize("populate", KINDS)
def test_best_epoch_before_the_snapshot_is_still_what_is_saved(
    populate: Callable[[Job], TrialBatch], tmp_path: Path
) -> None:
    # Learning rates grow until nothing is learned: the first epoch stays the best one.
    given, params = job(), {**NOISY, "optimizer": "sgd", "learning_rate": 50.0, "warmup": 1.0}
    trial = Trial(4, params, 0)
    one, two = populate(given), populate(given)
    one.place(0, trial)
    best = reading(one, 0)
    one.save(0, _made(tmp_path / "first"))
    assert not reading(one, 0).val_loss < best.val_loss
    two.place(1 % two.capacity, trial, snapshot(one, 0))
    assert not reading(two, 1 % two.capacity).val_loss < best.val_loss
    two.save(1 % two.capacity, _made(tmp_path / "later"))
    first, later = (load_model(tmp_path / name) for name in ("first", "later"))
    assert first.description == later.description
    for name, tensor in first.module.state_dict().items():
        assert np.array_equal(tensor, later.module.state_dict()[name])


@pytest.mark.parametrize("populate", KINDS)
def test_snapshot_that_does_not_fit_the_trial_fails_it(populate: Callable[[Job], TrialBatch]) -> None:
    batch = populate(job())
    batch.place(0, Trial(4, NOISY, 0))
    reading(batch, 0)
    state = snapshot(batch, 0)
    batch.clear(0)
    broken = (
        dataclasses.replace(state, arrays={}),
        dataclasses.replace(state, facts={}),
        state,
    )
    for each, params in zip(broken, (NOISY, NOISY, {**NOISY, "width": 64}), strict=True):
        batch.place(0, Trial(4, params, 0), each)
        assert isinstance(batch.advance()[0], Failure)
        assert batch.snapshot(0) is None
        batch.clear(0)
    batch.place(0, Trial(4, NOISY, 0), state)
    assert reading(batch, 0).epoch == 2


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("optimizer", ["momentum", "adamw", "adagrad"])
def test_trials_on_a_gpu_go_on_bit_for_bit(optimizer: str) -> None:
    given = dataclasses.replace(job(), resources=Resources(("cuda",)))
    goes_on(alone, given, {**NOISY, "optimizer": optimizer})
