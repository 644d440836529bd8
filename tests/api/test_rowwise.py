from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tuner
from tests.loaded import from_arrays
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Task
from tuner.data.resampling import SearchRows

STUDY: dict[str, Any] = {
    "name": "small",
    "trainer": {"use": "torch", "model": "mlp", "epochs": 2, "executor": "inline", "rows": 1},
    "budget": {"trials": 3},
    "confirm": {"top": 2, "repeats": 3, "auto": False},
    "space": {"use": ["optimization"]},
}


def table(count: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["kind"] = rng.choice(["red", "blue"], count)
    frame["who"] = np.arange(count) // 4
    frame["y"] = np.where(x[:, 0] + 0.3 * rng.normal(size=count) > 0, "yes", "no")
    frame["amount"] = x[:, 0] * 100 + rng.normal(size=count)
    return frame


@pytest.mark.parametrize(
    ("data", "objective", "trainer"),
    [
        ({"target": "y", "drop": ["amount", "who"]}, {}, {}),
        ({"target": "y", "drop": ["amount", "who"]}, {"metric": "val_score"}, {"score": "f1"}),
        ({"target": "amount", "drop": ["y", "who"]}, {}, {}),
        ({"target": "amount", "drop": ["y"], "split": "group", "group": "who"}, {"metric": "val_score"}, {}),
        ({"target": "y", "drop": ["amount"], "split": "time", "time": "who"}, {}, {}),
    ],
)
def test_confirmed_values_are_found_again_row_by_row(
    tmp_path: Path, data: dict[str, Any], objective: dict[str, Any], trainer: dict[str, Any]
) -> None:
    table().to_csv(tmp_path / "rows.csv", index=False)
    study = {**STUDY, "data": {"source": "rows.csv", **data}, "trainer": {**STUDY["trainer"], **trainer}}
    tuner.start({**study, "objective": objective} if objective else study)
    found = tuner.confirm("small")
    assert found.choice.by_row
    assert found.redrawn == (data.get("split") != "time")


def test_validation_rows_of_ones_own_are_asked_row_by_row(tmp_path: Path) -> None:
    x = table()[["a", "b", "c"]].to_numpy(np.float32)
    y = (x[:, 0] > 0).astype(int)
    np.savez(tmp_path / "rows.npz", X=x[:90], y=y[:90], X_validation=x[90:], y_validation=y[90:])
    tuner.start({**STUDY, "data": {"source": "rows.npz"}})
    found = tuner.confirm("small")
    assert (found.choice.by_row, found.redrawn) == (True, False)


def test_of_a_value_of_ones_own_no_rows_are_known() -> None:
    def train(params: Any, context: Any) -> float:
        return float(params["x"] + np.random.default_rng(context.seed).normal(0, 0.01))

    tuner.start(trainer=train, space={"x": tuner.Float(low=0, high=1, default=0.5)}, name="own", trials=3)
    assert not tuner.confirm("own", trainer=train).choice.by_row


@pytest.mark.parametrize("split", ["random", "group"])
def test_judging_rows_are_those_that_a_draw_validates_on(split: Any) -> None:
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"a": np.arange(60.0), "who": np.arange(60) // 3})
    spec = DataSpec(source="-", split=split, group="who" if split == "group" else None, drop=())
    data = from_arrays(x, pd.Series(rng.choice(["p", "q"], 60)), spec, resampling=True)
    rows = data.resampling
    assert isinstance(rows, SearchRows)
    assert data.task is Task.CLASSIFICATION
    for seed in range(3):
        drawn, judging = rows.draw(seed), rows.evaluation_rows(seed)
        frame: Any = judging.x
        assert drawn.validation.x[:, 0].tolist() == frame["a"].tolist()
        assert [drawn.classes[place] for place in drawn.validation.y] == judging.y.tolist()
        if split == "group":
            assert len(set(judging.ids)) == len(judging.ids) / 3
