"""A study of several labels, from the table to the locked test, the findings and the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

import tuner
from tests.findings.trained import RATE
from tuner.core.data_spec import DataSpec
from tuner.data import locked


@pytest.mark.parametrize("kind", ["labels", "numbers"])
def test_several_columns_are_predicted_together(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(600, 3))
    wet, cold = x[:, 0] + 0.5 * rng.normal(size=600), x[:, 1] - x[:, 2] + 0.5 * rng.normal(size=600)
    frame = pd.DataFrame(x.round(4), columns=list("abc"))
    if kind == "labels":
        frame = frame.assign(wet=np.where(wet > 0.8, "yes", "no"), cold=(cold > 0).astype(int))
    else:
        frame = frame.assign(wet=wet, cold=100 * cold)
    frame.to_csv("weather.csv", index=False)
    found = tuner.start(
        "weather.csv",
        space=RATE,
        trials=3,
        settings={
            "data.target": ["wet", "cold"],
            "trainer.epochs": 4,
            "trainer.workers": 1,
            "search.pruner": "none",
            "confirm.auto": False,
            "confirm.repeats": 3,
            "confirm.top": 2,
        },
    )
    assert found.best is not None
    assert any("columns to predict" in note for note in found.summary.facts["notes"])
    confirmed = tuner.confirm(found.name)
    assert confirmed.test is not None
    test = confirmed.test.score
    assert test.low < test.estimate < test.high
    rows = locked.unlock(DataSpec(source="weather.csv", target=("wet", "cold")), tmp_path)
    assert confirmed.model_path is not None
    model = tuner.load_model(confirmed.model_path)
    told = model.predict(frame)
    assert told.shape == (600, 2)
    mine = model.predict(rows.x)
    if kind == "labels":
        assert confirmed.score == "f1_macro"
        assert set(told[:, 0]) == {"no", "yes"}
        truth, called = rows.y == ["yes", "1"], mine == ["yes", "1"]
        alone = metrics.f1_score(truth, called, average="macro")
        assert (told[:, 0] == frame["wet"]).mean() > 0.7
    else:
        alone = metrics.r2_score(rows.y, mine)
    assert test.estimate == pytest.approx(alone, abs=0.1)
    tuner.write_report(found.name, tmp_path / "report.html")
    assert found.findings() is not None


@pytest.mark.parametrize(("estimator", "epochs"), [("mlp", 40), ("boosting", 10), ("sgd", 10), ("svm", 1)])
def test_estimators_of_scikit_learn_learn_one_label_each(
    tmp_path: Path, estimator: str, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 3))
    wet, cold = x[:, 0] + 0.3 * rng.normal(size=400), x[:, 1] - x[:, 2] + 0.3 * rng.normal(size=400)
    frame = pd.DataFrame(x, columns=list("abc"))
    frame = frame.assign(wet=np.where(wet > 0.5, "yes", "no"), cold=np.where(cold > 0, "on", "off"))
    frame.to_csv("weather.csv", index=False)
    found = tuner.start(
        "weather.csv",
        target=["wet", "cold"],
        trainer="sklearn",
        space={"tol": tuner.Float(1e-4, 1e-3, default=1e-3)},
        trials=2,
        settings={
            "trainer.model": estimator,
            "trainer.epochs": epochs,
            "trainer.workers": 1,
            "confirm.repeats": 3,
        },
    )
    model: Any = tuner.load_model(found.recommended.folder)
    told = model.predict(frame)
    assert (told == frame[["wet", "cold"]].to_numpy()).mean() > 0.8
    if estimator in ("mlp", "boosting"):
        assert ((model.probabilities(frame) > 0.5) == (told == ["yes", "on"])).all()
    confirmed = tuner.confirm(found.name)
    assert confirmed.test is not None
    assert confirmed.test.score is not None
    assert confirmed.test.score.estimate > 0.7
