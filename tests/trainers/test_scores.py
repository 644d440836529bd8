from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn import metrics

from tests.trainers.torch import plain
from tuner import registry
from tuner.core.dataset import Dataset, Split, Task
from tuner.judging.measures import SCALES, measured, of_score
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


WEIGHTS = st.one_of(st.none(), st.integers(0, 2**32 - 1))


def weights(seed: int | None, rows: int) -> NDArray[np.float32] | None:
    if seed is None:
        return None
    return np.random.default_rng(seed).choice([0.5, 1.0, 3.0], rows).astype(np.float32)


@settings(max_examples=60)
@given(st.data(), WEIGHTS)
def test_scores_of_classes_take_weights_as_scikit_learns_do(draw: st.DataObject, seed: int | None) -> None:
    rows = draw.draw(ROWS)
    truth, predicted = (draw.draw(arrays(np.int64, rows, elements=st.integers(0, CLASSES - 1))) for _ in "ab")
    classes, w = data(Task.CLASSIFICATION, classes=tuple("abcd")), weights(seed, rows)
    named = [np.array(list("abcd"), dtype=object)[codes] for codes in (truth, predicted)]
    more: dict[str, Any] = {"sample_weight": w}
    macro: dict[str, Any] = {"average": "macro", "zero_division": 0, **more}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": metrics.accuracy_score(truth, predicted, **more),
            "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted, **more),
            "mcc": metrics.matthews_corrcoef(truth, predicted, **more),
            "f1": metrics.f1_score(truth, predicted, **macro),
        }
    for name, value in expected.items():
        assert scores.find(name).of(truth, predicted, classes, w) == pytest.approx(value, abs=1e-6), name
        if w is None:
            assert measured(name, named[0], [named[1]]).values == pytest.approx([value], abs=1e-6), name


def shares_of(draw: st.DataObject, rows: int, classes: int) -> NDArray[np.float32]:
    """Probabilities of few values, so that there are ties."""
    raw = draw.draw(arrays(np.int64, (rows, classes), elements=st.integers(1, 4))).astype(np.float64)
    return np.asarray(raw / raw.sum(axis=1, keepdims=True), np.float32)


@settings(max_examples=60)
@given(st.data(), WEIGHTS, st.integers(0, 1))
def test_scores_of_two_classes_probabilities_are_scikit_learns(
    draw: st.DataObject, seed: int | None, positive: int
) -> None:
    rows = draw.draw(ROWS)
    truth = draw.draw(arrays(np.int64, rows, elements=st.integers(0, 1)))
    shares, w = shares_of(draw, rows, 2), weights(seed, rows)
    of = data(Task.CLASSIFICATION, classes=("no", "yes"), positive=positive)
    more: dict[str, Any] = {"sample_weight": w}
    mine, told = truth == positive, shares[:, positive]
    expected = {
        "log_loss": metrics.log_loss(truth, shares, labels=[0, 1], **more),
        "brier": metrics.brier_score_loss(mine, told, pos_label=True, **more),
    }
    if len(set(truth)) > 1:
        expected |= {
            "roc_auc": metrics.roc_auc_score(mine, told, **more),
            "average_precision": metrics.average_precision_score(mine, told, **more),
        }
    for name, value in expected.items():
        assert scores.find(name).of(truth, shares, of, w) == pytest.approx(value, rel=1e-5, abs=1e-6), name


@settings(max_examples=60)
@given(st.data(), WEIGHTS)
def test_scores_of_more_classes_probabilities_are_scikit_learns_one_against_rest(
    draw: st.DataObject, seed: int | None
) -> None:
    rows = draw.draw(st.integers(CLASSES, 30))
    truth = np.append(
        np.arange(CLASSES), draw.draw(arrays(np.int64, rows - CLASSES, elements=st.integers(0, CLASSES - 1)))
    )
    shares, w = shares_of(draw, rows, CLASSES), weights(seed, rows)
    of = data(Task.CLASSIFICATION, classes=tuple("abcd"))
    more: dict[str, Any] = {"sample_weight": w}
    onehot = np.eye(CLASSES)[truth]
    areas = [metrics.roc_auc_score(onehot[:, c], shares[:, c], **more) for c in range(CLASSES)]
    for name, value in {
        "log_loss": metrics.log_loss(truth, shares, labels=list(range(CLASSES)), **more),
        "brier": metrics.brier_score_loss(truth, shares, labels=list(range(CLASSES)), **more),
        "average_precision": metrics.average_precision_score(truth, shares, average="macro", **more),
        "roc_auc": np.mean(areas),
    }.items():
        assert scores.find(name).of(truth, shares, of, w) == pytest.approx(value, rel=1e-5, abs=1e-6), name
    if w is None:
        theirs = metrics.roc_auc_score(truth, shares.astype(np.float64), multi_class="ovr", average="macro")
        assert theirs == pytest.approx(float(np.mean(areas)), abs=1e-6)


def test_a_class_without_rows_is_left_out_of_a_ranking_and_one_class_alone_has_none() -> None:
    shares = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.3, 0.5, 0.2]], np.float32)
    three = data(Task.CLASSIFICATION, classes=tuple("abc"))
    for name in ("roc_auc", "average_precision"):
        found = score(name, np.array([0, 1, 1]), shares, three)
        assert found == 1.0
        assert math.isnan(score(name, np.array([1, 1, 1]), shares, three))
        assert math.isnan(score(name, np.array([0, 1, 1]), np.full_like(shares, np.nan), three))


@settings(max_examples=40)
@given(st.data(), WEIGHTS)
def test_errors_of_numbers_are_scikit_learns(draw: st.DataObject, seed: int | None) -> None:
    rows, targets = draw.draw(st.integers(2, 20)), draw.draw(st.integers(1, 3))
    numbers = st.floats(-100, 100, width=32).map(lambda v: round(v, 2))
    truth, predicted = (draw.draw(arrays(np.float32, (rows, targets), elements=numbers)) for _ in "ab")
    scale, w = np.arange(1, targets + 1, dtype=np.float32), weights(seed, rows)
    own = data(Task.REGRESSION, target_scale=scale, target_shift=np.full(targets, 500.0))
    y, p = (each.astype(np.float64) * scale + 500 for each in (truth, predicted))
    for name, theirs in {
        "mae": metrics.mean_absolute_error,
        "mape": metrics.mean_absolute_percentage_error,
        "quantile": metrics.mean_pinball_loss,
        "rmse": metrics.root_mean_squared_error,
        "r2": metrics.r2_score,
    }.items():
        value = theirs(y, p, sample_weight=w)
        found = scores.find(name).of(truth, predicted, own, w)
        assert found == pytest.approx(value, rel=1e-5, abs=1e-9), name
        if w is None:
            assert measured(name, y, [p]).values == pytest.approx([value], rel=1e-5, abs=1e-9), name
    study = plain.study(score="quantile", quantile=0.9)
    pinball = scores.of(study, Task.REGRESSION).of(truth, predicted, own, w)
    assert pinball == pytest.approx(metrics.mean_pinball_loss(y, p, sample_weight=w, alpha=0.9), rel=1e-5)
    assert measured("quantile", y, [p], level=0.9).values == pytest.approx(
        [metrics.mean_pinball_loss(y, p, alpha=0.9)], rel=1e-5
    )


def test_a_target_learned_by_its_logarithm_is_scored_in_its_own_units() -> None:
    draw = np.random.default_rng(0)
    y, p = (np.exp(draw.normal(5, 1, 40)) for _ in "ab")
    own = data(Task.REGRESSION, target_shift=5.0, target_scale=2.0, target_log=True)
    held, told = (own.units.standardized(each).astype(np.float32)[:, None] for each in (y, p))
    for name, theirs in {
        "mae": metrics.mean_absolute_error,
        "mape": metrics.mean_absolute_percentage_error,
        "quantile": metrics.mean_pinball_loss,
        "rmse": metrics.root_mean_squared_error,
        "r2": metrics.r2_score,
    }.items():
        assert score(name, held, told, own) == pytest.approx(theirs(y, p), rel=1e-4), name


@pytest.mark.parametrize("name", sorted(registry.registered(scores.GROUP)))
def test_a_study_knows_without_the_score_which_way_it_goes(name: str) -> None:
    assert plain.study(score=name).trainer.score_falls == (scores.find(name).direction == "minimize")


@pytest.mark.parametrize("name", ["mcc", "balanced_accuracy", "accuracy"])
def test_a_perfect_model_is_not_said_to_be_certainly_perfect(name: str) -> None:
    truth = np.array(["a", "b"] * 20, dtype=object)
    found = measured(name, truth, [truth, truth]).interval()
    assert found.low < 0.97 < found.estimate == found.high == 1.0


def test_a_ranking_has_an_interval_within_its_range() -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 2, 300)
    told = [np.clip(0.3 * truth + draw.random(300), 0, 1) for _ in range(4)]

    def area(y: NDArray[Any], p: NDArray[Any]) -> float:
        return float(metrics.roc_auc_score(y, p))

    found = of_score(area, truth, told, SCALES["roc_auc"]).interval()
    assert found.estimate == pytest.approx(np.mean([area(truth, each) for each in told]))
    assert 0 < found.low < found.estimate < found.high < 1
    perfect = of_score(area, truth, [truth, truth], SCALES["roc_auc"]).interval()
    assert perfect.low < perfect.estimate == 1.0


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
