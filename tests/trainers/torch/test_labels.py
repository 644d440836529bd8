"""Several labels of two classes each: alone, stacked and fused, kept and read back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics
from torch.nn import functional

from tests.trainers.torch.plain import alone
from tuner.core.dataset import Dataset, Split, Task
from tuner.core.job import Job
from tuner.core.training import TrialBatch
from tuner.core.trial import Reading, Trial
from tuner.testing.trainer import study
from tuner.trainers import load_model
from tuner.trainers.baseline import baseline
from tuner.trainers.scores import find
from tuner.trainers.torch import TorchTrainer
from tuner.trainers.torch.fused import FusedBatch
from tuner.trainers.torch.stacked import StackedBatch

LABELS = {"wet": ("no", "yes"), "cold": ("0", "1"), "late": ("no", "yes")}


def weather(count: int = 2, rows: int = 120) -> Dataset:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(rows + 60, 4)).astype(np.float32)
    y = (x @ draw.normal(size=(4, count)) + draw.normal(size=(len(x), count)) > 0.5).astype(np.float32)
    labels = dict(list(LABELS.items())[:count])
    return Dataset(Split(x[:rows], y[:rows]), Split(x[rows:], y[rows:]), Task.MULTILABEL, labels=labels)


def curve(batch: Any, params: dict[str, Any]) -> list[Reading]:
    batch.place(0, Trial(4, {"width": 12, "batch_size": 16, "learning_rate": 0.02, **params}, 0))
    found = []
    for _ in range(3):
        outcome = batch.advance()[0]
        assert isinstance(outcome, Reading), getattr(outcome, "traceback", outcome)
        found.append(outcome)
    return found


@pytest.mark.parametrize("score", ["f1_macro", "accuracy", "exact_match", "roc_auc", "log_loss", "mcc"])
@pytest.mark.parametrize("count", [2, 3])
def test_labels_train_alike_everywhere_and_are_scored_as_scikit_learn_does(
    tmp_path: Path, score: str, count: int
) -> None:
    data = weather(count)
    job = Job(study(epochs=3, model="mlp", score=score), data)
    assert TorchTrainer().validate(job.spec, data) == []
    one = curve(alone(job), {"mixup": 0.2, "label_smoothing": 0.1})
    batches: dict[str, TrialBatch] = {"fused": FusedBatch(job), "stacked": StackedBatch(job)}
    for name, batch in batches.items():
        other = curve(batch, {"mixup": 0.2, "label_smoothing": 0.1})
        for mine, its in zip(one, other, strict=True):
            assert math.isfinite(mine.val_score)
            for number in ("train_loss", "val_loss", "val_score", "grad_norm"):
                assert its.get(number) == pytest.approx(mine.get(number), rel=2e-4, abs=1e-5), number
        folder = tmp_path / name
        folder.mkdir()
        assert batch.save(0, folder)
        best = min(other, key=lambda reading: reading.val_loss)
        model, truth = load_model(folder), data.validation.y
        shares = model.probabilities(data.validation.x)  # type: ignore[attr-defined]
        named = model.predict(data.validation.x)
        assert named.shape == truth.shape
        called = (shares > 0.5).astype(int)
        assert np.array_equal(named == [pair[1] for pair in data.labels.values()], called == 1)
        each = [(truth[:, i], called[:, i], shares[:, i]) for i in range(count)]
        theirs: dict[str, Any] = {
            "f1_macro": metrics.f1_score(truth, called, average="macro", zero_division=0),
            "accuracy": 1 - metrics.hamming_loss(truth, called),
            "exact_match": metrics.accuracy_score(truth, called),
            "roc_auc": metrics.roc_auc_score(truth, shares, average="macro"),
            "log_loss": np.mean([metrics.log_loss(y, s) for y, _, s in each]),
            "mcc": np.mean([metrics.matthews_corrcoef(y, p) for y, p, _ in each]),
        }
        expected = theirs[score]
        assert best.val_score == pytest.approx(expected, abs=1e-5)
        words = np.array(
            [[pair[int(v)] for v, pair in zip(row, data.labels.values(), strict=True)] for row in truth]
        )
        losses = model.losses(data.validation.x, words)
        assert losses.mean() == pytest.approx(best.val_loss, rel=1e-4)
        outputs = model.module(torch.tensor(data.validation.x)).detach()
        plain = functional.binary_cross_entropy_with_logits(outputs, torch.tensor(truth))
        assert float(plain) == pytest.approx(best.val_loss, rel=1e-4)


def test_always_the_commoner_value_is_what_has_to_be_beaten() -> None:
    data = weather()
    for name in ("f1_macro", "accuracy", "roc_auc", "exact_match"):
        base = baseline(study(score=name), data)
        assert base is not None
        assert math.isfinite(base.val_score)
        shares = data.train.y.mean(0)
        expected = metrics.log_loss(data.validation.y[:, 0], np.full(60, shares[0]), labels=[0, 1])
        expected += metrics.log_loss(data.validation.y[:, 1], np.full(60, shares[1]), labels=[0, 1])
        assert base.val_loss == pytest.approx(expected / 2, rel=1e-5)


def test_what_cannot_learn_labels_says_so() -> None:
    told = TorchTrainer().validate(study(loss="cross_entropy"), weather())
    assert told == [
        "trainer.loss: 'cross_entropy' is not for multi-label classification; give one of "
        "binary_cross_entropy"
    ]
    assert Task.MULTILABEL in find("exact_match").tasks
