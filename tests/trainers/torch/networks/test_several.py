"""several: a network for each input, as its plain loop has it, in every engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.trainers.torch import plain
from tests.trainers.torch.networks.test_families import BASE, Contract, context
from tests.trainers.torch.test_stacked import agree, batches, curves, train
from tuner.core.dataset import Split
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.trial import Params, Trial
from tuner.data import Scaling
from tuner.testing.trainer import study
from tuner.trainers import load_model
from tuner.trainers.torch import TorchTrainer
from tuner.trainers.torch.faults import validate
from tuner.trainers.torch.networks import build
from tuner.trainers.torch.stacked import StackedBatch
from tuner.trainers.torch.start import network_of
from tuner.trainers.torch.training_tensors import tensors_of

DATA = plain.several()
OWN: dict[str, Params] = {
    "shared": {},
    "normalized": {"layer_norm": True, "dense_units": 7, "depth": 2},
    "each its own": {"tokens_network": "rnn", "series_width": 9, "image_depth": 2, "table_depth": 0},
    "other networks": {"tokens_network": "transformer", "series_network": "rnn", "heads": 2},
}


@pytest.mark.parametrize("params", OWN.values(), ids=OWN)
def test_stacked_rows_give_the_references_curve(params: Params) -> None:
    assert TorchTrainer().why_unfused(study(model="several"), DATA, "cpu") is None
    agree(*curves(DATA, {**BASE, **params, "dropout": 0.2}, model="several"))


def test_augmentation_is_that_of_each_input_alike_in_both_engines() -> None:
    noisy: Params = {"input_noise": 0.3, "token_dropout": 0.3, "time_shift": 2, "image_flip": True}
    curve, other = curves(DATA, {**BASE, **noisy}, model="several")
    agree(curve, other)
    assert curve[-1].train_loss != curves(DATA, BASE, model="several")[0][-1].train_loss


class PlainSeveral(nn.Module):
    """What a tutorial has."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 6))
        self.photo = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 16, 6)
        )
        self.embedding = nn.Embedding(11, 5)
        self.title = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 6))
        self.conv, self.steps = nn.Conv1d(2, 6, 3, padding=1), nn.Linear(6, 6)
        self.head = nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Any:
        table, photo, title, steps = torch.split(x, [2, 64, 6, 21], dim=1)
        tokens = title.long()
        there = (tokens > 0)[..., None]
        mean = (self.embedding(tokens) * there).sum(1) / there.sum(1)
        series = steps.reshape(-1, 7, 3)
        seen = series[..., 2] > 0
        found = self.conv(series[..., :2].mT).relu().masked_fill(~seen[:, None], -torch.inf).amax(2)
        parts = [self.table(table), self.photo(photo.view(-1, 1, 8, 8)), self.title(mean), self.steps(found)]
        return self.head(torch.cat(parts, 1).relu())


def test_trains_as_a_plain_loop() -> None:
    spec = study(epochs=plain.EPOCHS, model="several")
    rule: Params = {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 13, "scaling": "standard"}
    trial = Trial(7, {**BASE, **rule}, 5)
    tensors = tensors_of(Job(spec, DATA), DATA)
    mine = list(network_of(trial, "several", tensors, {}).state_dict().values())
    theirs = PlainSeveral()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), mine, strict=True)))
    scaling = tensors.inputs("standard").scaling
    train_x, held_x = (scaling.apply(split.x) for split in (DATA.train, DATA.validation))
    data = replace(DATA, train=Split(train_x, DATA.train.y), validation=Split(held_x, DATA.validation.y))
    losses, norms, _ = plain.train(theirs, data, trial.params)
    batch = StackedBatch(Job(spec, DATA, rows=3))
    batch.place(0, Trial(8, {**trial.params, "batch_size": 7}, 5))
    found = train(batch, trial, 2)
    assert [r.val_loss for r in found] == pytest.approx(losses, rel=2e-4)
    assert [r.grad_norm for r in found] == pytest.approx(norms, rel=2e-4)


@pytest.mark.parametrize("kind", ["standard", "min-max", "quantile"])
def test_each_input_is_scaled_as_it_is_alone(kind: str) -> None:
    scaled = Scaling.of(kind, DATA).apply(DATA.train.x)
    at = 0
    alone = {"photo": plain.images(), "title": plain.texts(), "steps": plain.series()}
    for part in DATA.parts:
        own = scaled[:, at : at + part.size].reshape(-1, *part.shape)
        at += part.size
        if part.name in alone:
            data = alone[part.name]
            assert np.allclose(own, Scaling.of(kind, data).apply(data.train.x), atol=1e-5)
    assert np.array_equal(scaled[:, 66:72], DATA.train.x[:, 66:72])


@pytest.mark.parametrize("scaling", ["standard", "quantile"])
def test_loaded_model_is_the_one_that_was_judged(scaling: str, tmp_path: Path) -> None:
    for i, batch in enumerate(batches(DATA, model="several")):
        curve = train(batch, Trial(0, {**BASE, "scaling": scaling}, 0))
        folder = tmp_path / str(i)
        folder.mkdir()
        assert batch.save(0, folder)
        truth = np.asarray(DATA.classes)[DATA.validation.y]
        losses = load_model(folder).losses(DATA.validation.x, truth)
        assert losses.mean() == pytest.approx(min(each.val_loss for each in curve), rel=1e-5)


class Both(nn.Module):
    """A network of one's own, which gets its inputs by name."""

    def __init__(self, params: Params, context: Any) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(context.parts[2].vocabulary, 4, padding_idx=0)
        self.head = nn.Linear(4 + 64 + 2, context.outputs)
        assert params

    def forward(self, parts: dict[str, Tensor]) -> Any:
        title = self.words(parts["title"].long())
        return self.head(torch.cat([title, parts["photo"].flatten(1), parts["table"]], 1))


def test_network_of_ones_own_gets_its_inputs_by_name(tmp_path: Path) -> None:
    name = f"{__name__}:Both"
    module = build(name, BASE, replace(context(DATA), parts=DATA.parts))
    assert list(module.state_dict()) == ["words.weight", "head.weight", "head.bias"]
    one, other = curves(DATA, {"learning_rate": 0.01, "batch_size": 16}, model=name)
    agree(one, other)
    (batch,) = batches(DATA, model=name)[:1]
    train(batch, Trial(0, {"learning_rate": 0.01}, 0))
    assert batch.save(0, tmp_path)
    assert len(load_model(tmp_path).predict(DATA.validation.x)) == len(DATA.validation)


@pytest.mark.parametrize(
    ("fixed", "told"),
    [
        (
            {"tokens_width": 0},
            "space.fixed.tokens_width: 0 makes no sense; give a whole number of at least 1",
        ),
        ({"image_network": "bag"}, "space.fixed.image_network: unknown name 'bag'; known: cnn, mlp"),
        ({"image_cell": "gru"}, "space.fixed.image_cell: several has no such parameter"),
        ({"pooling": "max"}, "space.fixed.pooling: several has no such parameter; it is one of cnn"),
        ({"mixup": 0.2}, "space.mixup: the mean of two words is no word"),
        ({"tokens_width": 9, "image_network": "mlp", "series_kernel_size": 5, "tokens_dense_units": 4}, None),
    ],
)
def test_what_several_does_not_take_is_refused(fixed: Params, told: str | None) -> None:
    searched = {"learning_rate": {"type": "float", "low": 0.01, "high": 0.1, "default": 0.1}}
    spec = StudySpec.parse({"trainer": {"model": "several"}, "space": {**searched, "fixed": fixed}})
    found = validate(spec, DATA)
    assert (len(found), str(found[0])[: len(told)]) == (1, told) if told else not found, found
    alone, *_ = validate(spec, plain.texts())
    assert "several needs several inputs, (D,) together, found tokens of shape (6,)" in alone


class TestSeveral(Contract):
    model = "several"

    def job(self) -> Job:
        return Job(study(epochs=3, model=self.model), DATA, rows=2)
