from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainers.torch import nets, plain
from tuner.core.dataset import Dataset, Split, Task
from tuner.core.job import Job, Resources
from tuner.core.training import Exhausted, Failure
from tuner.core.trial import Params, Reading, Trial
from tuner.data.scaling import KINDS
from tuner.errors import DataError, DeviceError
from tuner.testing.trainer import blobs, line, same
from tuner.trainers import open_batch
from tuner.trainers.torch import NetworkContext, TorchTrainer
from tuner.trainers.torch.byte_images import ByteImages
from tuner.trainers.torch.fused import FusedBatch
from tuner.trainers.torch.recipe import AUGMENTATIONS
from tuner.trainers.torch.training_tensors import tensors_of

NOISY = {"dropout": 0.3, "input_noise": 0.2, "mixup": 0.4, "learning_rate": 0.01}


def normalized(params: Params, context: NetworkContext) -> nn.Module:
    return nn.Sequential(
        nn.Linear(context.input_shape[0], 8), nn.BatchNorm1d(8), nn.Linear(8, context.outputs)
    )


def lazy(params: Params, context: NetworkContext) -> nn.Module:
    return nn.Sequential(nn.LazyLinear(6), nn.ReLU(), nn.LazyLinear(context.outputs))


def flat_output(params: Params, context: NetworkContext) -> nn.Module:
    return nn.Sequential(nn.Linear(context.input_shape[0], 1), nn.Flatten(0))


SEEN: list[int] = []


def watching(params: Params, context: NetworkContext) -> nn.Module:
    network = nn.Linear(context.input_shape[0], context.outputs)
    network.register_forward_hook(lambda *_: SEEN.append(torch.get_num_threads()))
    return network


def too_wide(params: Params, context: NetworkContext) -> nn.Module:
    return nn.Linear(context.input_shape[0], context.outputs + 1)


def two_results(params: Params, context: NetworkContext) -> nn.Module:
    return nn.LSTM(context.input_shape[0], context.outputs)


def no_network(params: Params, context: NetworkContext) -> Any:
    return "network"


def failing(params: Params, context: NetworkContext) -> nn.Module:
    raise KeyError("first line\nsecond line")


def failure(model: str, data: Dataset | None = None) -> Failure:
    rows = plain.batch(data or blobs(), plain.study(model=f"{__name__}:{model}"))
    rows.place(0, Trial(0, {}, 0))
    outcome = rows.advance()[0]
    assert isinstance(outcome, Failure)
    assert rows.advance()[0] is outcome
    return outcome


def test_two_batches_in_turn_do_not_disturb_each_other() -> None:
    alone = [plain.curve(blobs(), NOISY, number=n) for n in (1, 2)]
    rows = [plain.batch(blobs()) for _ in alone]
    for batch, number in zip(rows, (1, 2), strict=True):
        batch.place(0, Trial(number, NOISY, 5))
    together = [[plain.reading(batch) for batch in rows] for _ in range(plain.EPOCHS)]
    for index, curve in enumerate(alone):
        assert same([turn[index] for turn in together], curve)


def test_global_generators_stay_where_they_were() -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    wanted = torch.rand(3), np.random.rand(3)
    torch.manual_seed(3)
    np.random.seed(3)
    plain.curve(blobs(), NOISY)
    assert torch.equal(torch.rand(3), wanted[0])
    assert np.array_equal(np.random.rand(3), wanted[1])


def test_threads_are_the_jobs_and_the_processs_come_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        job = Job(plain.study(model=f"{__name__}:watching"), blobs(), resources=Resources(threads=2))
        rows = open_batch(TorchTrainer(), job)
        rows.place(0, Trial(0, {}, 0))
        SEEN.clear()
        plain.reading(rows)
        assert set(SEEN) == {2}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_trials_differ_by_number_and_study_seed_alone() -> None:
    params = {"learning_rate": 0.01}
    assert not same(plain.curve(blobs(), params, number=1), plain.curve(blobs(), params, number=2))


@pytest.mark.parametrize("setting", ["dropout", "input_noise", "mixup"])
def test_noise_acts_in_training_and_not_in_measuring(setting: str) -> None:
    frozen = plain.curve(blobs(), {"learning_rate": 0.0, setting: 0.4})
    assert len({r.val_loss for r in frozen}) == len({r.train_loss for r in frozen}) == 1
    assert len({r.grad_norm for r in frozen}) == plain.EPOCHS
    still = plain.curve(blobs(), {"learning_rate": 0.0})
    assert frozen[0].val_loss == still[0].val_loss
    assert frozen[0].grad_norm != still[0].grad_norm


AUGMENTED: dict[str, Any] = {
    "image_crop": 0.4,
    "image_rotation": 20.0,
    "image_shift": 2,
    "image_flip": True,
    "image_cutout": 3,
    "image_flip_vertical": True,
    "image_brightness": 0.4,
    "image_contrast": 0.4,
    "image_saturation": 0.4,
    "time_shift": 2,
    "token_dropout": 0.4,
    "input_noise": 0.4,
}


@pytest.mark.parametrize(("setting", "value"), AUGMENTED.items())
def test_inputs_are_augmented_by_what_is_for_their_kind(setting: str, value: Any) -> None:
    colored = plain.images(shape=(3, 8, 8))
    for data, model in (
        (blobs(), "mlp"),
        (colored, "cnn"),
        (plain.series(), "Steps"),
        (plain.texts(), "Words"),
    ):
        spec = plain.study(model=model if model.islower() else nets.of(model))
        rate = {"learning_rate": 0.01}
        one, other = (plain.curve(data, params, spec) for params in (rate, {**rate, setting: value}))
        assert same(one, other) is (setting not in AUGMENTATIONS[data.kind])


def test_every_augmentation_is_tested() -> None:
    assert set(AUGMENTED) == {name for names in AUGMENTATIONS.values() for name in names}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_bytes_train_as_those_of_numbers_do(kind: str, channels: int) -> None:
    data = plain.images(shape=(channels, 8, 8))
    splits = [
        dataclasses.replace(split, x=np.clip(40 * split.x + 100, 0, 255).astype(np.uint8))
        for split in (data.train, data.validation)
    ]
    splits[0].x[:, 0, 0, 0] = 7  # a pixel that never changes
    params: Params = {"scaling": kind, "width": 4, "image_shift": 1, "learning_rate": 0.01}
    kinds = {"cnn": (plain.alone, plain.stacked), "mlp": (plain.stacked, FusedBatch)}
    for model, batch in ((model, batch) for model, batches in kinds.items() for batch in batches):
        found = []
        for dtype in (np.uint8, np.float32):
            train, validation = (dataclasses.replace(split, x=split.x.astype(dtype)) for split in splits)
            own = dataclasses.replace(data, train=train, validation=validation)
            rows = batch(Job(plain.study(model=model), own, rows=1))
            rows.place(0, Trial(7, params, 5))
            found.append([plain.reading(rows) for _ in range(2)])
        assert same(*found)


def test_bytes_stay_bytes_in_memory() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 2, 3, 3), np.uint8)
    splits = Split(pixels[:6], np.arange(6) % 3), Split(pixels[6:], np.arange(3))
    data = Dataset(*splits, Task.CLASSIFICATION, classes=("a", "b", "c"))
    inputs = tensors_of(Job(plain.study(), data), data).inputs("quantile")
    for part in (inputs.train, inputs.sample, inputs.validation):
        assert isinstance(part, ByteImages)
        assert part.pixels.dtype == torch.uint8
    np.testing.assert_array_equal(inputs.validation[:], inputs.scaling.apply(pixels[6:]))
    several = torch.tensor([[0, 2], [1, 1]])
    assert torch.equal(inputs.train[several][1, 0], inputs.train[:][1])


def test_searched_scaling_takes_the_place_of_the_datas() -> None:
    data = dataclasses.replace(blobs(), scaling="none")
    curves = {kind: plain.curve(data, {"scaling": kind}) for kind in KINDS}
    assert same(plain.curve(data, {}), curves["none"])
    assert len({curve[0].val_loss for curve in curves.values()}) == len(KINDS)
    assert same(plain.curve(dataclasses.replace(data, scaling="standard"), {}), curves["standard"])


def test_training_loss_is_measured_on_as_many_rows_as_validation_and_the_same_for_all_trials() -> None:
    data = blobs(rows=90)
    small = dataclasses.replace(data, validation=Split(data.validation.x[:10], data.validation.y[:10]))
    frozen: Params = {"learning_rate": 0.0, "depth": 0, "init": "small_normal", "init_gain": 0.0}
    # A network of zeros has a loss of log 3 everywhere and calls every row the first class, so its
    # score is the share of that class in the sample.
    scores = [plain.curve(small, frozen, number=n)[0].train_score for n in range(3)]
    assert len(set(scores)) == 1
    assert scores[0] * 10 == pytest.approx(round(scores[0] * 10))
    assert plain.curve(small, frozen)[0].train_loss == pytest.approx(math.log(3), rel=1e-6)


def test_large_splits_are_measured_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = plain.curve(blobs(), {})
    monkeypatch.setattr("tuner.trainers.torch.session.CHUNK", 35)
    assert [r.val_loss for r in plain.curve(blobs(), {})] == pytest.approx([r.val_loss for r in whole])


def test_rmse_is_in_the_targets_own_units() -> None:
    [first, *_] = plain.curve(line(), {}, plain.study(score="rmse"))
    assert first.val_score == pytest.approx(20 * math.sqrt(first.val_loss), rel=1e-4)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("classes", [2, 3])
def test_classification_is_learned_under_each_loss(loss: str, classes: int) -> None:
    data = blobs(rows=120)
    if classes == 2:
        splits = [Split(s.x[s.y < 2], s.y[s.y < 2]) for s in (data.train, data.validation)]
        data = dataclasses.replace(data, train=splits[0], validation=splits[1], classes=("ant", "bee"))
    for params in ({}, {"mixup": 0.2, "label_smoothing": 0.1}):
        curve = plain.curve(data, {"learning_rate": 0.02, **params}, plain.study(loss=loss, epochs=8))
        assert curve[-1].train_score > 0.85
        assert curve[-1].val_loss < curve[0].val_loss


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_regression_is_learned_under_each_loss(loss: str) -> None:
    spec = plain.study(loss=loss, epochs=10)
    for params in ({}, {"mixup": 0.2}):
        curve = plain.curve(line(rows=150), {"learning_rate": 0.02, **params}, spec)
        assert curve[-1].val_score > 0.8


def test_trial_ends_with_its_last_epoch() -> None:
    rows = plain.batch(blobs())
    rows.place(0, Trial(0, {}, 0))
    for _ in range(plain.EPOCHS):
        plain.reading(rows)
    assert rows.advance()[0] == Exhausted()


def test_divergence_shows_as_nan_or_infinity_and_leaves_the_best_epoch() -> None:
    rows = plain.batch(line())
    rows.place(0, Trial(0, {"optimizer": "sgd", "learning_rate": 1e20}, 0))
    curve = [plain.reading(rows) for _ in range(plain.EPOCHS)]
    assert not math.isfinite(curve[-1].val_loss)


def test_one_row_over_joins_the_batch_before_it_where_batches_are_normalized() -> None:
    spec = plain.study(model=f"{__name__}:normalized")
    data = blobs(rows=33)
    curve = plain.curve(data, {"batch_size": 16, "learning_rate": 0.01}, spec)
    assert math.isfinite(curve[-1].val_loss)


def test_lazy_layers_take_their_shapes_from_the_data() -> None:
    curve = plain.curve(blobs(), {"learning_rate": 0.01}, plain.study(model=f"{__name__}:lazy"))
    assert curve[-1].train_loss < curve[0].train_loss


def test_single_output_may_come_without_its_axis() -> None:
    curve = plain.curve(line(), {"learning_rate": 0.05}, plain.study(model=f"{__name__}:flat_output"))
    assert curve[-1].train_loss < curve[0].train_loss


def test_network_of_ones_own_is_initialized_only_where_that_is_searched() -> None:
    spec = plain.study(model=f"{__name__}:normalized")
    own = plain.curve(blobs(), {"learning_rate": 0.0}, spec)
    drawn = plain.curve(blobs(), {"learning_rate": 0.0, "init": "he_uniform"}, spec)
    assert own[0].val_loss != drawn[0].val_loss
    assert same(own, plain.curve(blobs(), {"learning_rate": 0.0, "init_gain": 9.0}, spec))


def test_network_that_does_not_fit_fails_its_trial_in_one_line() -> None:
    assert "outputs of shape (32, 4); (32, 3) is needed" in failure("too_wide").error
    assert "gives a tuple" in failure("two_results").error
    assert "gave a str; return a torch.nn.Module" in failure("no_network").error
    told = failure("failing")
    assert told.error == "KeyError: 'first line\\nsecond line'"
    assert "def" not in told.error
    assert "in failing" in told.traceback


def test_row_is_used_once_at_a_time() -> None:
    rows = plain.batch(blobs())
    rows.place(0, Trial(0, {}, 0))
    for row in (0, 1):
        with pytest.raises(ValueError, match="not an empty row"):
            rows.place(row, Trial(1, {}, 0))


def test_a_session_needs_data_and_a_device_that_is_there() -> None:
    with pytest.raises(DataError, match=r"data: is missing.*source"):
        TorchTrainer().start(Job(plain.study(), None), Trial(0, {}, 0))
    if not torch.cuda.is_available():
        there = Job(plain.study(), blobs(), resources=Resources(("cuda",)))
        with pytest.raises(DeviceError, match="not available"):
            open_batch(TorchTrainer(), there).place(0, Trial(0, {}, 0))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_trains_the_same_trial_as_the_cpu(tmp_path: Path) -> None:
    params = {"learning_rate": 0.01, "input_noise": 0.1, "mixup": 0.2, "batch_size": 16}
    for data in (blobs(), plain.images()):
        there = open_batch(TorchTrainer(), Job(plain.study(), data, resources=Resources(("cuda",))))
        there.place(0, Trial(7, params, 5))
        found = [plain.reading(there) for _ in range(plain.EPOCHS)]
        wanted = plain.curve(data, params)
        assert [r.val_loss for r in found] == pytest.approx([r.val_loss for r in wanted], rel=1e-2)
    assert isinstance(found[0], Reading)
    assert there.save(0, tmp_path)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_want_of_gpu_memory_fails_the_trial_and_not_the_batch() -> None:
    rows = open_batch(TorchTrainer(), Job(plain.study(), blobs(), resources=Resources(("cuda",))))
    rows.place(0, Trial(0, {"width": 400_000, "depth": 2}, 5))
    outcome = rows.advance()[0]
    assert isinstance(outcome, Failure)
    assert "out of memory on the GPU" in outcome.error
    rows.clear(0)
    rows.place(0, Trial(1, {}, 5))
    plain.reading(rows)
