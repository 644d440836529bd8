from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.trainers.torch import nets, plain
from tests.trainers.torch.plain import alone, images
from tuner.core.dataset import Dataset
from tuner.core.job import Job, Resources
from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, Failure, Outcome, Snapshot, Trainer, TrialBatch
from tuner.core.trial import Params, Reading, Trial
from tuner.data.scaling import KINDS
from tuner.errors import DataError
from tuner.testing.trainer import TrainerContract, blobs, line, same, study, written_and_read
from tuner.trainers import load_model, open_batch
from tuner.trainers.sessions import SessionBatch
from tuner.trainers.torch import TorchTrainer
from tuner.trainers.torch.fused import FusedBatch
from tuner.trainers.torch.session import TorchSession
from tuner.trainers.torch.stacked import StackedBatch
from tuner.trainers.torch.stacked_epoch import StackedEpoch
from tuner.trainers.torch.stacked_row import StackedRow
from tuner.trainers.torch.start import network_of
from tuner.trainers.torch.training_tensors import tensors_of

BASE: Params = {"width": 4, "depth": 1, "batch_size": 16, "learning_rate": 0.01}


class TestStackedConvolutions(TrainerContract):
    """What is computed layer by layer."""

    def trainer(self) -> Trainer:
        return TorchTrainer()

    def job(self) -> Job:
        return Job(study(epochs=3), images(), rows=2)

    def params(self, number: int) -> Params:
        return {
            **BASE,
            "learning_rate": 0.003 * (number + 1),
            "dropout": 0.1 * (number + 1),
            "batch_size": 8 * (number + 1),
            "input_noise": 0.1,
            "image_shift": 1,
            "image_flip": True,
            "image_crop": 0.1 * number,
            "image_cutout": number,
            "mixup": 0.2,
            "ema": 0.3 * number,
            "accumulation": 1 + number % 2,
        }

    def diverging_params(self) -> Params:
        return {"optimizer": "sgd", "learning_rate": 1e30}

    def broken_params(self) -> Params:
        return {"activation": "no such activation"}

    def test_this_is_the_batch_in_question(self) -> None:
        assert isinstance(self.batch(), StackedBatch)


class TestStackedOwnNetwork(TestStackedConvolutions):
    """What only vmap can compute."""

    def job(self) -> Job:
        return Job(study(metric="val_score", epochs=3, model=nets.of("Gated")), line(), rows=3)

    def broken_params(self) -> Params:
        return {"width": "broad"}


class TestStackedOneByOne(TestStackedConvolutions):
    """What cannot be stacked, in a study whose first configuration can."""

    def job(self) -> Job:
        spec = study(epochs=3, model=nets.of("Chosen"))
        space = spec.space.model_copy(update={"fixed": {"centers": False}})
        return Job(spec.model_copy(update={"space": space}), blobs(), rows=2)

    def params(self, number: int) -> Params:
        return {**BASE, "learning_rate": 0.003 * (number + 1), "centers": number != 1}

    def broken_params(self) -> Params:
        return {"width": "broad"}


class TestStackedBatchNorm(TestStackedConvolutions):
    """Networks with and without batch normalization in one study."""

    def job(self) -> Job:
        return Job(study(metric="val_score", epochs=3, model=nets.of("Normalized")), blobs(), rows=3)

    def params(self, number: int) -> Params:
        return {**super().params(number), "batch_norm": number != 1}

    def broken_params(self) -> Params:
        return {"width": "broad"}


class TestStackedBatchNormOfImages(TestStackedConvolutions):
    def job(self) -> Job:
        return Job(study(epochs=3, model=nets.of("normalized_convolutions")), images(), rows=3)

    def broken_params(self) -> Params:
        return {"dropout": "much"}


class TestStackedBatchNormOfVmap(TestStackedBatchNorm):
    def job(self) -> Job:
        return Job(study(epochs=3, model=nets.of("NormalizedTwice")), line(), rows=3)


def batches(data: Dataset, **trainer: Any) -> tuple[TrialBatch, TrialBatch]:
    """The reference and a stack."""
    job = Job(study(epochs=3, **trainer), data, rows=4)
    return alone(job), StackedBatch(job)


def curves(data: Dataset, params: Params, **trainer: Any) -> tuple[list[Reading], list[Reading]]:
    """The reference's curve and that of a row between others."""
    one, four = batches(data, **trainer)
    trial = Trial(4, {**BASE, **params}, 0)
    four.place(0, Trial(5, BASE, 0))
    four.place(3, Trial(6, {**BASE, **params, "learning_rate": 0.02}, 0))
    return train(one, trial), train(four, trial, 2)


def train(batch: TrialBatch, trial: Trial, row: int = 0) -> list[Reading]:
    batch.place(row, trial)
    return [reading(batch.advance()[row]) for _ in range(3)]


def reading(outcome: Outcome) -> Reading:
    assert isinstance(outcome, Reading), outcome
    return outcome


def program(batch: TrialBatch, row: int) -> int:
    """Tells programs apart."""
    assert isinstance(batch, StackedBatch)
    placed = batch._rows[row]
    assert isinstance(placed, StackedRow)
    return id(placed.program)


def agree(reference: list[Reading], stack: list[Reading], within: float = 1e-4) -> None:
    for one, two in zip(reference, stack, strict=True):
        assert one.epoch == two.epoch
        for name in ("train_loss", "val_loss", "grad_norm", "learning_rate"):
            assert two.get(name) == pytest.approx(one.get(name), rel=within, abs=1e-6), name
        for name in ("train_score", "val_score"):
            assert two.get(name) == pytest.approx(one.get(name), rel=1e-3, abs=0.04), name
    assert reference[0].train_loss != reference[-1].train_loss


SETTINGS: list[dict[str, Any]] = [
    *({"optimizer": name} for name in ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")),
    *({"schedule": name, "warmup": 0.2} for name in ("linear", "step", "exponential", "cosine", "one_cycle")),
    {"schedule": "warm_restarts", "restarts": 1},
    {"schedule": "plateau", "plateau_patience": 0, "learning_rate": 0.3, "optimizer": "momentum"},
    *({"init": name, "init_gain": 0.5} for name in ("small_normal", "xavier_uniform", "orthogonal")),
    *({"batch_size": size} for size in (1, 5, 13, 32, 45, 64, "full")),
    *({"scaling": name} for name in KINDS),
    {"momentum": 0.0, "optimizer": "nesterov"},
    {"clipping": "norm", "clip_norm": 0.3},
    {"clipping": "value", "clip_value": 0.05},
    {"clip_parameters": 0.1},
    {"ema": 0.8, "optimizer": "momentum"},
    {"accumulation": 2},
    {"accumulation": 3, "batch_size": 7, "mixup": 0.3, "dropout": 0.3, "label_smoothing": 0.1},
    {"accumulation": 2, "batch_size": 35, "image_shift": 1, "schedule": "linear", "ema": 0.5},
    {"accumulation": 9, "batch_size": "full"},
    {"l1": 1e-3, "optimizer": "sgd"},
    {"l2": 1e-2, "optimizer": "momentum"},
    {"weight_decay": 0.3},
    {"label_smoothing": 0.2},
    {"dropout": 0.4},
    {"dropout": 0.3, "batch_size": 45},
    {"input_noise": 0.5},
    {"mixup": 0.4},
    {"image_shift": 2, "image_flip": True},
    {"image_crop": 0.4, "image_rotation": 20.0},
    {"image_flip_vertical": True, "image_cutout": 3, "batch_size": 45},
    {"image_brightness": 0.4, "image_contrast": 0.4, "image_saturation": 0.4},
    {"layer_norm": True, "activation": "gelu", "depth": 3},
    {"depth": 0},
]


@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_every_setting_gives_the_references_curve(params: Params) -> None:
    colored = "image_saturation" in params
    agree(*curves(images(shape=(3, 8, 8)) if colored else images(), params))


@pytest.mark.parametrize(
    "params",
    [s for s in SETTINGS if set(s) & {"optimizer", "batch_size", "clipping", "weight_decay"}],
    ids=str,
)
def test_own_network_gives_the_references_curve(params: Params) -> None:
    agree(*curves(blobs(), params, model=nets.of("Gated")))


@pytest.mark.parametrize("name", ["Residual", "lazy"])
def test_networks_of_common_layers_give_the_references_curve(name: str) -> None:
    agree(*curves(blobs(), {"dropout": 0.3, "init": "xavier_normal"}, model=nets.of(name)))


@pytest.mark.parametrize("name", ["Attention", "convolutions", "mlp"])
def test_networks_of_images_give_the_references_curve(name: str) -> None:
    model = name if name == "mlp" else nets.of(name)
    agree(*curves(images(), {"image_flip": True, "optimizer": "momentum"}, model=model))


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_every_regression_loss_gives_the_references_curve(loss: str) -> None:
    # Adam makes a step of the rounding where the signs of mae cancel out.
    settings: Params = {"mixup": 0.3, "optimizer": "momentum"}
    agree(*curves(line(), settings, loss=loss, model=nets.of("flat")))


def test_binary_cross_entropy_gives_the_references_curve() -> None:
    agree(*curves(images(), {"label_smoothing": 0.2, "mixup": 0.3}, loss="binary_cross_entropy"))


NORMS: list[Params] = [
    *({"batch_size": size} for size in (2, 3, 7, 8, 13, 16, 29, 32, 45, 59, 60, 64, 89, 90, "full")),
    {"norm_momentum": 0.0},
    {"norm_momentum": 0.0, "batch_size": 89, "affine": False},
    {"norm_momentum": 0.7, "affine": False},
    {"tracks": False},
    {"dropout": 0.4, "mixup": 0.3, "input_noise": 0.2, "label_smoothing": 0.1, "batch_size": 89},
    {"optimizer": "nesterov", "weight_decay": 0.3, "clipping": "norm", "clip_norm": 0.3},
    {"ema": 0.7},
    {"accumulation": 2, "ema": 0.4, "batch_size": 13},
    {"accumulation": 3, "batch_size": 29},
]


NORMALIZED = {"Normalized": NORMS, "NormalizedTwice": NORMS[::3], "normalized_convolutions": NORMS[::3]}


@pytest.mark.parametrize(
    ("name", "params"), [(name, params) for name in NORMALIZED for params in NORMALIZED[name]], ids=str
)
def test_batch_normalization_gives_the_references_curve(name: str, params: Params) -> None:
    data = images() if name == "normalized_convolutions" else blobs()
    one, four = batches(data, model=nets.of(name))
    # Adam makes a step of the rounding: a bias before batch normalization has no gradient.
    trial = Trial(4, {**BASE, "optimizer": "momentum", "dropout": 0.0, **params}, 0)
    for row, size in ((0, 16), (1, 7), (3, "full")):
        four.place(row, Trial(row, {**trial.params, "batch_size": size, "learning_rate": 0.02}, 0))
    # Of two or three samples the statistics make much of the rounding.
    agree(train(one, trial), train(four, trial, 2), 1e-2 if params.get("batch_size") in (2, 3) else 1e-4)
    assert isinstance(four, StackedBatch)
    assert all(isinstance(placed, StackedRow) for placed in four._rows.values())


@pytest.mark.parametrize(
    ("size", "affine", "more"),
    [
        *((size, affine, {}) for size in (3, 5, 16, 32, 64, 89, "full") for affine in (True, False)),
        (16, True, {"ema": 0.8}),
        (89, False, {"ema": 0.4}),
        (13, True, {"accumulation": 3}),
        (16, True, {"accumulation": 2, "ema": 0.5}),
    ],
)
def test_batch_normalization_trains_as_in_the_plain_loop(
    size: int | str, affine: bool, more: dict[str, Any]
) -> None:
    data, spec = blobs(), study(epochs=plain.EPOCHS, model=nets.of("Normalized"))
    rule = {"optimizer": "momentum", "momentum": 0.8, "learning_rate": 0.02}
    params: dict[str, Any] = {
        **rule,
        "width": 6,
        "batch_size": size,
        "affine": affine,
        "dropout": 0.0,
        **more,
    }
    trial = Trial(7, params, 5)
    network = network_of(trial, nets.of("Normalized"), tensors_of(Job(spec, data), data), {})
    losses, norms, _ = plain.train(network, data, params, joins=True)
    batch = StackedBatch(Job(spec, data, rows=3))
    batch.place(0, Trial(8, {**params, "batch_size": 13}, 5))
    found = train(batch, trial, 2)
    assert [r.val_loss for r in found] == pytest.approx(losses, rel=2e-4)
    assert [r.grad_norm for r in found] == pytest.approx(norms, rel=2e-4)


@pytest.mark.parametrize("name", ["Normalized", "NormalizedTwice", "normalized_convolutions"])
def test_batch_normalization_does_not_depend_on_what_other_rows_do(name: str) -> None:
    found = []
    data = images() if name == "normalized_convolutions" else blobs()
    for rows in (1, 2, 3, 5, 8):
        batch = StackedBatch(Job(study(epochs=3, model=nets.of(name)), data, rows=rows))
        for row in range(rows - 1):
            sizes = (13, 16, 89, 7, 10, 11, 15)
            params: Params = {
                **BASE,
                "batch_size": sizes[row],
                "dropout": 0.3,
                "optimizer": "sgd",
                "ema": 0.1 * row,
            }
            params = {**params, "optimizer": "sgd", "learning_rate": 1e30 if row == 1 else 0.1}
            batch.place(row, Trial(row, params, 0))
        found.append(train(batch, Trial(20, {**BASE, "dropout": 0.2, "ema": 0.6}, 0), rows - 1))
    assert all(same(curve, found[0]) for curve in found)


def test_batches_of_one_sample_cannot_be_normalized_as_in_the_reference() -> None:
    one, four = batches(blobs(), model=nets.of("Normalized"))
    for batch in (one, four):
        batch.place(0, Trial(1, {**BASE, "batch_size": 1}, 0))
    wanted, found = one.advance()[0], four.advance()[0]
    assert isinstance(wanted, Failure)
    assert isinstance(found, Failure)
    assert found.error == wanted.error
    assert "more than 1 value" in found.error


def test_choice_of_batch_normalization_leaves_a_study_fused() -> None:
    model = nets.of("Normalized")
    assert TorchTrainer().why_unfused(study(model=model), blobs(), "cpu") is None
    _, four = batches(blobs(), model=model)
    for row, normalized in enumerate((True, False, True, False)):
        four.place(row, Trial(row, {**BASE, "batch_norm": normalized, "batch_size": 8 + row}, 0))
    programs = [program(four, row) for row in range(4)]
    assert programs[0] == programs[2] != programs[1] == programs[3]
    assert sorted(four.advance()) == [0, 1, 2, 3]


def test_own_network_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "def build(params, context):\n"
        "    return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ELU(), torch.nn.Linear(7, 3))\n"
    )
    monkeypatch.chdir(tmp_path)
    assert TorchTrainer().why_unfused(study(model="./net.py:build"), blobs(), "cpu") is None
    agree(*curves(blobs(), {}, model="./net.py:build"))


def test_curve_does_not_depend_on_the_number_of_rows_or_on_what_they_do() -> None:
    found = []
    for rows in (2, 3, 5, 8):
        batch = StackedBatch(Job(study(epochs=3), images(), rows=rows))
        for row in range(rows - 1):
            more: Params = {"batch_size": 9 * (row + 1), "dropout": 0.3, "ema": 0.2 * (row % 3)}
            batch.place(row, Trial(row, {**BASE, **more}, 0))
        more = {"dropout": 0.2, "accumulation": 2, "ema": 0.7}
        found.append(train(batch, Trial(20, {**BASE, **more}, 0), rows - 1))
    assert all(same(curve, found[0]) for curve in found)


def test_dropout_differs_from_row_to_row_and_from_trial_to_trial() -> None:
    _, four = batches(images())
    for row, (number, rate) in enumerate([(1, 0.2), (1, 0.2), (1, 0.4), (2, 0.2)]):
        four.place(row, Trial(number, {**BASE, "dropout": rate, "init": "orthogonal"}, 0))
    first, again, more, other = (reading(outcome).train_loss for outcome in four.advance().values())
    assert first == again
    assert len({first, more, other}) == 3


def test_freed_row_is_refilled_while_others_go_on() -> None:
    _, four = batches(images())
    alone = train(batches(images())[1], Trial(9, BASE, 0))
    four.place(0, Trial(0, BASE, 0))
    four.place(1, Trial(1, {**BASE, "depth": 2}, 0))
    four.advance()
    four.clear(1)
    four.place(1, Trial(9, BASE, 0))
    found = [four.advance() for _ in range(3)]
    assert same([reading(outcomes[1]) for outcomes in found], alone)
    assert [type(outcomes[0]) for outcomes in found] == [Reading, Reading, Exhausted]


def test_snapshot_of_the_reference_goes_on_in_a_stack() -> None:
    one, four = batches(images())
    trial = Trial(3, {**BASE, "dropout": 0.2}, 0)
    one.place(0, trial)
    one.advance()
    snapshot = one.snapshot(0)
    assert snapshot is not None
    four.place(2, trial, written_and_read(snapshot))
    assert same([reading(four.advance()[2])], [reading(one.advance()[0])])
    again = four.snapshot(2)
    assert isinstance(again, Snapshot)
    assert again.epoch == 2


REASONS = {
    "Renormalized": "Doubled takes its statistics from the batch in its own way",
    "NormalizedAndCentered": "depends on the others of the batch",
    "Branching": "its course depends on the values of its inputs",
    "Reading": "it reads numbers out of tensors",
    "Counting": "it writes to its buffers",
    "Remembering": "it changes its attributes",
    "Noisy": "it draws random numbers",
    "Centering": "depends on the others of the batch",
    "Shrinking": "not one row of numbers for each sample",
}


@pytest.mark.parametrize("name", REASONS)
def test_what_cannot_be_stacked_is_said_in_words(name: str) -> None:
    model = nets.of(name)
    reason = TorchTrainer().why_unfused(study(model=model), blobs(), "cpu")
    assert reason is not None
    assert reason.startswith(f"{model} trains one trial at a time: ")
    assert REASONS[name] in reason
    assert "\n" not in reason


def test_attention_with_dropout_of_its_own_trains_one_at_a_time() -> None:
    spec = study(model=nets.of("Attention"))
    assert TorchTrainer().why_unfused(spec, images(), "cpu") is None
    space = spec.space.model_copy(update={"fixed": {"dropout": 0.1}})
    reason = TorchTrainer().why_unfused(spec.model_copy(update={"space": space}), images(), "cpu")
    assert "random numbers" in str(reason)


def test_study_whose_first_network_cannot_be_stacked_or_built_is_left_to_the_reference() -> None:
    assert "unknown name 'no such'" in str(TorchTrainer().why_unfused(study(model="no such"), blobs(), "cpu"))
    job = Job(study(model=nets.of("Branching")), blobs(), rows=4)
    assert isinstance(open_batch(TorchTrainer(), job), SessionBatch)


@pytest.mark.parametrize("name", [*REASONS, "Raising"])
def test_what_cannot_be_stacked_trains_as_the_reference_does(name: str) -> None:
    one, four = batches(blobs(), model=nets.of(name))
    trial = Trial(1, {**BASE, "optimizer": "momentum"}, 0)
    one.place(0, trial)
    four.place(0, trial)
    four.place(3, Trial(2, BASE, 0))
    for _ in range(2):
        wanted, found = one.advance()[0], four.advance()[0]
        if isinstance(wanted, Failure):
            assert isinstance(found, Failure)
            assert found.error == wanted.error
        else:
            assert same([reading(found)], [reading(wanted)])


def test_values_that_no_attribute_shows_part_networks() -> None:
    one, four = batches(blobs(), model=nets.of("Hiding"))
    for row, power in enumerate((1.0, 3.0, 1.0)):
        four.place(row, Trial(row, {**BASE, "power": power}, 0))
    programs = [program(four, row) for row in range(3)]
    assert programs[0] == programs[2] != programs[1]
    trial = Trial(3, {**BASE, "power": 3.0}, 0)
    agree(train(one, trial), train(four, trial, 3))


def test_rows_of_one_program_train_together_and_others_beside_them() -> None:
    differences: list[Params] = [{}, {"optimizer": "sgd"}, {"width": 5}, {"init": "he_normal"}]
    _, four = batches(images())
    for row, params in enumerate(differences):
        four.place(row, Trial(row, {**BASE, **params}, 0))
    programs = [program(four, row) for row in range(4)]
    assert programs[0] == programs[1] == programs[3] != programs[2]
    assert sorted(four.advance()) == [0, 1, 2, 3]


class SinglePrecision(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses what a device without float64 cannot hold."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for each in tree_leaves((args, kwargs, found)):
            assert not (isinstance(each, torch.Tensor) and each.dtype == torch.float64), f"{func}: float64"
        return found


@pytest.mark.parametrize(
    ("data", "given"),
    [(images(), {}), (blobs(), {"class_weight": "balanced"}), (line(), {}), (line(), {"loss": "mae"})],
    ids=["images", "classes", "numbers", "mae"],
)
def test_nothing_is_computed_in_float64(data: Dataset, given: dict[str, Any]) -> None:
    """Neither by rows nor alone: mps has no such numbers."""
    job = Job(study(epochs=2, **given), data, 2)
    params = {**BASE, "dropout": 0.1, "ema": 0.5, "input_noise": 0.1, "mixup": 0.2, "l1": 1e-4, "l2": 1e-4}
    with SinglePrecision():  # type: ignore[no-untyped-call]
        for made in (StackedBatch(job), open_batch(TorchTrainer(), replace(job, rows=1))):
            made.place(0, Trial(0, params, 0))
            for _ in range(2):
                assert isinstance(outcome := made.advance()[0], Reading), outcome
            snapshot = made.snapshot(0)
            made.clear(0)
            made.place(0, Trial(0, params, 0), snapshot)


def test_rows_that_do_not_fit_into_memory_train_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [Trial(number, {**BASE, "dropout": 0.2, "mixup": 0.2}, 0) for number in range(4)]
    plenty, scarce = (batches(images())[1] for _ in range(2))
    for row, trial in enumerate(trials):
        plenty.place(row, trial)
        scarce.place(row, trial)
    wanted = [plenty.advance() for _ in range(2)]
    sizes = []
    measure = StackedEpoch._measure

    def full(self: Any, inputs: Any, truth: Any) -> Any:
        sizes.append(len(inputs))
        if len(inputs) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return measure(self, inputs, truth)

    monkeypatch.setattr(StackedEpoch, "_measure", full)
    for outcomes in wanted:
        found = scarce.advance()
        for row in range(4):
            assert same([reading(found[row])], [reading(outcomes[row])])
    assert sizes == [4, 2] + [1] * 16


RATES = {"Gated": 0.01, "Normalized": 8.0, "NormalizedTwice": 2.0}


@pytest.mark.parametrize(("network", "rate"), RATES.items())
def test_saved_model_is_the_references(network: str, rate: float, tmp_path: Path) -> None:
    models = []
    # Of those that normalize batches the first epoch is the best.
    params: Params = {**BASE, "optimizer": "sgd", "learning_rate": rate, "warmup": 1.0, "dropout": 0.0}
    for name, batch in zip(("one", "two"), batches(blobs(), model=nets.of(network)), strict=True):
        curve = train(batch, Trial(4, BASE if network == "Gated" else params, 0))
        assert network == "Gated" or curve[0].val_loss < min(r.val_loss for r in curve[1:])
        (tmp_path / name).mkdir()
        assert batch.save(0, tmp_path / name)
        models.append(load_model(tmp_path / name))
    one, two = (model.module.state_dict() for model in models)
    assert list(one) == list(two)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-5, rtol=1e-4)


def test_shipped_mlp_stays_compiled_where_it_can() -> None:
    shifted = StudySpec.parse(
        {
            "trainer": {"model": "mlp"},
            "space": {"image_shift": {"type": "int", "low": 0, "high": 2, "default": 0}},
        }
    )
    make = partial(open_batch, TorchTrainer())
    assert isinstance(make(Job(shifted, blobs(), rows=2)), FusedBatch)
    assert isinstance(make(Job(shifted, images(), rows=2)), FusedBatch)
    assert isinstance(make(Job(shifted, images(), rows=1)), SessionBatch)


def test_study_without_data_is_refused() -> None:
    with pytest.raises(DataError, match="data"):
        StackedBatch(Job(study(), None))


def test_occupied_or_missing_row_is_refused() -> None:
    _, batch = batches(images())
    batch.place(0, Trial(0, BASE, 0))
    for row in (0, 4, -1):
        with pytest.raises(ValueError, match="not an empty row"):
            batch.place(row, Trial(1, BASE, 0))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_stack_on_a_gpu_gives_the_references_curve() -> None:
    job = Job(study(epochs=3), images(), 4, Resources(("cuda",)))
    one, four = alone(job), StackedBatch(job)
    trial = Trial(4, {**BASE, "mixup": 0.2, "l1": 1e-4, "clipping": "norm"}, 0)
    four.place(1, Trial(0, {**BASE, "optimizer": "sgd"}, 0))
    agree(train(one, trial), train(four, trial, 3), 1e-3)


def test_work_grows_with_network_and_batch_and_is_the_trials_alone() -> None:
    job, trainer = Job(study(epochs=3), images(), rows=4), TorchTrainer()
    sizes: list[Params] = [
        {},
        {"width": 8},
        {"width": 8, "batch_size": 32},
        {"width": 8, "batch_size": "full"},
    ]
    works = [trainer.step_work(job, Trial(0, {**BASE, **more}, 0)) for more in sizes]
    assert sorted(set(works)) == works
    assert trainer.step_work(job, Trial(9, BASE, 7)) == works[0]
    assert TorchTrainer().step_work(Job(study(epochs=3, model="mlp"), blobs()), Trial(0, BASE, 0)) == 0


def test_trials_whose_steps_do_not_pay_train_alone_beside_the_others() -> None:
    job, trainer = Job(study(epochs=3), images(), rows=4), TorchTrainer()
    small, large = Trial(1, BASE, 0), Trial(2, {**BASE, "width": 8}, 0)
    limited = replace(job, most_work=trainer.step_work(job, small))
    batch = StackedBatch(limited)
    batch.place(0, small)
    batch.place(1, large)
    found = [batch.advance() for _ in range(2)]
    assert isinstance(batch._rows[0], StackedRow)
    assert isinstance(batch._rows[1], TorchSession)
    reference, whole = alone(job), StackedBatch(job)
    assert same([reading(each[1]) for each in found], train(reference, large)[:2])
    assert same([reading(each[0]) for each in found], train(whole, small)[:2])


def test_what_began_side_by_side_or_alone_goes_on_so_under_any_limit() -> None:
    job, trial = Job(study(epochs=3), images(), rows=2), Trial(1, BASE, 0)
    for first, second in ((math.inf, 0.0), (0.0, math.inf)):
        began, goes_on = (StackedBatch(replace(job, most_work=w)) for w in (first, second))
        began.place(0, trial)
        began.advance()
        goes_on.place(1, trial, began.snapshot(0))
        assert type(goes_on._rows[1]) is type(began._rows[0])
        assert same([reading(goes_on.advance()[1])], [reading(began.advance()[0])])
