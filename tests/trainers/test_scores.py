from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from tuner.core.dataset import Dataset, Split, Task
from tuner.judging import measured
from tuner.trainers.scores import score

CLASSES = 4
ROWS = st.integers(1, 30)


def data(task: Task, **more: Any) -> Dataset:
    empty = Split(np.zeros((0, 1), np.float32), np.zeros(0))
    return Dataset(empty, empty, task, **more)


@settings(max_examples=40)
@given(st.data())
def test_classification_scores_are_scikit_learns_macro_averages(draw: st.DataObject) -> None:
    rows = draw.draw(ROWS)
    truth, predicted = (draw.draw(arrays(np.int64, rows, elements=st.integers(0, CLASSES - 1))) for _ in "ab")
    classes = data(Task.CLASSIFICATION, classes=tuple("abcd"))
    macro: dict[str, Any] = {"average": "macro", "zero_division": 0}
    for name, expected in {
        "accuracy": metrics.accuracy_score(truth, predicted),
        "precision": metrics.precision_score(truth, predicted, **macro),
        "recall": metrics.recall_score(truth, predicted, **macro),
        "f1": metrics.f1_score(truth, predicted, **macro),
    }.items():
        assert score(name, truth, predicted, classes) == pytest.approx(expected)
        if name != "accuracy":
            assert score(f"{name}_macro", truth, predicted, classes) == pytest.approx(expected)


@settings(max_examples=40)
@given(st.data(), st.integers(0, 1))
def test_of_two_classes_the_scores_are_the_positive_ones_and_macro_is_said(
    draw: st.DataObject, positive: int
) -> None:
    rows = draw.draw(ROWS)
    truth, predicted = (draw.draw(arrays(np.int64, rows, elements=st.integers(0, 1))) for _ in "ab")
    classes = data(Task.CLASSIFICATION, classes=("no", "yes"), positive=positive)
    named = [np.array(["no", "yes"], dtype=object)[codes] for codes in (truth, predicted)]
    for name, theirs in {
        "precision": metrics.precision_score,
        "recall": metrics.recall_score,
        "f1": metrics.f1_score,
    }.items():
        alone = theirs(truth == positive, predicted == positive, zero_division=0)
        macro = theirs(truth, predicted, average="macro", zero_division=0)
        assert score(name, truth, predicted, classes) == pytest.approx(alone)
        assert score(f"{name}_macro", truth, predicted, classes) == pytest.approx(macro)
        tested = measured(name, named[0], [named[1]], classes.classes[positive])
        assert tested.values == pytest.approx([alone])
        averaged = measured(f"{name}_macro", named[0], [named[1]], classes.classes[positive])
        assert averaged.values == pytest.approx([macro])


@settings(max_examples=40)
@given(st.data())
def test_regression_scores_are_scikit_learns(draw: st.DataObject) -> None:
    rows, targets = draw.draw(st.integers(2, 20)), draw.draw(st.integers(1, 3))
    numbers = st.floats(-100, 100, width=32).map(lambda v: round(v, 2))
    truth, predicted = (draw.draw(arrays(np.float32, (rows, targets), elements=numbers)) for _ in "ab")
    scale = np.arange(1, targets + 1, dtype=np.float32)
    own = data(Task.REGRESSION, target_scale=scale)
    y, p = truth.astype(np.float64), predicted.astype(np.float64)
    assert score("r2", truth, predicted, own) == pytest.approx(metrics.r2_score(y, p), rel=1e-6, abs=1e-9)
    rmse = metrics.root_mean_squared_error(y * scale, p * scale)
    assert score("rmse", truth, predicted, own) == pytest.approx(rmse, rel=1e-6)


def test_constant_target_has_no_variance_to_explain() -> None:
    constant = np.ones((3, 1), np.float32)
    assert score("r2", constant, constant, data(Task.REGRESSION)) == 1.0
    assert score("r2", constant, constant + 1, data(Task.REGRESSION)) == 0.0
