from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn import metrics

from tuner.core.dataset import Dataset, Split, Task
from tuner.judging import measured
from tuner.judging.measures import of_score
from tuner.trainers import scores

CLASSES = 4


def score(name: str, truth: NDArray[Any], predicted: NDArray[Any], of: Dataset) -> float:
    return scores.find(name).of(truth, predicted, of)


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


def test_function_of_ones_own_is_given_the_targets_own_units() -> None:
    seen: list[Any] = []

    @scores.score("minimize")
    def worst(y: NDArray[Any], output: NDArray[Any]) -> float:
        seen.extend([y, output])
        return float(np.abs(y - output).max())

    of = data(Task.REGRESSION, target_shift=10.0, target_scale=2.0)
    assert worst.of(np.array([[0.0], [1.0]]), np.array([[0.0], [3.0]]), of) == 4.0
    assert [each.tolist() for each in seen] == [[10.0, 12.0], [10.0, 16.0]]
    assert worst.direction == "minimize"


def test_what_a_score_of_ones_own_varies_by_is_told_as_of_a_share() -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 2, 300)
    predicted = [np.where(draw.random(300) < 0.8, truth, 1 - truth) for _ in range(4)]

    def share(y: NDArray[Any], p: NDArray[Any]) -> float:
        return float(np.mean(y == p))

    own, shipped = of_score(share, truth, predicted), measured("accuracy", truth, predicted)
    assert own.values == pytest.approx(shipped.values)
    assert own.interval().low == pytest.approx(shipped.interval().low, abs=0.02)
    assert own.interval().high == pytest.approx(shipped.interval().high, abs=0.02)
