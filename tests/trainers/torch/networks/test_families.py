"""The networks of sequences: equal to torch's own, in every engine, whatever their lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.trainers.torch import plain
from tests.trainers.torch.plain import series, texts
from tests.trainers.torch.test_stacked import agree, batches, curves, train
from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.training import Trainer
from tuner.core.trial import Params, Trial
from tuner.testing.trainer import TrainerContract, same, study
from tuner.trainers import load_model
from tuner.trainers.torch import TorchTrainer
from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.networks import build
from tuner.trainers.torch.stacked import StackedBatch
from tuner.trainers.torch.start import network_of
from tuner.trainers.torch.training_tensors import tensors_of

BASE: Params = {"width": 6, "depth": 1, "batch_size": 16, "learning_rate": 0.01, "token_size": 5}

OPTIONS: list[tuple[str, Params]] = [
    *(("rnn", {"cell": cell, "bidirectional": both}) for cell in ("gru", "lstm", "rnn") for both in (0, 1)),
    ("rnn", {"pooling": "mean", "depth": 2, "layer_norm": True}),
    ("rnn", {"pooling": "max", "dense_units": 7, "activation": "tanh"}),
    ("conv1d", {}),
    ("conv1d", {"kernel_size": 5, "pooling": "mean", "depth": 2, "layer_norm": True, "dense_units": 7}),
    ("conv1d", {"kernel_size": 1, "depth": 0}),
    ("transformer", {"heads": 2}),
    ("transformer", {"heads": 1, "depth": 2, "pooling": "max", "activation": "gelu"}),
    ("bag", {}),
    ("bag", {"depth": 2, "layer_norm": True, "batch_norm": True}),
    ("bag", {"depth": 0}),
]
OPTIONS = [
    (m, {k: bool(v) if k == "bidirectional" else v for k, v in params.items()}) for m, params in OPTIONS
]
CASES = [
    (m, params, data)
    for m, params in OPTIONS
    for data in ("texts", "series")
    if (m, data) != ("bag", "series")
]
DATA = {"texts": texts(), "series": series()}


def context(data: Dataset) -> NetworkContext:
    return NetworkContext(
        data.input_shape, len(data.classes), data.task, vocabulary=data.vocabulary, masked=data.masked
    )


@pytest.mark.parametrize(("model", "params", "data"), CASES, ids=str)
def test_stacked_rows_give_the_references_curve(model: str, params: Params, data: str) -> None:
    given = {**BASE, **params, "dropout": 0.2}
    assert TorchTrainer().why_unfused(study(model=model), DATA[data], "cpu") is None
    agree(*curves(DATA[data], given, model=model))


@pytest.mark.parametrize(("model", "params", "data"), CASES, ids=str)
def test_steps_behind_the_end_change_nothing(model: str, params: Params, data: str) -> None:
    """Nor does it matter how far the longest sequence goes."""
    module = build(model, {**BASE, **params}, context(DATA[data])).eval()
    x = torch.tensor(DATA[data].train.x[:9])
    x[0] = 0  # a sequence without steps
    found = module(x)
    assert found.isfinite().all()
    torch.testing.assert_close(module(torch.cat([x, torch.zeros_like(x)], 1)), found, atol=1e-5, rtol=1e-4)
    if data == "series":
        x[..., :-1][x[..., -1] == 0] = 1e3
        torch.testing.assert_close(module(x), found, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("model", "params", "data"), CASES, ids=str)
def test_curve_does_not_depend_on_other_rows(model: str, params: Params, data: str) -> None:
    found = []
    for rows in (1, 5):
        batch = StackedBatch(Job(study(epochs=3, model=model), DATA[data], rows=rows))
        for row in range(rows - 1):
            batch.place(row, Trial(row, {**BASE, **params, "batch_size": 9 * (row + 1)}, 0))
        found.append(train(batch, Trial(20, {**BASE, **params, "dropout": 0.2}, 0), rows - 1))
    assert all(same(curve, found[0]) for curve in found)


def test_dropout_rates_and_their_absence_may_differ_side_by_side() -> None:
    _, four = batches(DATA["texts"], model="transformer")
    for row, rate in enumerate((0.0, 0.1, 0.5)):
        four.place(row, Trial(row, {**BASE, "heads": 2, "dropout": rate}, 0))
    assert len({outcome.train_loss for outcome in four.advance().values()}) == 3  # type: ignore[union-attr]


@pytest.mark.parametrize("model", ["rnn", "conv1d", "transformer", "bag"])
def test_loaded_model_is_the_one_that_was_judged(model: str, tmp_path: Path) -> None:
    data = DATA["texts"]
    for i, batch in enumerate(batches(data, model=model)):
        curve = train(batch, Trial(0, {**BASE, "heads": 2, "bidirectional": True}, 0))
        folder = tmp_path / str(i)
        folder.mkdir()
        assert batch.save(0, folder)
        truth = np.asarray(data.classes)[data.validation.y]
        losses = load_model(folder).losses(data.validation.x, truth)
        assert losses.mean() == pytest.approx(min(each.val_loss for each in curve), rel=1e-5)


class PlainGru(nn.Module):
    """What a tutorial has."""

    def __init__(self, width: int, data: Dataset) -> None:
        super().__init__()
        self.embedding = nn.Embedding(data.vocabulary, 5)
        self.gru = nn.GRU(5, width, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, len(data.classes))

    def forward(self, x: Tensor) -> Any:
        lengths = (x > 0).sum(1)
        embedded = self.embedding(x.long())
        packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        last = self.gru(packed)[1]
        return self.head(torch.cat([last[0], last[1]], 1))


def test_rnn_trains_as_torchs_own_in_a_plain_loop() -> None:
    data, spec = DATA["texts"], study(epochs=plain.EPOCHS, model="rnn")
    rule: Params = {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 13, "scaling": "none"}
    trial = Trial(7, {**BASE, **rule, "bidirectional": True}, 5)
    tensors = tensors_of(Job(spec, data), data)
    mine = network_of(trial, "rnn", tensors, {}).state_dict()
    theirs = PlainGru(6, data)
    names = {
        "embedding.weight": "steps.values.weight",
        "head.weight": "head.0.weight",
        "head.bias": "head.0.bias",
    }
    for i, ending in enumerate(("_l0", "_l0_reverse")):
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        names |= {f"gru.{kind}{ending}": f"layers.0.{i}.{kind}" for kind in kinds}
    theirs.load_state_dict({name: mine[own] for name, own in names.items()})
    losses, norms, _ = plain.train(theirs, data, trial.params)
    batch = StackedBatch(Job(spec, data, rows=3))
    batch.place(0, Trial(8, {**trial.params, "batch_size": 7}, 5))
    found = train(batch, trial, 2)
    assert [r.val_loss for r in found] == pytest.approx(losses, rel=2e-4)
    assert [r.grad_norm for r in found] == pytest.approx(norms, rel=2e-4)


def test_transformer_is_torchs_encoder() -> None:
    data = DATA["series"]
    module = build("transformer", {"width": 8, "heads": 2, "depth": 2}, context(data)).eval()
    layer = nn.TransformerEncoderLayer(8, 2, 32, 0.0, "relu", batch_first=True, norm_first=True)
    theirs = nn.TransformerEncoder(layer, 2, nn.LayerNorm(8), enable_nested_tensor=False).eval()
    own = module.state_dict()
    names = {"norm1": "first", "norm2": "second", "linear1": "inner.0", "linear2": "inner.3"}
    state: dict[str, Tensor] = {f"norm.{kind}": own[f"norm.{kind}"] for kind in ("weight", "bias")}
    for i in range(2):
        for name, mine in names.items():
            for kind in ("weight", "bias"):
                state[f"layers.{i}.{name}.{kind}"] = own[f"layers.{i}.{mine}.{kind}"]
        for kind in ("weight", "bias"):
            state[f"layers.{i}.self_attn.in_proj_{kind}"] = own[f"layers.{i}.attention.in_proj_{kind}"]
            state[f"layers.{i}.self_attn.out_proj.{kind}"] = own[f"layers.{i}.attention.out_proj_{kind}"]
    theirs.load_state_dict(state)
    x = torch.tensor(data.train.x)
    with torch.no_grad():
        there = x[..., -1] > 0
        inner = module.positions(module.project(x[..., :-1]))  # type: ignore[operator]
        states = theirs(inner, src_key_padding_mask=~there)
        mean = (states * there[..., None]).sum(1) / there.sum(1, keepdim=True)
        torch.testing.assert_close(module(x), module.head(mean), atol=1e-5, rtol=1e-4)  # type: ignore[operator]


def test_transformers_width_is_a_multiple_of_its_heads() -> None:
    module = build("transformer", {"width": 10, "heads": 4}, context(DATA["texts"]))
    assert module.get_parameter("norm.weight").shape == (12,)


class Contract(TrainerContract):
    """Rows side by side."""

    model, data = "rnn", "texts"

    def trainer(self) -> Trainer:
        return TorchTrainer()

    def job(self) -> Job:
        return Job(study(epochs=3, model=self.model), DATA[self.data], rows=2)

    def params(self, number: int) -> Params:
        rate = {"learning_rate": 0.003 * (number + 1), "dropout": 0.1 * (number + 1)}
        return {**BASE, **rate, "batch_size": 8 * (number + 1)}

    def diverging_params(self) -> Params:
        return {"optimizer": "sgd", "learning_rate": 3e38}

    def broken_params(self) -> Params:
        return {"width": "broad"}

    def test_this_is_the_batch_in_question(self) -> None:
        assert isinstance(self.batch(), StackedBatch)


class TestRnn(Contract):
    def params(self, number: int) -> Params:
        return {**super().params(number), "cell": ("gru", "lstm", "rnn")[number % 3]}


class TestConv1d(Contract):
    model, data = "conv1d", "series"


class TestBag(Contract):
    model = "bag"

    def params(self, number: int) -> Params:
        return {**super().params(number), "batch_norm": number != 1}


class TestTransformer(Contract):
    model, data = "transformer", "series"

    def params(self, number: int) -> Params:
        return {**super().params(number), "heads": 2}
