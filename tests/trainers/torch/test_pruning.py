"""Pruned rows and what a teacher says, beside plain PyTorch on the same weights and order of rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.trainers.torch import plain
from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.seeds import derive
from tuner.core.spec import StudySpec
from tuner.core.training import Failure, TrialBatch
from tuner.core.trial import Params, Reading, Trial
from tuner.testing.trainer import blobs, line
from tuner.trainers import load_model, open_batch
from tuner.trainers.torch import TorchTrainer
from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.fused import FusedBatch
from tuner.trainers.torch.int8 import Int8Network
from tuner.trainers.torch.losses import build as loss_of
from tuner.trainers.torch.networks import build
from tuner.trainers.torch.pruning import pruned
from tuner.trainers.torch.teacher import Teacher
from tuner.trainers.torch.training_arrays import TrainingArrays
from tuner.trainers.torch.training_tensors import TrainingTensors

BASE: dict[str, Any] = {"width": 8, "depth": 2, "activation": "tanh", "batch_size": 16, "optimizer": "adam"}
BACKENDS = pytest.mark.parametrize(
    "populate", [plain.alone, plain.stacked, FusedBatch], ids=["alone", "stacked", "fused"]
)


NETWORKS: dict[str, tuple[str, dict[str, Any], Dataset, list[str]]] = {
    "mlp": ("mlp", {}, blobs(), ["2.weight", "4.weight"]),
    "normalized mlp": ("mlp", {"batch_norm": True}, blobs(), ["3.weight", "6.weight"]),
    "gru": (
        "rnn", {"cell": "gru", "dense_units": 6}, plain.series(),
        ["layers.0.0.weight_hh", "layers.1.0.weight_ih", "layers.1.0.weight_hh", "head.0.weight",
         "head.2.weight"],
    ),
    "lstm both ways": (
        "rnn", {"cell": "lstm", "bidirectional": True}, plain.texts(),
        [f"layers.{i}.{d}.weight_hh" for i in (0, 1) for d in (0, 1)]
        + ["layers.1.0.weight_ih", "layers.1.1.weight_ih", "head.0.weight"],
    ),
    "conv1d": ("conv1d", {}, plain.series(), ["convolutions.1.weight", "head.0.weight"]),
    "bag": ("bag", {}, plain.texts(), ["head.2.weight", "head.4.weight"]),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_network_without_its_silent_units_says_what_it_said_before(name: str) -> None:
    model, more, data, reading = NETWORKS[name]
    check(model, more, data, reading)


@pytest.mark.parametrize(
    ("more", "reading"),
    [
        ({}, ["3.weight"]),
        ({"residual": True, "batch_norm": True}, ["2.body.0.weight", "2.shortcut.weight"]),
        ({"dense_units": 6}, ["3.weight", "9.weight"]),
    ],
    ids=["plain", "residual", "dense"],
)
def test_convolutions_lose_channels_and_what_reads_their_pixels(
    more: dict[str, Any], reading: list[str]
) -> None:
    check("cnn", more, plain.images(), reading)


def check(model: str, more: dict[str, Any], data: Dataset, reading: list[str]) -> None:
    params = {"width": 8, "depth": 2, **more}
    context = NetworkContext(
        data.input_shape, 3, data.task, vocabulary=data.vocabulary, masked=data.masked, params=params
    )
    torch.manual_seed(0)
    large = build(model, params, context).eval()
    with torch.no_grad():  # nothing reads the odd units
        for name in reading:
            large.get_parameter(name)[:, 1::2] = 0
    if model == "cnn":  # what reads pixels: channel by channel
        linear = next(each for each in large.modules() if isinstance(each, nn.Linear))
        with torch.no_grad():
            linear.weight.view(len(linear.weight), 16, -1)[:, 1::2] = 0
    x, counts = torch.from_numpy(data.validation.x), [sum(p.numel() for p in large.parameters())]
    for shares in ({"pruned": 0.5, "pruned_first": 0.0}, {"pruned": 0.5}):
        small_params = {**params, **shares}
        small = build(model, small_params, dataclasses.replace(context, params=small_params)).eval()
        shapes = {name: tuple(each.shape) for name, each in small.state_dict().items()}
        weights = {name: each.numpy() for name, each in large.state_dict().items()}
        small.load_state_dict({n: torch.from_numpy(w) for n, w in pruned(weights, shapes).items()})
        counts.append(sum(p.numel() for p in small.parameters()))
        assert counts[-1] < counts[-2]
        torch.testing.assert_close(small(x), large(x))


def taught(tmp_path: Path, data: Dataset, **params: Any) -> Path:
    """A kept model."""
    rows = open_batch(TorchTrainer(), Job(plain.study(model="mlp"), data))
    rows.place(0, Trial(1, {**BASE, "learning_rate": 0.01, **params}, 5))
    for _ in range(plain.EPOCHS):
        plain.reading(rows)
    assert rows.save(0, tmp_path)
    return tmp_path


def curve(
    populate: Callable[[Job], TrialBatch], data: Dataset, teacher: Path, params: Params, **trainer: Any
) -> list[Reading]:
    rows = populate(Job(plain.study(model="mlp", teacher=str(teacher), **trainer), data))
    rows.place(0, Trial(7, {**BASE, "learning_rate": 0.003, **params}, 5))
    return [plain.reading(rows) for _ in range(plain.EPOCHS)]


def by_hand(folder: Path, left: int, in_first: int | None = None) -> nn.Sequential:
    """The teacher's network with its strongest units, by plain indexing."""
    large: Any = load_model(folder).module.network
    first, second, last = large[0], large[2], large[4]
    few = left if in_first is None else in_first
    one = (first.weight.norm(dim=1) * second.weight.norm(dim=0)).topk(few).indices.sort().values
    two = (second.weight.norm(dim=1) * last.weight.norm(dim=0)).topk(left).indices.sort().values
    small: Any = nn.Sequential(
        nn.Linear(first.in_features, few), nn.Tanh(), nn.Linear(few, left), nn.Tanh(),
        nn.Linear(left, last.out_features),
    )  # fmt: skip
    with torch.no_grad():
        small[0].weight.copy_(first.weight[one])
        small[0].bias.copy_(first.bias[one])
        small[2].weight.copy_(second.weight[two][:, one])
        small[2].bias.copy_(second.bias[two])
        small[4].weight.copy_(last.weight[:, two])
        small[4].bias.copy_(last.bias)
    return small  # type: ignore[no-any-return]


@BACKENDS
@pytest.mark.parametrize(("more", "few"), [({}, 5), ({"pruned_first": 0.75}, 2)], ids=["alike", "by layer"])
def test_pruned_rows_train_as_a_plain_loop_on_the_pruned_network(
    populate: Callable[[Job], TrialBatch], more: Params, few: int, tmp_path: Path
) -> None:
    data = blobs()
    folder = taught(tmp_path, data)
    losses, norms, _ = plain.train(by_hand(folder, 5, few), data, {**BASE, "learning_rate": 0.003})
    found = curve(populate, data, folder, {"pruned": 0.4, **more})
    assert [each.val_loss for each in found] == pytest.approx(losses, rel=2e-4)
    assert [each.grad_norm for each in found] == pytest.approx(norms, rel=2e-4)


def held_at_zero(folder: Path, data: Dataset, share: float) -> tuple[list[float], int]:
    """The losses of a loop that multiplies by masks behind each step, and how many weights it leaves."""
    model = load_model(folder).module
    network: Any = model.network
    masks = {}
    for name, each in network.named_parameters():
        if each.ndim > 1:
            limit = each.abs().flatten().sort().values[round(share * each.numel())]
            masks[name] = each.abs() >= limit

    def mask() -> None:
        with torch.no_grad():
            for name, each in network.named_parameters():
                each.mul_(masks.get(name, 1))

    mask()
    x, y = model.scaled(torch.from_numpy(data.train.x)), torch.from_numpy(data.train.y)
    z, truth = model.scaled(torch.from_numpy(data.validation.x)), torch.from_numpy(data.validation.y)
    rule = torch.optim.Adam(network.parameters(), 0.003)
    order, losses = torch.Generator().manual_seed(derive(5, 7, "order")), []
    for _ in range(plain.EPOCHS):
        for rows in torch.split(torch.randperm(len(x), generator=order), 16):
            rule.zero_grad()
            nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()  # type: ignore[no-untyped-call]
            rule.step()
            mask()
        losses.append(nn.functional.cross_entropy(network(z), truth).item())
    return losses, sum(int(each.count_nonzero()) for each in network.parameters())


@BACKENDS
def test_pruned_weights_stay_zero_as_in_a_plain_loop_with_masks(
    populate: Callable[[Job], TrialBatch], tmp_path: Path
) -> None:
    data = blobs()
    folder = taught(tmp_path, data)
    losses, left = held_at_zero(folder, data, 0.6)
    spec = plain.study(model="mlp", teacher=str(folder)).to_table()
    spec["objective"] = {"also": {"nonzero": "minimize"}}
    rows = populate(Job(StudySpec.parse(spec), data))
    rows.place(0, Trial(7, {**BASE, "learning_rate": 0.003, "pruned": 0.6, "pruning": "weights"}, 5))
    found = [plain.reading(rows) for _ in range(plain.EPOCHS)]
    assert [each.val_loss for each in found] == pytest.approx(losses, rel=2e-4)
    assert [each.extras["nonzero"] for each in found] == [left] * plain.EPOCHS


@BACKENDS
@pytest.mark.parametrize("more", [{}, {"ema": 0.9}], ids=["live", "averaged"])
def test_weights_go_by_and_by_and_as_many_in_the_end_also_behind_a_snapshot(
    populate: Callable[[Job], TrialBatch], more: Params, tmp_path: Path
) -> None:
    data = blobs()
    folder = taught(tmp_path, data)
    spec = plain.study(model="mlp", teacher=str(folder)).to_table()
    spec["objective"] = {"also": {"nonzero": "minimize"}}
    ramp = {"pruned": 0.6, "pruned_first": 0.25, "pruning": "weights", "pruning_ramp": 0.5, **more}
    trial, job = Trial(7, {**BASE, "learning_rate": 0.003, **ramp}, 5), Job(StudySpec.parse(spec), data)
    rows = populate(job)
    rows.place(0, trial)
    found = [plain.reading(rows)]
    snapshot = rows.snapshot(0)
    found += [plain.reading(rows) for _ in range(plain.EPOCHS - 1)]
    counts = [each.extras["nonzero"] for each in found]
    inputs, units, outputs = data.input_shape[0], 8, len(data.classes)
    biases = 2 * units + outputs
    matrices = (inputs * units, 0.25), (units * units, 0.6), (units * outputs, 0.6)
    assert counts[-1] == biases + sum(size - round(size * share) for size, share in matrices)
    assert counts[0] > counts[-1]
    (tmp_path / "kept").mkdir()
    assert rows.save(0, tmp_path / "kept")
    kept = load_model(tmp_path / "kept").module.parameters()
    assert sum(int(each.count_nonzero()) for each in kept) in counts
    again = populate(job)
    again.place(0, trial, snapshot)
    assert plain.reading(again).repeats(found[1])


@BACKENDS
@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("kind", ["classes", "binary", "numbers"])
def test_teachers_outputs_count_as_in_a_plain_loop(
    populate: Callable[[Job], TrialBatch], temperature: float, kind: str, tmp_path: Path
) -> None:
    data, loss = (line(), "mse") if kind == "numbers" else (blobs(), "cross_entropy")
    loss = "binary_cross_entropy" if kind == "binary" else loss
    job = Job(plain.study(model="mlp", loss=loss), data)
    rows = open_batch(TorchTrainer(), job)
    rows.place(0, Trial(1, {**BASE, "learning_rate": 0.01}, 5))
    for _ in range(plain.EPOCHS):
        plain.reading(rows)
    assert rows.save(0, tmp_path)
    wanted = distilled(tmp_path, data, kind, 0.7, temperature)
    params = {"pruned": 0.5, "distil_weight": 0.7, "distil_temperature": temperature}
    found = curve(populate, data, tmp_path, params, loss=loss)
    assert [each.grad_norm for each in found] == pytest.approx(wanted, rel=5e-4)


def distilled(folder: Path, data: Dataset, kind: str, weight: float, temperature: float) -> list[float]:
    """The mean gradient norms of Hinton's loop."""
    student, teacher = by_hand(folder, 4), load_model(folder).module
    raw = torch.from_numpy(data.train.x)
    x, y = teacher.scaled(raw), torch.from_numpy(data.train.y)
    with torch.no_grad():
        said = teacher(raw)
    rule = torch.optim.Adam(student.parameters(), 0.003)
    order = torch.Generator().manual_seed(derive(5, 7, "order"))
    found = []
    for _ in range(plain.EPOCHS):
        norms = []
        for rows in torch.split(torch.randperm(len(x), generator=order), 16):
            rule.zero_grad()
            z, t = student(x[rows]), said[rows]
            hard, soft = hinton(kind, z, t, y[rows], temperature)
            ((1 - weight) * hard + weight * soft).backward()  # type: ignore[no-untyped-call]
            norms.append(
                float(
                    torch.cat([p.grad.flatten() for p in student.parameters() if p.grad is not None]).norm()
                )
            )
            rule.step()
        found.append(float(np.mean(norms)))
    return found


def hinton(kind: str, z: Tensor, t: Tensor, y: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    if kind == "numbers":
        return nn.functional.mse_loss(z[:, 0], y), nn.functional.mse_loss(z, t)
    if kind == "binary":
        hard = nn.functional.binary_cross_entropy_with_logits(z, nn.functional.one_hot(y, 3).float())
        each = nn.functional.binary_cross_entropy_with_logits(z / temperature, (t / temperature).sigmoid())
        return hard, each * temperature**2
    soft = nn.functional.kl_div(
        (z / temperature).log_softmax(1), (t / temperature).softmax(1), reduction="batchmean"
    )
    return nn.functional.cross_entropy(z, y), soft * temperature**2


@pytest.mark.parametrize(
    "more",
    [{"mixup": 0.4}, {"label_smoothing": 0.2}, {"class_weight": "balanced"}, {"distil_temperature": 4.0}],
    ids=str,
)
def test_every_back_end_learns_the_same_of_a_teacher(more: dict[str, Any], tmp_path: Path) -> None:
    data = blobs()
    folder = taught(tmp_path, data)
    params = {"pruned": 0.4, "distil_weight": 0.5, **more}
    one, two, three = (curve(each, data, folder, params) for each in (plain.alone, plain.stacked, FusedBatch))
    for other in (two, three):
        assert [r.val_loss for r in other] == pytest.approx([r.val_loss for r in one], rel=1e-4)


@BACKENDS
def test_row_goes_on_from_a_snapshot_as_if_it_had_never_stopped(
    populate: Callable[[Job], TrialBatch], tmp_path: Path
) -> None:
    data = blobs()
    folder = taught(tmp_path, data)
    params = {**BASE, "learning_rate": 0.003, "pruned": 0.4, "distil_weight": 0.5, "distil_temperature": 2.0}
    job = Job(plain.study(model="mlp", teacher=str(folder)), data)
    whole, cut = populate(job), populate(job)
    for rows in (whole, cut):
        rows.place(0, Trial(7, params, 5))
        plain.reading(rows)
    snapshot = cut.snapshot(0)
    again = populate(job)
    again.place(0, Trial(7, params, 5), snapshot)
    assert plain.reading(again).repeats(plain.reading(whole))


@BACKENDS
def test_what_is_judged_in_8_bit_integers_predicts_so_when_it_is_loaded(
    populate: Callable[[Job], TrialBatch], tmp_path: Path
) -> None:
    data = blobs()
    (tmp_path / "teacher").mkdir()
    (tmp_path / "kept").mkdir()
    folder = taught(tmp_path / "teacher", data)
    job = Job(plain.study(model="mlp", teacher=str(folder)), data)
    rows = populate(job)
    rows.place(0, Trial(7, {**BASE, "learning_rate": 0.003, "pruned": 0.4, "quantization": "int8"}, 5))
    best = min((plain.reading(rows) for _ in range(plain.EPOCHS)), key=lambda each: each.val_loss)
    assert rows.save(0, tmp_path / "kept")
    model = load_model(tmp_path / "kept")
    losses = model.losses(data.validation.x, np.array(data.classes)[data.validation.y])
    assert losses.mean() == pytest.approx(best.val_loss, rel=1e-5)
    exact = model.module(torch.from_numpy(data.validation.x)).detach()
    y = torch.from_numpy(data.validation.y)
    assert float(nn.functional.cross_entropy(exact, y)) != pytest.approx(best.val_loss, rel=1e-5)


def test_other_network_than_the_teachers_fails_in_words(tmp_path: Path) -> None:
    data = blobs()
    folder = taught(tmp_path, data)
    rows = FusedBatch(Job(plain.study(model="mlp", teacher=str(folder)), data))
    rows.place(0, Trial(7, {**BASE, "width": 16}, 5))
    failed = rows.advance()[0]
    assert isinstance(failed, Failure)
    assert "fix the settings of the network to the teacher's" in failed.error
    rows.clear(0)
    rows.place(0, Trial(7, {**BASE, "width": 16, "from_scratch": True, "learning_rate": 0.01}, 5))
    plain.reading(rows)


def test_teacher_of_several_models_says_their_mean(tmp_path: Path) -> None:
    data = blobs()
    for name, more in (("one", {}), ("two", {"width": 6})):
        (tmp_path / name).mkdir()
        taught(tmp_path / name, data, **more)
    x = torch.from_numpy(data.train.x)
    said = [load_model(tmp_path / name).module(x).detach() for name in ("one", "two")]
    (tmp_path / "one" / "members").mkdir()
    (tmp_path / "two").rename(tmp_path / "one" / "members" / "1")
    loss = loss_of("cross_entropy", 3, data.task)
    arrays = TrainingArrays(data, 5)
    tensors = TrainingTensors(arrays, loss, torch.device("cpu"), Teacher(tmp_path / "one"))
    torch.testing.assert_close(tensors.lessons[:, 3:], torch.stack(said).mean(0))


def test_a_row_with_a_very_large_number_leaves_the_integers_of_the_others_as_they_are() -> None:
    torch.manual_seed(0)
    network, x = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)).eval(), torch.randn(9, 4)
    rounded = Int8Network(network, x)
    together = rounded(torch.cat([x, torch.full((1, 4), 1e5)]))
    assert torch.equal(together[:9], rounded(x))
    assert (together[:9] - network(x)).abs().max() < 0.1
    assert rounded(x[:0]).shape == (0, 3)
