from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from tests.trainers.torch import plain
from tuner.artifacts import DESCRIPTION
from tuner.core.dataset import Dataset, Split, Task
from tuner.core.job import Job
from tuner.core.training import TrialBatch
from tuner.core.trial import Reading, Trial
from tuner.testing.trainer import blobs, line
from tuner.trainers import load_model, open_batch
from tuner.trainers.sklearn import SklearnTrainer
from tuner.trainers.threshold import CHOSEN_BY, Threshold, decided
from tuner.trainers.torch import TorchTrainer

THEIRS: dict[str, Any] = {
    "accuracy": metrics.accuracy_score,
    "balanced_accuracy": metrics.balanced_accuracy_score,
    "f1": lambda y, p, **more: metrics.f1_score(y, p, zero_division=0, **more),
    "f1_macro": lambda y, p, **more: metrics.f1_score(y, p, average="macro", zero_division=0, **more),
    "mcc": metrics.matthews_corrcoef,
}


def rare(rows: int = 300) -> Dataset:
    """Two classes that overlap, one of them rare."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(2 * rows, 3)).astype(np.float32)
    y = (draw.random(2 * rows) < 1 / (1 + np.exp(2.5 - 2 * x[:, 0]))).astype(np.int64)
    return Dataset(
        Split(x[:rows], y[:rows]), Split(x[rows:], y[rows:]), Task.CLASSIFICATION, classes=("no", "yes")
    )


def test_every_score_that_chooses_is_known() -> None:
    assert set(CHOSEN_BY) == set(THEIRS)


@settings(max_examples=60)
@given(st.data(), st.sampled_from(sorted(THEIRS)), st.integers(0, 1), st.booleans())
def test_no_threshold_is_better_than_the_chosen_one(
    draw: st.DataObject, name: str, positive: int, weighted: bool
) -> None:
    rows = draw.draw(st.integers(2, 30))
    rng = np.random.default_rng(draw.draw(st.integers(0, 2**32 - 1)))
    truth = rng.integers(0, 2, rows)
    truth[:2] = 0, 1
    told = rng.choice([0.0, 0.1, 0.3, 0.5, 0.7, 1.0], rows).astype(np.float32)
    shares = np.stack([1 - told, told], axis=1)
    weight = rng.choice([0.5, 3.0], rows).astype(np.float32) if weighted else None
    none = Split(np.zeros((0, 1), np.float32), truth[:0])
    data = Dataset(none, none, Task.CLASSIFICATION, ("a", "b"), positive)
    threshold = Threshold.of(plain.study(threshold="auto", score=name), Task.CLASSIFICATION)
    assert threshold is not None
    found = threshold.found(truth, shares, data, weight)

    def at(each: float) -> float:
        called = decided(shares, each, positive) == positive
        return float(THEIRS[name](truth == positive, called, sample_weight=weight))

    best = max(at(each) for each in (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 1.0, 1.1))  # one between any two shares
    assert at(found) == pytest.approx(best, abs=1e-9)
    assert threshold.scored().of(truth, shares, data, weight) == pytest.approx(best, abs=1e-9)


def trained(batch: TrialBatch, folder: Path, epochs: int = 3) -> list[Reading]:
    batch.place(0, Trial(0, {"learning_rate": 0.02, "width": 8, "batch_size": 32}, 0))
    found = []
    for _ in range(epochs):
        outcome = batch.advance()[0]
        assert isinstance(outcome, Reading), getattr(outcome, "traceback", outcome)
        found.append(outcome)
    folder.mkdir()
    assert batch.save(0, folder)
    return found


@pytest.mark.parametrize("given", ["auto", 0.2])
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_a_kept_model_predicts_by_the_threshold_of_its_best_epoch(
    tmp_path: Path, given: float | str, loss: str
) -> None:
    data = rare()
    spec = plain.study(model="mlp", threshold=given, score="f1", loss=loss)
    job = Job(spec, data)
    for name, batch in {"fused": open_batch(TorchTrainer(), job), "alone": plain.alone(job)}.items():
        curve = trained(batch, tmp_path / f"{name}", 3)
        best = min(curve, key=lambda reading: reading.val_loss)
        model = load_model(tmp_path / name)
        table = model.description["threshold"]
        assert table["class"] == "yes"
        assert table["chosen"] == (given == "auto")
        told = model.predict(data.validation.x)
        assert metrics.f1_score(data.validation.y, told == "yes") == pytest.approx(best.val_score, abs=1e-6)
        assert table["val_score"] == pytest.approx(best.val_score, abs=1e-6)
        shares = model.probabilities(data.validation.x)[:, 1]  # type: ignore[attr-defined]
        assert np.array_equal(told == "yes", shares >= table["at"])
        half = metrics.f1_score(data.validation.y, shares >= 0.5)
        assert table["val_score_at_half"] == pytest.approx(half, abs=1e-6)
        if given == "auto":
            assert best.val_score > half


def test_without_one_nothing_changes(tmp_path: Path) -> None:
    data = rare()
    trained(open_batch(TorchTrainer(), Job(plain.study(model="mlp"), data)), tmp_path / "m")
    assert "threshold" not in json.loads((tmp_path / "m" / DESCRIPTION).read_text())
    model = load_model(tmp_path / "m")
    shares = model.probabilities(data.validation.x)  # type: ignore[attr-defined]
    assert np.array_equal(model.predict(data.validation.x), np.array(["no", "yes"])[shares.argmax(1)])


def test_an_estimator_has_one_too(tmp_path: Path) -> None:
    data = rare()
    spec = plain.study(
        use="sklearn", model="forest", threshold="auto", score="mcc", settings={"n_estimators": 9}
    )
    spec = spec.model_copy(
        update={"space": spec.space.model_copy(update={"parameters": {}, "fixed": {"max_depth": 3}})}
    )
    session = SklearnTrainer().start(Job(spec, data), Trial(0, {"max_depth": 3}, 0))
    reading = session.next()
    assert isinstance(reading, Reading)
    session.save(tmp_path)
    model = load_model(tmp_path)
    told = model.predict(data.validation.x) == "yes"
    assert metrics.matthews_corrcoef(data.validation.y, told) == pytest.approx(reading.val_score)


def test_thresholds_that_make_no_sense_are_told() -> None:
    validate = TorchTrainer().validate
    assert validate(plain.study(threshold="auto"), blobs()) == [
        "trainer.threshold: is between two classes, found 3 classes; drop it"
    ]
    assert validate(plain.study(threshold=0.3), line()) == [
        "trainer.threshold: is between two classes, found regression; drop it"
    ]
    assert (
        '"auto" would call everything one class'
        in validate(plain.study(threshold="auto", score="recall"), rare())[0]
    )
    svc = plain.study(use="sklearn", model="svm", threshold=0.3)
    faults = SklearnTrainer().validate(svc, dataclasses.replace(rare()))
    assert "trainer.threshold: SVC has no probabilities; drop it or give another estimator" in faults
