"""A study as an estimator of scikit-learn: its own checks, and where estimators sit."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import tuner

QUICK: dict[str, Any] = {"trials": 1, "random_state": 0, "epochs": 5}
X, Y = load_iris(return_X_y=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        tuner.TunedClassifier(trials=1, epochs=20, random_state=0),
        tuner.TunedRegressor(trials=1, epochs=100, random_state=0),
        tuner.Tuned(trials=1, epochs=20, random_state=0),
    ],
    expected_failed_checks=lambda _: {
        "check_sample_weight_equivalence_on_dense_data": "a search divides its rows: one that stands there "
        "twice is divided apart"
    },
)
def test_checks_of_scikit_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def test_importing_tuner_does_not_import_scikit_learn() -> None:
    code = (
        "import sys, tuner; assert 'sklearn' not in sys.modules; tuner.Tuned; assert 'sklearn' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_says_what_it_is_before_it_is_fitted() -> None:
    assert is_classifier(tuner.TunedClassifier())
    assert is_regressor(tuner.TunedRegressor())
    assert hasattr(tuner.TunedClassifier(), "predict_proba")
    assert not hasattr(tuner.TunedRegressor(), "predict_proba")
    assert not hasattr(tuner.Tuned(), "predict_proba")


def test_it_sits_in_a_pipeline_in_cross_validation_and_in_a_search() -> None:
    pipeline = make_pipeline(StandardScaler(), tuner.TunedClassifier(**{**QUICK, "epochs": 15}))
    scores = cross_val_score(pipeline, X, Y, cv=3)
    assert scores.min() > 0.6
    search = GridSearchCV(tuner.TunedClassifier(**QUICK), {"epochs": [1, 15]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"epochs": 15}


def test_a_pickled_one_predicts_the_same_in_another_process(tmp_path: Path) -> None:
    fitted = tuner.TunedClassifier(**QUICK).fit(X, Y)
    (tmp_path / "fitted.pickle").write_bytes(pickle.dumps(fitted))
    np.save(tmp_path / "x.npy", X)
    code = (
        "import pickle, numpy as np; f = pickle.load(open('fitted.pickle', 'rb'));"
        "np.save('p.npy', f.predict_proba(np.load('x.npy')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert np.array_equal(np.load(tmp_path / "p.npy"), fitted.predict_proba(X))
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "classes_")


def test_classes_come_back_as_they_stand_in_the_target() -> None:
    names = np.array(["10", "9", "b"], dtype=object)[Y]
    fitted = tuner.TunedClassifier(**QUICK).fit(X, names)
    assert list(fitted.classes_) == ["10", "9", "b"]
    assert set(fitted.predict(X)) <= {"10", "9", "b"}
    shares = fitted.predict_proba(X)
    assert [fitted.classes_[i] for i in shares.argmax(axis=1)] == list(fitted.predict(X))


@pytest.mark.parametrize("make", [lambda frame: frame, pa.Table.from_pandas])
def test_tables_with_text_dates_and_gaps_are_taken(houses: Path, make: Callable[[Any], Any]) -> None:
    frame = pd.read_csv(houses)
    x, y = frame.drop(columns="price"), frame["price"]
    fitted = tuner.TunedRegressor(**{**QUICK, "epochs": 20}).fit(make(x), y)
    assert fitted.score(make(x), y) > 0.5
    assert list(fitted.feature_names_in_) == list(x)
    assert fitted.n_features_in_ == 3
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(x[["town", "size", "rooms"]])


def test_the_target_decides_where_nothing_else_does() -> None:
    either = tuner.Tuned(**QUICK)
    assert either.fit(X, Y).predict_proba(X).shape == (150, 3)
    assert 0 <= either.score(X, Y) <= 1
    rng = np.random.default_rng(0)
    numbers = X @ rng.normal(size=(4, 2))
    assert either.fit(X, numbers).predict(X).shape == (150, 2)
    assert not hasattr(either, "classes_")
    assert not hasattr(either, "predict_proba")


def test_parameters_reach_the_study_and_a_database_keeps_it() -> None:
    url = "sqlite:///kept.db"
    space = {"use": ["batch"], "width": tuner.Int(low=4, high=8, default=8)}
    estimator = tuner.TunedClassifier(
        space=space,
        trials=2,
        epochs=3,
        scoring="f1_macro",
        random_state=7,
        database=url,
        settings={"stop.patience": 2},
    )
    for name in ("tuned", "tuned-2"):
        fitted = estimator.fit(X, Y)
        assert fitted.study_name_ == name
        study = tuner.load(name, storage=url)
        assert study.spec.trainer.score == "f1_macro"
        assert study.spec.objective.metric == "val_score"
        assert (study.spec.trainer.epochs, study.spec.stop.patience, len(study.records)) == (3, 2, 2)
        assert study.best.params == fitted.best_params_
        assert study.best.value == fitted.best_value_
        assert fitted.trials_["value"].tolist() == study.trials["value"].tolist()
        assert fitted.notes_ == study.notes
        assert set(fitted.best_params_) >= {"width", "batch_size"}


@pytest.mark.parametrize("make", [np.asarray, lambda x: pd.DataFrame(x, columns=list("abcd"))])
def test_weights_of_rows_decide_what_is_learned(make: Callable[[Any], Any]) -> None:
    # The same rows have two labels, of which the weights say which one counts.
    x, y = make(np.concatenate([X, X])), np.concatenate([Y == 0, Y != 0])
    for first in (True, False):
        weight = np.where(np.arange(len(y)) < len(Y), first, not first) * 2.0 + 1e-3
        fitted = tuner.TunedClassifier(**QUICK | {"epochs": 20}).fit(x, y, sample_weight=weight)
        assert fitted.score(make(X), (Y == 0) if first else (Y != 0)) > 0.9
    with pytest.raises(ValueError, match="zero"):
        tuner.TunedClassifier(**QUICK).fit(x, y, sample_weight=np.zeros(len(y)))


def test_what_cannot_be_used_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="one class only"):
        tuner.TunedClassifier(**QUICK).fit(X, np.zeros(150))
    with pytest.raises(ValueError, match=r"trainer\.score: unknown"):
        tuner.TunedClassifier(**QUICK, scoring="f2").fit(X, Y)
    with pytest.raises(ValueError, match="one value only"):
        tuner.TunedRegressor(**QUICK).fit(X, np.ones(150))


@pytest.mark.parametrize(
    ("rows", "settings", "members"), [(150, None, 5), (40, None, 1), (150, {"data.validation": 0.3}, 1)]
)
def test_few_rows_are_folded_and_the_mean_predicts(rows: int, settings: Any, members: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3))
    y = x[:, 0] > 0
    tuned = tuner.TunedClassifier(trials=2, epochs=2, settings=settings, random_state=0).fit(x, y)
    found: Any = tuned.model_
    each = found.members if members > 1 else (found,)
    assert len(each) == members
    frame = np.asarray(x)
    np.testing.assert_allclose(
        tuned.predict_proba(x), np.mean([model.probabilities(frame) for model in each], axis=0), rtol=1e-6
    )
