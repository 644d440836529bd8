from __future__ import annotations

import dataclasses
import math
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainers.torch.plain import images
from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, TrialBatch
from tuner.core.trial import Params, Reading, Trial
from tuner.data.scaling import KINDS
from tuner.errors import DataError
from tuner.testing.trainer import blobs, line, same, study
from tuner.trainers import load_model, open_batch
from tuner.trainers.torch import TorchTrainer
from tuner.trainers.torch.compilable import why_not_fused
from tuner.trainers.torch.fused import FusedBatch

BASE = {"width": 12, "batch_size": 16, "learning_rate": 0.01}


def curves(data: Dataset, params: Params, **trainer: Any) -> tuple[list[Reading], list[Reading]]:
    """The reference's curve and the fused one."""
    job = Job(study(epochs=3, model="mlp", **trainer), data)
    return tuple(  # type: ignore[return-value]
        curve(batch, params) for batch in (open_batch(TorchTrainer(), job), FusedBatch(job))
    )


def curve(batch: TrialBatch, params: Params) -> list[Reading]:
    batch.place(0, Trial(4, {**BASE, **params}, 0))
    found = []
    for _ in range(3):
        outcome = batch.advance()[0]
        assert isinstance(outcome, Reading), outcome
        found.append(outcome)
    return found


# Adam makes a step of the rounding where a bias in front of a normalization has no derivative.
NORMALIZED: list[dict[str, Any]] = [
    *({"batch_size": size} for size in (5, 16, 64, 79, 80, 100, "full")),
    {"layer_norm": True, "activation": "gelu", "depth": 3},
    {"ema": 0.8, "l2": 1e-2, "batch_size": 13},
    {"weight_decay": 0.3, "l1": 1e-3, "clipping": "norm", "mixup": 0.3},
    {"depth": 0},
]

SETTINGS: list[dict[str, Any]] = [
    *({"optimizer": name} for name in ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")),
    *({"schedule": name} for name in ("linear", "step", "exponential", "cosine", "one_cycle")),
    {"schedule": "warm_restarts", "restart_growth": 1.5},
    {"schedule": "plateau", "plateau_patience": 0, "learning_rate": 0.3, "optimizer": "momentum"},
    *({"activation": name} for name in ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "gelu", "silu")),
    *(
        {"init": name, "init_gain": 0.5}
        for name in (
            "small_normal",
            "xavier_uniform",
            "xavier_normal",
            "he_uniform",
            "he_normal",
            "orthogonal",
        )
    ),
    *({"batch_size": size} for size in (1, 7, 80, 512, "full")),
    *({"depth": depth} for depth in (0, 1, 4)),
    *({"width": width} for width in (1, 8, 37, 256)),
    *({"scaling": name} for name in KINDS),
    {"momentum": 0.0, "optimizer": "nesterov"},
    {"warmup": 0.3, "schedule": "cosine"},
    {"clipping": "norm", "clip_norm": 0.3},
    {"clipping": "value", "clip_value": 0.05},
    {"clip_parameters": 0.1},
    *({"batch_norm": True, "optimizer": "momentum", **more} for more in NORMALIZED),
    {"ema": 0.8, "optimizer": "momentum"},
    {"accumulation": 2, "batch_size": 7},
    {"accumulation": 3, "batch_size": 32, "schedule": "linear", "ema": 0.5},
    {"accumulation": 2, "batch_size": "full"},
    {"l1": 1e-3, "optimizer": "adagrad"},
    {"l2": 1e-2, "optimizer": "momentum"},
    {"weight_decay": 0.3},
    {"label_smoothing": 0.2},
    {"mixup": 0.4},
    {"layer_norm": True, "activation": "gelu"},
]


@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_every_setting_gives_the_references_curve(params: Params) -> None:
    agree(*curves(blobs(), params))


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_every_regression_loss_gives_the_references_curve(loss: str) -> None:
    # Adam makes a step of the rounding where the signs of mae cancel out.
    agree(*curves(line(), {"mixup": 0.3, "optimizer": "momentum"}, loss=loss))


def test_binary_cross_entropy_of_several_and_of_two_classes_gives_the_references_curve() -> None:
    agree(*curves(blobs(), {"label_smoothing": 0.2}, loss="binary_cross_entropy"))
    two = blobs()
    splits = {
        name: dataclasses.replace(getattr(two, name), y=np.minimum(getattr(two, name).y, 1))
        for name in ("train", "validation")
    }
    pair = dataclasses.replace(two, classes=("ant", "bee"), **splits)
    agree(*curves(pair, {"mixup": 0.3}, loss="binary_cross_entropy"))


def test_flattened_images_give_the_references_curve() -> None:
    agree(*curves(images(), {}))


def agree(reference: list[Reading], fused: list[Reading]) -> None:
    for one, two in zip(reference, fused, strict=True):
        assert math.isfinite(one.train_loss)
        assert one.epoch == two.epoch
        for name in ("train_loss", "val_loss", "grad_norm", "learning_rate"):
            assert two.get(name) == pytest.approx(one.get(name), rel=1e-4, abs=1e-6), name
        for name in ("train_score", "val_score"):
            assert two.get(name) == pytest.approx(one.get(name), rel=1e-3, abs=0.04), name
    assert reference[0].train_loss != reference[-1].train_loss


def test_accumulation_of_mixed_batches_is_left_to_other_rows() -> None:
    space = {"accumulation": {"type": "int", "low": 1, "high": 4, "default": 1}}
    plain = {"trainer": {"model": "mlp"}, "space": space}
    mixed = {**plain, "space": {**space, "fixed": {"mixup": 0.2}}}
    assert why_not_fused(StudySpec.parse(plain), blobs(), "cpu") is None
    assert "accumulation is not compiled with mixup" in str(
        why_not_fused(StudySpec.parse(mixed), blobs(), "cpu")
    )


def test_dropout_and_noise_do_to_the_curve_what_the_references_do() -> None:
    params = {"dropout": 0.5, "input_noise": 0.5, "batch_size": 8, "learning_rate": 0.003, "width": 64}
    quiet = curves(blobs(), {**params, "dropout": 0.0, "input_noise": 0.0})[1]
    ends: list[list[float]] = [[], []]
    for number in range(8):
        job = Job(study(epochs=3, model="mlp"), blobs())
        batches: tuple[TrialBatch, ...] = (open_batch(TorchTrainer(), job), FusedBatch(job))
        for batch, end in zip(batches, ends, strict=True):
            batch.place(0, Trial(number, params, 0))
            outcomes = [batch.advance()[0] for _ in range(3)]
            assert isinstance(outcomes[-1], Reading)
            end.append(outcomes[-1].train_loss)
    reference, fused = map(np.array, ends)
    assert fused.mean() == pytest.approx(reference.mean(), rel=0.1)
    assert quiet[-1].train_loss < fused.mean()


def test_saved_model_is_the_references(tmp_path: Path) -> None:
    job, models = Job(study(epochs=3, model="mlp"), blobs()), []
    for name, batch in (("one", open_batch(TorchTrainer(), job)), ("two", FusedBatch(job))):
        curve(batch, {"layer_norm": True, "depth": 2})
        (tmp_path / name).mkdir()
        assert batch.save(0, tmp_path / name)
        models.append(load_model(tmp_path / name))
    one, two = ({n: t.numpy() for n, t in model.module.state_dict().items()} for model in models)
    assert list(one) == list(two)
    for name, weights in one.items():
        np.testing.assert_allclose(two[name], weights, atol=1e-4)
    rows = blobs().validation.x
    assert np.array_equal(models[0].predict(rows), models[1].predict(rows))


def test_rows_of_any_shape_train_beside_each_other(tmp_path: Path) -> None:
    job = Job(study(epochs=3, model="mlp"), blobs(), rows=4)
    params: list[Params] = [{**BASE, "width": 8 * (i + 1), "depth": i, "dropout": 0.1} for i in range(4)]
    together = FusedBatch(job)
    for row, each in enumerate(params):
        together.place(row, Trial(row, each, 0))
    found = [together.advance() for _ in range(3)]
    assert [type(outcome) for outcome in together.advance().values()] == [Exhausted] * 4
    assert together.save(3, tmp_path)
    for row, each in enumerate(params):
        alone = FusedBatch(job)
        alone.place(2, Trial(row, each, 0))
        wanted: Any = [alone.advance()[2] for _ in range(3)]
        together_curve: Any = [outcomes[row] for outcomes in found]
        assert same(together_curve, wanted)


def test_what_cannot_be_fused_is_said_in_words() -> None:
    shifted = StudySpec.parse(
        {
            "trainer": {"model": "mlp"},
            "space": {"image_shift": {"type": "int", "low": 0, "high": 2, "default": 0}},
        }
    )
    assert why_not_fused(study(), blobs(), "cpu") is None
    assert why_not_fused(study(model="mlp"), images(), "cpu") is None
    assert why_not_fused(shifted, blobs(), "cpu") is None
    assert "cnn" in str(why_not_fused(study(), images(), "cpu"))
    assert "net.py" in str(why_not_fused(study(model="./net.py:build"), blobs(), "cpu"))
    assert "cuda" in str(why_not_fused(study(), blobs(), "cuda"))
    assert "image_shift" in str(why_not_fused(shifted, images(), "cpu"))


def test_study_without_data_is_refused() -> None:
    with pytest.raises(DataError, match="data"):
        FusedBatch(Job(study(), None))


def test_occupied_or_missing_row_is_refused() -> None:
    batch = FusedBatch(Job(study(), blobs(), rows=2))
    batch.place(0, Trial(0, BASE, 0))
    for row in (0, 2, -1):
        with pytest.raises(ValueError, match="not an empty row"):
            batch.place(row, Trial(1, BASE, 0))


def test_a_row_trains_on_while_another_thread_empties_and_fills_the_others() -> None:
    rows = FusedBatch(Job(study(epochs=1000, model="mlp"), blobs(), rows=300))
    trial = Trial(0, {**BASE, "width": 8, "batch_size": "full"}, 0)

    def neighbours() -> None:
        for turn in range(2000):
            rows.clear(1 + turn % 299)
            rows.place(1 + turn % 299, trial)

    for row in range(300):
        rows.place(row, trial)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as other:
            done = other.submit(neighbours)
            epoch = 0
            while not done.done() and epoch < 1000:
                epoch += 1
                assert isinstance(rows.advance([0])[0], Reading)
            done.result()
    finally:
        sys.setswitchinterval(before)
