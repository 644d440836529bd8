from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.trainers.torch import nets, plain
from tests.trainers.torch.plain import alone, images, stacked
from tests.trainers.torch.test_snapshot import goes_on, job
from tests.trainers.torch.test_stacked import BASE, agree, batches, curves, train
from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.training import TrialBatch
from tuner.core.trial import Params, Trial
from tuner.testing.trainer import blobs, same, study
from tuner.trainers import load_model
from tuner.trainers.torch.compilable import why_not_fused
from tuner.trainers.torch.stacked_row import StackedRow
from tuner.trainers.torch.start import network_of
from tuner.trainers.torch.training_tensors import tensors_of

MIXED: dict[str, Any] = {"precision": "bfloat16"}
NETWORKS = [("Residual", blobs()), ("Gated", blobs()), ("Normalized", blobs()), ("convolutions", images())]


@pytest.mark.parametrize("populate", [alone, stacked])
def test_mixed_precision_trains_as_in_a_plain_loop_with_autocast(
    populate: Callable[[Job], TrialBatch],
) -> None:
    class Autocast(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.training):
                found: Tensor = self.network(x)
            return found.float()

    data, spec = blobs(), study(epochs=plain.EPOCHS, model=nets.of("Residual"), **MIXED)
    params: dict[str, Any] = {"optimizer": "momentum", "momentum": 0.8, "learning_rate": 0.02, "dropout": 0.0}
    network = network_of(Trial(7, params, 5), nets.of("Residual"), tensors_of(Job(spec, data), data), {})
    losses, norms, _ = plain.train(Autocast(network), data, params)
    rows = populate(Job(spec, data, rows=2))
    rows.place(0, Trial(7, params, 5))
    curve = [plain.reading(rows) for _ in range(plain.EPOCHS)]
    assert [r.val_loss for r in curve] == pytest.approx(losses, rel=5e-3)
    assert [r.grad_norm for r in curve] == pytest.approx(norms, rel=5e-3)


@pytest.mark.parametrize(("network", "data"), NETWORKS, ids=[name for name, _ in NETWORKS])
def test_rows_train_side_by_side_in_mixed_precision(network: str, data: Dataset) -> None:
    params: Params = {"optimizer": "momentum", "learning_rate": 0.02}
    full = curves(data, params, model=nets.of(network))
    mixed = curves(data, params, model=nets.of(network), **MIXED)
    agree(*mixed, within=2e-2)
    for one, other in zip(full, mixed, strict=True):
        assert one[-1].train_loss == pytest.approx(other[-1].train_loss, rel=0.1)
        assert not same(one, other)
    _, four = batches(data, model=nets.of(network), **MIXED)
    four.place(0, Trial(0, BASE, 0))
    four.advance()
    assert isinstance(four._rows[0], StackedRow)  # type: ignore[attr-defined]


@pytest.mark.parametrize("populate", [alone, stacked])
def test_mixed_precision_goes_on_bit_for_bit(populate: Callable[[Job], TrialBatch]) -> None:
    goes_on(populate, job(images(), model="cnn", **MIXED), {"width": 4, "ema": 0.5, "accumulation": 2})


@pytest.mark.parametrize("at", [0, 1], ids=["alone", "stacked"])
def test_kept_model_predicts_what_was_measured(at: int, tmp_path: Path) -> None:
    batch = batches(images(), model="cnn", **MIXED)[at]
    curve = train(batch, Trial(4, BASE, 0))
    assert batch.save(0, tmp_path)
    data = images()
    losses = load_model(tmp_path).losses(data.validation.x, np.asarray(data.classes)[data.validation.y])
    assert losses.mean() == pytest.approx(min(each.val_loss for each in curve), rel=1e-6)


def test_compiled_rows_have_no_mixed_precision() -> None:
    assert "bfloat16 is not compiled" in str(why_not_fused(study(model="mlp", **MIXED), blobs(), "cpu"))
