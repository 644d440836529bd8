"""The whole trainer beside a plain loop on the same first weights and the same order of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.trainers.torch import plain
from tuner.core.dataset import Task
from tuner.core.job import Job
from tuner.core.seeds import derive
from tuner.core.training import TrialBatch
from tuner.core.trial import Trial
from tuner.testing.trainer import blobs, line
from tuner.trainers.torch.fused import FusedBatch
from tuner.trainers.torch.initialization import initialize

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"learning_rate": 0.1},
    "momentum": {"learning_rate": 0.03, "momentum": 0.8},
    "nesterov": {"learning_rate": 0.03, "momentum": 0.7},
    "adagrad": {"learning_rate": 0.05},
    "rmsprop": {"learning_rate": 0.002, "rms_decay": 0.95},
    "adam": {"learning_rate": 0.01, "beta1": 0.8, "beta2": 0.99},
    "adamw": {"learning_rate": 0.01, "beta1": 0.85, "beta2": 0.98, "weight_decay": 0.1},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "l1": {"l1": 0.01},
    "l2": {"l2": 0.05},
    "weight decay": {"weight_decay": 0.1},
    "label smoothing": {"label_smoothing": 0.2},
    "norm clip": {"clipping": "norm", "clip_norm": 0.3},
    "value clip": {"clipping": "value", "clip_value": 0.05},
    "linear": {"schedule": "linear", "warmup": 0.25},
    "step": {"schedule": "step", "step_decay": 0.4, "step_drops": 3},
    "exponential": {"schedule": "exponential", "exponential_decay": 0.01, "warmup": 0.1},
    "cosine": {"schedule": "cosine"},
    "warm restarts": {"schedule": "warm_restarts", "restarts": 1, "restart_growth": 1.5, "warmup": 0.2},
    "one_cycle": {"schedule": "one_cycle", "one_cycle_rise": 0.4},
    "parameter clip": {"clip_parameters": 0.4},
    "average": {"ema": 0.9},
    "short average": {"ema": 0.3, "batch_size": 16, "schedule": "linear"},
    "accumulation": {"accumulation": 2, "schedule": "linear"},
    "accumulation of more than there are": {"accumulation": 100, "batch_size": 13},
    "all at once": {
        "l1": 0.001,
        "l2": 0.01,
        "weight_decay": 0.05,
        "label_smoothing": 0.1,
        "clipping": "norm",
        "clip_norm": 0.5,
        "schedule": "linear",
        "warmup": 0.2,
        "batch_size": 16,
        "accumulation": 4,
        "clip_parameters": 0.7,
        "ema": 0.5,
    },
}
BATCHES: tuple[int | str, ...] = (1, 16, 32, 64, 90, 128, 512, "full")


def agree(params: dict[str, Any], task: Task = Task.CLASSIFICATION) -> None:
    data = blobs() if task is Task.CLASSIFICATION else line()
    outputs = data.outputs
    size = data.input_shape[0]
    network = nn.Sequential(nn.Linear(size, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, outputs))
    generator = torch.Generator().manual_seed(derive(5, 7, "initialization"))
    initialize(network, "xavier_normal", 1.1, generator)
    losses, norms, rates = plain.train(network, data, params)
    whole = {
        **params,
        "init": "xavier_normal",
        "init_gain": 1.1,
        "width": 8,
        "depth": 2,
        "activation": "tanh",
    }
    curve = plain.curve(data, whole)
    assert [r.val_loss for r in curve] == pytest.approx(losses, rel=2e-4)
    assert [r.grad_norm for r in curve] == pytest.approx(norms, rel=2e-4)
    assert [r.learning_rate for r in curve] == pytest.approx(rates, rel=1e-12)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("task", list(Task))
def test_every_optimizer_trains_as_torch_does(optimizer: str, task: Task) -> None:
    agree({"optimizer": optimizer, **OPTIMIZERS[optimizer]}, task)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("optimizer", ["nesterov", "adam"])
def test_every_setting_acts_as_in_the_plain_loop(optimizer: str, setting: str) -> None:
    agree({"optimizer": optimizer, **OPTIMIZERS[optimizer], **SETTINGS[setting]})


@pytest.mark.parametrize("populate", [plain.alone, plain.stacked, FusedBatch])
def test_rate_follows_the_validation_loss_as_torchs_plateau_does(
    populate: Callable[[Job], TrialBatch],
) -> None:
    params: dict[str, Any] = {
        "optimizer": "momentum",
        "learning_rate": 1.5,
        "momentum": 0.9,
        "batch_size": 16,
    }
    params |= {"schedule": "plateau", "plateau_factor": 0.4, "plateau_patience": 1, "width": 8}
    rows = populate(Job(plain.study(model="mlp", epochs=12), blobs(), rows=1))
    rows.place(0, Trial(7, params, 5))
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.5)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.4, patience=1)
    rates = []
    for _ in range(12):
        found = plain.reading(rows)
        rates.append(scheduler.get_last_lr()[0])
        assert found.learning_rate == pytest.approx(rates[-1], rel=1e-12)
        scheduler.step(found.val_loss)
    assert len(set(rates)) > 2


@pytest.mark.parametrize("batch_size", BATCHES)
def test_every_batch_size_steps_as_in_the_plain_loop(batch_size: int | str) -> None:
    agree({"optimizer": "momentum", "learning_rate": 0.02, "momentum": 0.5, "batch_size": batch_size})


def test_batch_larger_than_the_data_is_the_full_batch() -> None:
    params: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 0.1}
    full, larger = (plain.curve(blobs(), {**params, "batch_size": size}) for size in ("full", 1000))
    assert [r.val_loss for r in full] == [r.val_loss for r in larger]


def test_settings_that_are_left_out_are_neutral() -> None:
    bare = plain.curve(blobs(), {"learning_rate": 0.01})
    neutral: dict[str, Any] = {
        "learning_rate": 0.01,
        "optimizer": "adam",
        "schedule": "constant",
        "clipping": "none",
        "batch_size": 32,
        "l1": 0.0,
        "l2": 0.0,
        "weight_decay": 0.0,
        "dropout": 0.0,
        "mixup": 0.0,
        "init": "he_uniform",
        "scaling": "standard",
    }
    assert [r.val_loss for r in bare] == [r.val_loss for r in plain.curve(blobs(), neutral)]
