"""Studies of rows and classes that count differently, from the file to the locked test."""

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


def table(tmp_path: Path, count: int = 1200) -> Path:
    """A rare class, and a column that says how often each row stands for."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(count, 3))
    rare = rng.random(count) < 1 / (1 + np.exp(3.2 - 2 * x[:, 0]))
    frame = pd.DataFrame(x, columns=list("abc")).assign(
        times=rng.choice([1, 5], count), y=np.where(rare, "yes", "no")
    )
    frame.to_csv(tmp_path / "rare.csv", index=False)
    return tmp_path / "rare.csv"


def start(tmp_path: Path, **settings: Any) -> tuner.Study:
    return tuner.start(
        str(table(tmp_path)),
        target="y",
        space=settings.pop("space", RATE),
        trials=3,
        storage=f"sqlite:///{tmp_path}/t.db",
        settings={
            "trainer.epochs": 4,
            "trainer.workers": 1,
            "search.pruner": "none",
            "confirm.auto": False,
            "confirm.repeats": 3,
            "confirm.top": 2,
            **settings,
        },
    )


@pytest.mark.parametrize(
    "score", ["roc_auc", "average_precision", "balanced_accuracy", "log_loss", "mcc", "brier"]
)
def test_the_locked_rows_are_scored_with_their_weights(
    tmp_path: Path, score: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {"trainer.score": score, "objective.metric": "val_score", "data.weight": "times"}
    found = start(tmp_path, **settings)
    confirmed = tuner.confirm(found.name, storage=f"sqlite:///{tmp_path}/t.db")
    assert confirmed.test is not None
    rows = locked.unlock(DataSpec(source=str(tmp_path / "rare.csv"), target="y", weight="times"), tmp_path)
    assert rows.weight is not None
    assert confirmed.model_path is not None
    model = tuner.load_model(confirmed.model_path)
    truth, told = rows.y == "yes", model.probabilities(rows.x)[:, 1]  # type: ignore[attr-defined]
    called, more = model.predict(rows.x) == "yes", {"sample_weight": rows.weight}
    alone = {
        "roc_auc": lambda: metrics.roc_auc_score(truth, told, **more),
        "average_precision": lambda: metrics.average_precision_score(truth, told, **more),
        "balanced_accuracy": lambda: metrics.balanced_accuracy_score(truth, called, **more),
        "log_loss": lambda: metrics.log_loss(truth, told, **more),
        "brier": lambda: metrics.brier_score_loss(truth, told, **more),
        "mcc": lambda: metrics.matthews_corrcoef(truth, called, **more),
    }[score]()
    test = confirmed.test.score
    assert test.low < test.estimate < test.high
    assert test.estimate == pytest.approx(alone, abs=0.1)  # it is the mean over the repeats


def test_class_weights_are_searched_and_help_the_rare_class(tmp_path: Path) -> None:
    space = {**RATE, "class_weight": tuner.Choice(choices=["none", "balanced"], default="none")}
    found = start(
        tmp_path,
        space=space,
        **{
            "trainer.score": "balanced_accuracy",
            "objective.metric": "val_score",
            "search.sampler": "grid",
            "search.grid_points": 1,
        },
    )
    best = found.trials.groupby("params.class_weight")["value"].max()
    assert best["balanced"] > best["none"]
