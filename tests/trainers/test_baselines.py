from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, log_loss, r2_score
from sklearn.preprocessing import StandardScaler

from tuner import data
from tuner.core.baseline import KINDS
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Dataset, Split, Task
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.trainers import baselines
from tuner.trainers.baseline import baseline


def spec(**trainer: Any) -> StudySpec:
    space = {"learning_rate": {"type": "float", "low": 0.1, "high": 1.0, "default": 0.1}}
    return StudySpec.parse({"data": {"source": "sklearn:wine"}, "trainer": trainer, "space": space})


def loaded(source: str, **keys: Any) -> Dataset:
    return data.load(DataSpec(source=source, **keys), Path.cwd())


def standardized(found: Dataset) -> tuple[Any, Any]:
    scaler = StandardScaler().fit(found.train.x)
    return scaler.transform(found.train.x), scaler.transform(found.validation.x)


def judged(kind: str, study: StudySpec, found: Dataset) -> tuple[float, float]:
    each = baselines.judged(kind, study, [(baselines.fit(kind, study, found), found)])
    return each.val_loss, each.val_score


def test_of_classes_they_are_scikit_learns_own_on_the_same_arrays() -> None:
    found, study = loaded("sklearn:wine"), spec()
    train, validation = standardized(found)
    linear = LogisticRegression(max_iter=1000).fit(train, found.train.y)
    trees = HistGradientBoostingClassifier().fit(found.train.x, found.train.y)
    for kind, model, x in (("linear", linear, validation), ("boosted_trees", trees, found.validation.x)):
        loss, score = judged(kind, study, found)
        assert loss == pytest.approx(log_loss(found.validation.y, model.predict_proba(x)), rel=1e-3)
        assert score == accuracy_score(found.validation.y, model.predict(x))


def test_of_numbers_they_are_scikit_learns_own_on_the_same_arrays() -> None:
    found, study = loaded("sklearn:diabetes"), spec()
    train, validation = standardized(found)
    y = found.validation.y
    for kind, model, x, test in (
        ("linear", Ridge(), train, validation),
        ("boosted_trees", HistGradientBoostingRegressor(), found.train.x, found.validation.x),
    ):
        predicted = model.fit(x, found.train.y).predict(test)
        loss, score = judged(kind, study, found)
        assert loss == pytest.approx(np.mean((y - predicted) ** 2), rel=1e-4)
        assert score == pytest.approx(r2_score(y, predicted), rel=1e-4)


@pytest.mark.parametrize(
    ("source", "loss"),
    [
        ("sklearn:breast_cancer", None),
        ("sklearn:wine", "binary_cross_entropy"),
        ("sklearn:diabetes", None),
        ("sklearn:diabetes", "mae"),
        ("sklearn:diabetes", "huber"),
    ],
)
def test_the_constant_one_is_the_one_that_is_known_at_once(source: str, loss: str | None) -> None:
    found = loaded(source)
    study = spec(**({"loss": loss} if loss else {}))
    at_once = baseline(study, found)
    assert at_once is not None
    assert judged("constant", study, found) == pytest.approx((at_once.val_loss, at_once.val_score), rel=1e-5)


@pytest.mark.parametrize(
    ("given", "is_known", "score"),
    [
        ({}, False, None),
        ({"loss": "mse"}, False, None),
        ({"loss": "./mine.py:loss"}, False, None),
        ({"loss": "cross_entropy"}, True, ""),
        ({"loss": "cross_entropy", "score": "accuracy"}, True, "accuracy"),
    ],
)
def test_a_loop_of_ones_own_has_the_constant_one_where_it_says_what_its_loss_is(
    given: dict[str, str], is_known: bool, score: str | None
) -> None:
    found = loaded("sklearn:breast_cancer")
    known, ours = baseline(spec(use="./mine.py:train", **given), found), baseline(spec(), found)
    assert (known is not None) is is_known
    if known is not None and ours is not None:
        assert (known.val_loss, known.score) == (ours.val_loss, score)
        assert (known.val_score == ours.val_score) is bool(score)


def test_weights_of_rows_and_of_classes_are_fitted_and_judged_by() -> None:
    plain = loaded("sklearn:breast_cancer")
    rng = np.random.default_rng(0)
    train, validation = (
        replace(each, weight=rng.choice([0.5, 1.5], len(each)).astype(np.float32))
        for each in (plain.train, plain.validation)
    )
    found, study = (
        replace(plain, train=train, validation=validation),
        spec(class_weight="balanced", score="f1"),
    )
    x, test = standardized(found)
    counts = np.bincount(train.y)
    assert train.weight is not None
    weights = train.weight * len(train) / (2 * counts[train.y])
    model = LogisticRegression(max_iter=1000).fit(x, train.y, sample_weight=weights / weights.mean())
    loss, score = judged("linear", study, found)
    shares = model.predict_proba(test)
    assert loss == pytest.approx(log_loss(validation.y, shares, sample_weight=validation.weight), rel=1e-3)
    told = f1_score(
        validation.y, model.predict(test), pos_label=found.positive, sample_weight=validation.weight
    )
    assert score == pytest.approx(told)


def test_their_errors_are_those_of_the_validation_rows() -> None:
    found, study = loaded("sklearn:breast_cancer"), spec()
    model = baselines.fit("linear", study, found)
    one = baselines.judged("linear", study, [(model, found)])
    train, validation = standardized(found)
    linear = LogisticRegression(max_iter=1000).fit(train, found.train.y)
    shares = linear.predict_proba(validation)[np.arange(len(validation)), found.validation.y]
    assert one.loss_error == pytest.approx(np.std(-np.log(shares)) / np.sqrt(len(shares)), rel=1e-2)
    right = linear.predict(validation) == found.validation.y
    assert one.score_error == pytest.approx(np.std(right) / np.sqrt(len(right)), rel=0.4)
    # Of folds, which judge other rows each, they shrink with the number of rows.
    both = baselines.judged("linear", study, [(model, found)] * 2)
    assert both.loss_error == pytest.approx(one.loss_error / np.sqrt(2))


def test_of_labels_they_are_one_for_each_label_and_keep_the_weights() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 3)).astype(np.float32)
    y = (x[:, :2] + rng.normal(0, 0.5, (240, 2)) > 0.3).astype(np.float32)
    weight = rng.choice([0.5, 1.5], 240).astype(np.float32)
    labels = {"wet": ("no", "yes"), "cold": ("off", "on")}
    former, latter = (Split(x[at], y[at], weight=weight[at]) for at in (slice(180), slice(180, None)))
    found, study = Dataset(former, latter, Task.MULTILABEL, labels=labels), spec(score="accuracy")
    train, validation = standardized(found)
    losses, scores = [], []
    for label in (0, 1):
        model = LogisticRegression(max_iter=1000).fit(train, y[:180, label], weight[:180])
        shares = model.predict_proba(validation)[:, 1]
        losses.append(log_loss(y[180:, label], shares, sample_weight=weight[180:]))
        scores.append(accuracy_score(y[180:, label], shares > 0.5, sample_weight=weight[180:]))
    linear = baselines.fit("linear", study, found)
    one = baselines.judged("linear", study, [(linear, found)])
    assert one.val_loss == pytest.approx(np.mean(losses), rel=1e-3)
    assert one.val_score == pytest.approx(np.mean(scores))
    at_once = baseline(study, found)
    assert at_once is not None
    assert judged("constant", study, found) == pytest.approx((at_once.val_loss, at_once.val_score), rel=1e-5)
    assert judged("boosted_trees", study, found)[0] < at_once.val_loss
    truth = np.array([["no", "off"], ["yes", "on"]], dtype=object)[y.astype(int), [0, 1]]
    told = baselines.answers(linear, study, x, truth)
    assert (told.predicted == truth).mean() > 0.8
    assert told.probabilities is not None
    assert told.probabilities.shape == (240, 2)
    assert np.average(told.losses[180:], weights=weight[180:]) == pytest.approx(one.val_loss, rel=1e-4)


def test_several_targets_and_images_work() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 1, 4, 4)).astype(np.float32)
    y = np.stack([x[:, 0, 0, 0], x[:, 0, 1, 1]], axis=1)
    found = Dataset(Split(x[:60], y[:60]), Split(x[60:], y[60:]), Task.REGRESSION)
    for kind in KINDS:
        assert baselines.refusal(kind, found) is None
        loss, _ = judged(kind, spec(), found)
        assert np.isfinite(loss)
    assert judged("linear", spec(), found)[0] < judged("constant", spec(), found)[0] / 2


def test_a_loss_of_ones_own_has_no_number_beside_it() -> None:
    loss, score = judged("linear", spec(loss="./own.py:loss"), loaded("sklearn:wine"))
    assert np.isnan(loss)
    assert score > 0.8


def test_a_score_of_probabilities_is_given_them() -> None:
    found = loaded("sklearn:wine")
    loss, score = judged("boosted_trees", spec(score="log_loss"), found)
    assert score == pytest.approx(loss, rel=1e-4)


def test_folds_are_judged_by_their_mean() -> None:
    study = spec()
    table = study.to_table()
    table["data"]["folds"] = 3
    study = StudySpec.parse(table)
    found = loaded("sklearn:wine", folds=3)
    parts = list(baselines.splits(Job(study, found), 0))
    assert len(parts) == 3
    models, why = baselines.attempt("linear", study, parts)
    assert why is None
    mean = baselines.judged("linear", study, list(zip(models, parts, strict=True)))
    each = [judged("linear", study, part) for part in parts]
    assert (mean.val_loss, mean.val_score) == pytest.approx(tuple(np.mean(each, axis=0)))
    assert mean.rows == sum(len(part.validation) for part in parts)


def test_what_would_take_minutes_is_left_out_with_a_word() -> None:
    x = np.zeros((1, 4000), np.float32)
    wide = np.broadcast_to(x, (40_000, 4000))
    found = Dataset(
        Split(wide, np.zeros(40_000, int)), Split(x, np.zeros(1, int)), Task.CLASSIFICATION, ("a", "b")
    )
    assert baselines.refusal("constant", found) is None
    told = baselines.refusal("boosted_trees", found)
    assert told == "40,000 rows of 4,000 inputs and 2 outputs would take them minutes"
    assert not any(baselines.is_quick(kind, found) for kind in KINDS)
    assert all(baselines.is_quick(kind, loaded("sklearn:wine")) for kind in KINDS)


def test_what_scikit_learn_cannot_fit_is_left_out_with_its_words() -> None:
    found = loaded("sklearn:wine")
    found = replace(found, train=replace(found.train, x=np.full_like(found.train.x, np.nan)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models, why = baselines.attempt("linear", spec(), [found])
    assert models == []
    assert why is not None
    assert why.startswith("scikit-learn says: ")


def test_the_rows_of_a_model_that_is_asked_later_are_read_as_raw_ones(tmp_path: Path) -> None:
    table = "size,town,y\n" + "".join(f"{i},{'ab'[i % 2]},{'no' if i < 30 else 'yes'}\n" for i in range(60))
    (tmp_path / "t.csv").write_text(table)
    found = data.load(DataSpec(source=str(tmp_path / "t.csv"), target="y"), tmp_path)
    import pandas as pd

    frame = pd.read_csv(tmp_path / "t.csv")
    told = baselines.answers(
        baselines.fit("linear", spec(), found), spec(), frame[["size", "town"]], frame["y"].to_numpy(object)
    )
    assert (told.predicted == frame["y"].to_numpy(object)).mean() > 0.9
    assert told.probabilities is not None
    own = told.probabilities[np.arange(60), (frame["y"] == "yes").to_numpy().astype(int)]
    assert told.losses == pytest.approx(-np.log(own), rel=1e-4)
