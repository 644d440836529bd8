"""Texts and series train in every engine alike, and their models take them as they came."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainers.torch import nets
from tests.trainers.torch.plain import series, texts
from tests.trainers.torch.test_stacked import BASE, agree, batches, curves, train
from tuner.core.dataset import Dataset, InputKind
from tuner.core.trial import Trial
from tuner.data.scaling import KINDS, Scaling
from tuner.trainers import load_model
from tuner.trainers.torch import losses
from tuner.trainers.torch.batches import Augmentation
from tuner.trainers.torch.recipe import Recipe

CASES = [(texts(), "Words"), (series(), "Steps")]


@pytest.mark.parametrize(("data", "network"), CASES, ids=["tokens", "series"])
@pytest.mark.parametrize("batch_size", [16, 45])
def test_stacked_rows_give_the_references_curve(data: Dataset, network: str, batch_size: int) -> None:
    augmented = {"token_dropout": 0.2, "time_shift": 2, "input_noise": 0.2}
    for more in ({}, augmented):
        agree(*curves(data, {"dropout": 0.3, "batch_size": batch_size, **more}, model=nets.of(network)))


def test_what_says_where_a_series_has_steps_is_not_augmented() -> None:
    data = series()
    x, y = torch.tensor(data.train.x), torch.tensor(data.train.y)
    recipe, loss = Recipe(time_shift=2, input_noise=0.5), losses.build("cross_entropy", 3, data.task)
    generators = torch.Generator().manual_seed(0), np.random.default_rng(0)
    found, _, _ = Augmentation(recipe, loss, data).of(x, y, None, *generators)
    there = x[:, :, -1] > 0
    assert torch.equal(found[:, :, -1], x[:, :, -1])
    assert not found[~there].any()
    assert (found[there][:, :-1] != x[there][:, :-1]).all()


@pytest.mark.parametrize(("data", "network"), CASES, ids=["tokens", "series"])
def test_loaded_model_is_the_one_that_was_judged(data: Dataset, network: str, tmp_path: Path) -> None:
    for i, batch in enumerate(batches(data, model=nets.of(network))):
        curve = train(batch, Trial(0, BASE, 0))
        folder = tmp_path / str(i)
        folder.mkdir()
        assert batch.save(0, folder)
        truth = np.asarray(data.classes)[data.validation.y]
        losses = load_model(folder).losses(data.validation.x, truth)
        assert losses.mean() == pytest.approx(min(each.val_loss for each in curve), rel=1e-5)


def test_inputs_have_kinds() -> None:
    assert [texts().kind, series().kind] == [InputKind.TOKENS, InputKind.SERIES]


@pytest.mark.parametrize("kind", KINDS)
def test_steps_that_are_there_are_scaled_as_a_table_and_the_others_stay_zero(kind: str) -> None:
    x = series().train.x
    there = x[:, :, -1] > 0
    scaling = Scaling.fit(kind, x, masked=True)
    again = Scaling.from_table(scaling.to_table())
    steps = x[there][:, :-1]
    for found in (scaling.apply(x), again.apply(x)):
        np.testing.assert_array_equal(found[there][:, :-1], Scaling.fit(kind, steps).apply(steps))
        np.testing.assert_array_equal(found[:, :, -1], there)
        assert not found[~there].any()


def test_tokens_are_not_scaled() -> None:
    x = texts().train.x
    scaling = Scaling.fit("standard", x)
    np.testing.assert_array_equal(Scaling.from_table(scaling.to_table()).apply(x), x)
