from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.loaded import from_arrays
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Task
from tuner.data import load, locked
from tuner.errors import DataError


def table(tmp_path: Path, **columns: Any) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=60).round(3), "b": rng.normal(size=60).round(3), **columns})
    frame.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path


def spec(*targets: str, **more: Any) -> DataSpec:
    return DataSpec(source="t.csv", target=targets, **more)


WET = np.where(np.arange(60) % 3 == 0, "yes", "no")
COLD = np.arange(60) % 4 // 2


def test_columns_of_two_values_each_are_labels(tmp_path: Path) -> None:
    folder = table(tmp_path, wet=WET, cold=COLD)
    data = load(spec("wet", "cold"), folder)
    assert data.task is Task.MULTILABEL
    assert dict(data.labels) == {"wet": ("no", "yes"), "cold": ("0", "1")}
    assert data.features == ("a", "b")
    assert data.outputs == 2
    assert data.train.y.dtype == np.float32
    assert set(np.unique(data.train.y)) == {0, 1}
    assert "have two values each, so each is a label" in " ".join(data.notes)
    rows = locked.unlock(spec("wet", "cold"), folder)
    assert rows.y.shape == (12, 2)
    frame = pd.read_csv(folder / "t.csv")
    x: Any = rows.x
    for a, (wet, cold) in zip(x["a"], rows.y, strict=True):
        row = frame[np.isclose(frame["a"], float(a))].iloc[0]
        assert (row["wet"], str(row["cold"])) == (wet, cold)


def test_columns_of_numbers_are_regression(tmp_path: Path) -> None:
    folder = table(tmp_path, high=np.arange(60) * 0.5, count=np.arange(60) % 7, cold=COLD)
    data = load(spec("high", "count", "cold"), folder)
    assert data.task is Task.REGRESSION
    assert data.train.y.shape[1] == data.outputs == 3
    asked = load(spec("cold", "count", task="regression"), folder)
    assert asked.task is Task.REGRESSION
    assert locked.unlock(spec("high", "count"), folder).y.shape == (12, 2)
    # A log takes every one of them.
    with pytest.raises(DataError, match="needs targets above 0"):
        load(spec("high", "count", target_scaling="log"), folder)


def test_rows_that_lack_a_target_are_left_out(tmp_path: Path) -> None:
    wet = pd.Series(WET).where(np.arange(60) != 5)
    data = load(spec("wet", "cold"), table(tmp_path, wet=wet, cold=pd.Series(COLD).where(np.arange(60) != 9)))
    assert "2 rows without a target are left out." in data.notes
    assert len(data.train) + len(data.validation) + 12 == 58


def test_a_mixture_is_refused_in_words(tmp_path: Path) -> None:
    folder = table(
        tmp_path, wet=WET, high=np.arange(60) * 0.5, kind=np.array(["x", "y", "z"])[np.arange(60) % 3]
    )
    with pytest.raises(
        DataError, match="'wet' holds 2 classes, 'high' holds numbers; give columns that are all"
    ):
        load(spec("wet", "high"), folder)
    with pytest.raises(DataError, match="'kind' has 3 classes; several columns to predict need two"):
        load(spec("wet", "kind", task="classification"), folder)
    with pytest.raises(DataError, match=r"target: no column 'wett'; .*did you mean 'wet'"):
        load(spec("wett", "kind"), folder)
    with pytest.raises(Exception, match="target: give different columns"):
        spec("wet", "wet")
    one = load(spec("wet"), folder)
    assert one.task is Task.CLASSIFICATION


def test_frames_and_arrays_of_labels_from_python() -> None:
    x, y = np.random.default_rng(0).normal(size=(60, 2)), np.stack([COLD, np.arange(60) % 2, COLD], 1)
    frame = from_arrays(x, pd.DataFrame(y, columns=list("pqr")), DataSpec(source="memory"))
    assert list(frame.labels) == ["p", "q", "r"]
    one_hot = np.eye(3)[np.arange(60) % 3]
    for keys in ({"task": "classification"}, {}):
        asked = from_arrays(x, y, DataSpec(source="memory", **keys))
        assert asked.task is Task.MULTILABEL
        np.testing.assert_array_equal(asked.train.y, frame.train.y)
        with pytest.raises(DataError, match=r'give np\.argmax.* or task = "regression"'):
            from_arrays(x, one_hot, DataSpec(source="memory", **keys))
    for amounts in (y, one_hot):
        asked = from_arrays(x, amounts, DataSpec(source="memory", task="regression"))
        assert asked.task is Task.REGRESSION
