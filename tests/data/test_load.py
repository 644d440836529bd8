from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.loaded import from_arrays
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Dataset, Task
from tuner.data import Scaling, encode, encoding, load, source
from tuner.data.source import from_frame
from tuner.errors import DataError

HERE = Path()


def memory(**keys: Any) -> DataSpec:
    return DataSpec(source="memory", **keys)


def people(count: int = 60, seed: int = 0) -> pd.DataFrame:
    """A table with every kind of column, as a CSV file gives it: text, or missing."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "row": [str(i) for i in range(count)],
            "age": rng.integers(18, 80, count).astype(str),
            "city": rng.choice(["Ulm", "Bern", "Graz"], count),
            "since": [f"20{rng.integers(10, 24)}-0{rng.integers(1, 9)}-11" for _ in range(count)],
            "member": rng.choice(["true", "false"], count),
            "name": [f"name {i}" for i in range(count)],
            "pay": rng.normal(3000, 500, count).round(2).astype(str),
            "class": rng.choice(["low", "high", "mid"], count),
        }
    )
    for name in ("age", "city", "since"):
        frame.loc[rng.random(count) < 0.2, name] = None
    return frame


def csv(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_csv(folder / "people.csv", index=False)
    return folder


def same(one: Dataset, other: Dataset) -> None:
    """All that is fitted, and the training rows, are the same."""
    np.testing.assert_array_equal(one.train.x, other.train.x)
    np.testing.assert_array_equal(one.train.y, other.train.y)
    assert one.encoding == other.encoding
    assert one.features == other.features
    assert one.classes == other.classes
    assert (one.target_shift, one.target_scale) == (other.target_shift, other.target_scale)
    for kind in ("standard", "min-max"):
        fitted, again = (Scaling.fit(kind, d.train.x).to_table() for d in (one, other))
        assert fitted == again


NONSENSE = ["", "1e300", "-5", "never seen", "inf", "2031-12-12", "true", "x,y", '"', "Ulm"]
SPLITS: list[dict[str, Any]] = [{}, {"split": "time", "time": "row"}, {"split": "group", "group": "row"}]


# Not shrunk: reading files, it would take minutes.
@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    st.integers(0, 10**6),
    st.lists(st.sampled_from(NONSENSE), min_size=1, max_size=4),
    st.sampled_from(SPLITS),
    st.sampled_from(["pay", "class"]),
)
def test_nothing_in_training_depends_on_the_values_of_test_or_validation_rows(
    tmp_path_factory: pytest.TempPathFactory, seed: int, words: list[str], split: dict[str, Any], goal: str
) -> None:
    frame = people()
    spec = DataSpec(source="people.csv", target=goal, **split)
    before = load(spec, csv(frame, tmp_path_factory.mktemp("before")))
    outside = sorted(set(range(len(frame))) - set(_rows_of(spec, frame)["train"]))
    assert len(outside) == 24
    columns = [name for name in ("age", "city", "since", "member", "name", "pay", "class") if name != goal]
    chosen = np.random.default_rng(seed).choice(np.array(words, dtype=object), (len(outside), len(columns)))
    frame.loc[outside, columns] = chosen
    after = load(spec, csv(frame, tmp_path_factory.mktemp("after")))
    same(before, after)
    assert not np.array_equal(before.validation.x, after.validation.x)


@pytest.mark.parametrize("split", SPLITS)
def test_test_rows_change_nothing_at_all_not_even_by_their_targets(split: dict[str, Any]) -> None:
    frame = people()
    spec = memory(target="pay", **split)
    locked = _rows_of(spec, frame)["test"]
    assert len(locked) == 12
    changed = frame.copy()
    changed.loc[locked, ["age", "city", "since", "member", "name"]] = ["-1e9", "Rome", "x", "y", "z"]
    changed.loc[locked, "pay"] = "1e9"
    before, after = (_of(f, spec) for f in (frame, changed))
    same(before, after)
    np.testing.assert_array_equal(before.validation.x, after.validation.x)
    np.testing.assert_array_equal(before.validation.y, after.validation.y)
    assert before.notes == after.notes


def _of(frame: pd.DataFrame, spec: DataSpec) -> Dataset:
    found = from_frame(frame, spec)
    assert isinstance(found.y, pd.Series)
    return from_arrays(found.x, found.y, spec.model_copy(update={"target": None}))


def _rows_of(spec: DataSpec, frame: pd.DataFrame) -> dict[str, list[int]]:
    """Which rows lie in which split, seen from outside: a number per row that is kept as it is."""
    marked = frame.assign(mark=[float(i) for i in range(len(frame))])
    dataset = _of(marked, spec)
    at = dataset.features.index("mark")
    found = {
        "train": dataset.train.x[:, at].astype(int).tolist(),
        "validation": dataset.validation.x[:, at].astype(int).tolist(),
    }
    found["test"] = sorted(set(range(len(frame))) - set(found["train"]) - set(found["validation"]))
    return found


@pytest.mark.parametrize("goal", ["pay", "class"])
@pytest.mark.parametrize("split", SPLITS)
def test_encoding_the_training_rows_again_gives_the_training_split(split: dict[str, Any], goal: str) -> None:
    frame = people()
    spec = memory(target=goal, **split)
    dataset = _of(frame, spec)
    rows = _rows_of(spec, frame)
    np.testing.assert_array_equal(encode(frame.iloc[rows["train"]], dataset.encoding), dataset.train.x)
    np.testing.assert_array_equal(
        encode(frame.iloc[rows["validation"]], dataset.encoding), dataset.validation.x
    )
    assert len(dataset.features) == dataset.train.x.shape[1]


def test_a_csv_file_a_parquet_file_and_a_frame_give_the_same_data(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "age": [20.0, None, 30, 41] * 10,
            "city": ["Ulm", "Bern", None, "Ulm"] * 10,
            "day": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-09", "2025-01-01"] * 10),
            "old": [True, False, True, False] * 10,
            "pay": np.arange(40) + 0.5,
        }
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    first, second = (load(DataSpec(source=f"a.{s}", target="pay"), tmp_path) for s in ("csv", "parquet"))
    third = from_arrays(frame.drop(columns="pay"), frame["pay"], memory())
    for other in (second, third):
        same(first, other)
        np.testing.assert_array_equal(first.validation.x, other.validation.x)
    assert first.task is Task.REGRESSION


def test_the_same_seed_gives_the_same_data_and_another_seed_other_rows() -> None:
    first, again, other = (load(DataSpec(source="sklearn:wine", seed=seed), HERE) for seed in (3, 3, 4))
    same(first, again)
    assert not np.array_equal(first.train.x, other.train.x)


def test_a_regression_target_is_standardized_by_the_training_rows() -> None:
    dataset = load(DataSpec(source="sklearn:diabetes"), HERE)
    assert dataset.train.y.dtype == np.float32
    assert dataset.train.y.mean() == pytest.approx(0, abs=1e-5)
    assert dataset.train.y.std() == pytest.approx(1, abs=1e-5)
    raw = load(DataSpec(source="sklearn:diabetes", target_scaling="none"), HERE)
    assert (raw.target_shift, raw.target_scale) == (0.0, 1.0)
    restored = dataset.validation.y * dataset.target_scale + dataset.target_shift
    np.testing.assert_allclose(restored, raw.validation.y, rtol=1e-5)


def test_several_targets_are_standardized_each() -> None:
    rng = np.random.default_rng(0)
    dataset = from_arrays(rng.normal(size=(50, 3)), rng.normal([0, 100], [1, 20], (50, 2)), memory())
    assert dataset.outputs == 2
    assert dataset.train.y.shape == (30, 2)
    np.testing.assert_allclose(dataset.train.y.std(axis=0), 1, rtol=1e-5)
    assert isinstance(dataset.target_shift, np.ndarray)
    assert dataset.target_shift.dtype == np.float32
    with pytest.raises(DataError, match="target 1 of y: has one value only"):
        from_arrays(np.ones((50, 1)), np.stack([np.arange(50.0), np.full(50, 3.0)], 1), memory())


def test_classes_are_indices_with_names() -> None:
    labels = np.array(["b", "a", "c"] * 20)
    x = np.stack([np.arange(60), np.arange(60) % 3], 1)
    dataset = from_arrays(x, labels, memory())
    assert dataset.classes == ("a", "b", "c")
    assert dataset.outputs == 3
    assert dataset.train.y.dtype == np.int64
    expected = np.array([1, 0, 2])[dataset.train.x[:, 1].astype(int)]
    np.testing.assert_array_equal(dataset.train.y, expected)
    assert dataset.encoding == {}
    assert dataset.features == ("x0", "x1")


def test_validation_rows_of_classes_that_training_lacks_are_left_out_and_noted() -> None:
    frame = pd.DataFrame({"t": range(50), "v": [i % 3 for i in range(50)], "y": ["a", "b"] * 25})
    frame.loc[[33, 35], "y"] = "new"
    dataset = _of(frame, memory(target="y", split="time", time="t"))
    assert dataset.classes == ("a", "b")
    assert len(dataset.validation) == 8
    assert "2 validation rows have classes that training lacks and are left out." in dataset.notes


def test_dropped_columns_and_those_that_the_split_goes_by_are_no_inputs() -> None:
    frame = people()[["row", "member", "age", "pay"]].dropna()
    for split in SPLITS[1:]:
        assert _of(frame, memory(target="pay", drop=("member",), **split)).features == ("age",)
    assert _of(frame, memory(target="pay", drop=("age",))).features == ("row", "member")


def test_columns_of_an_array_can_be_dropped_and_split_by_their_names() -> None:
    spec = DataSpec(source="sklearn:diabetes", drop=("age", "sex"), split="time", time="bmi")
    dataset = load(spec, HERE)
    assert dataset.features == ("bp", "s1", "s2", "s3", "s4", "s5", "s6")
    assert dataset.input_shape == (7,)


def test_images_stay_images() -> None:
    dataset = load(DataSpec(source="sklearn:digits-images"), HERE)
    assert dataset.input_shape == (1, 8, 8)
    assert dataset.train.x.max() == 16
    assert dataset.features == ()
    assert dataset.classes == tuple("0123456789")


def test_what_was_done_is_noted_in_sentences() -> None:
    dataset = _of(people(), memory(target="pay"))
    assert dataset.notes[:2] == (
        'The target holds numbers, so the task is regression; task = "classification" changes it.',
        "36 rows to train on, 12 for validation, 12 locked for the test.",
    )
    assert all(note.endswith(".") for note in dataset.notes)
    assert any("name" in note and "left out" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"target": "pai"}, "target: no column 'pai'; known: "),
        ({}, "target is not given; name the column to predict, one of: row, age"),
        ({"target": "pay", "drop": ("agee",)}, "drop: no column 'agee'; known: "),
        ({"target": "pay", "split": "group", "group": "cities"}, "group: no column 'cities'; known: "),
        ({"target": "pay", "split": "time", "time": "sinze"}, "time: no column 'sinze'; known: "),
        ({"target": "pay", "split": "group", "group": "city"}, "group: column 'city' has missing values"),
        (
            {"target": "pay", "split": "time", "time": "name"},
            "time: column 'name' holds values that are neither",
        ),
        ({"target": "name"}, "target: 60 classes in 60 rows"),
        ({"target": "class", "task": "regression"}, "target: 60 of 60 values are not numbers"),
        ({"target": "class", "validation": 0.001}, "validation = 0.001 of 60 rows is not a single row"),
    ],
)
def test_a_data_section_that_does_not_fit_the_table_is_refused_in_one_line(
    tmp_path: Path, keys: dict[str, Any], told: str
) -> None:
    with pytest.raises(DataError) as raised:
        load(DataSpec(source="people.csv", **keys), csv(people(), tmp_path))
    assert str(raised.value).startswith(f"people.csv: {told}")
    assert "\n" not in str(raised.value)


def test_a_training_split_with_one_class_is_refused() -> None:
    frame = pd.DataFrame({"t": range(50), "v": range(50), "y": ["a"] * 40 + ["b"] * 10})
    with pytest.raises(DataError, match="the training split has one class only"):
        _of(frame, memory(target="y", split="time", time="t"))


def test_a_column_of_weights_is_no_input_and_goes_with_its_rows(tmp_path: Path) -> None:
    frame = people().assign(exposure=np.arange(60) % 4 + 0.5)
    spec = DataSpec(source="people.csv", target="class", weight="exposure", drop=("row", "name"))
    data = load(spec, csv(frame, tmp_path))
    plain = load(spec.model_copy(update={"weight": None, "drop": (*spec.drop, "exposure")}), tmp_path)
    same(data, plain)
    assert plain.train.weight is None
    assert not any("exposure" in name for name in data.features)
    for split in (data.train, data.validation):
        assert split.weight is not None
        assert split.weight.dtype == np.float32
        assert split.weight.mean() == pytest.approx(1)
    ages = pd.to_numeric(frame["pay"])
    pay = data.train.x[:, data.features.index("pay")]
    rows = [int(np.flatnonzero(np.isclose(ages, value, rtol=1e-6))[0]) for value in pay]
    weight = frame["exposure"].to_numpy()[rows]
    assert data.train.weight == pytest.approx(weight / weight.mean(), rel=1e-6)


@pytest.mark.parametrize("odd", ["-1", "", "much", "inf"])
def test_what_is_no_weight_is_refused(tmp_path: Path, odd: str) -> None:
    frame = people().assign(exposure="1")
    frame.loc[7, "exposure"] = odd
    spec = DataSpec(source="people.csv", target="class", weight="exposure")
    with pytest.raises(
        DataError, match="weight: column 'exposure' holds 1 values that are no numbers from 0 up"
    ):
        load(spec, csv(frame, tmp_path))
    with pytest.raises(DataError, match="weight: no column 'weigth'"):
        load(spec.model_copy(update={"weight": "weigth"}), tmp_path)
    frame["exposure"] = "0"
    with pytest.raises(DataError, match="weight: every training row has a weight of 0"):
        load(spec, csv(frame, tmp_path))


def test_weights_of_arrays_are_an_array_beside_them_or_a_column() -> None:
    x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    weight = np.arange(60) + 1.0
    beside = from_arrays(np.column_stack([x, weight]), y, memory(weight="x3"))
    assert beside.train.weight is not None
    assert beside.features == ("x0", "x1", "x2")
    found = from_arrays(pd.DataFrame(x).assign(w=weight), y, memory(weight="w"))
    assert found.train.weight == pytest.approx(beside.train.weight, rel=1e-6)


def prices(count: int = 200) -> tuple[Any, Any]:
    """A log-normal target, as prices and incomes are."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 2))
    return x, np.exp(1.2 * x[:, 0] + 0.3 * rng.normal(size=count) + 8)


def test_a_target_is_learned_by_its_logarithm_where_the_study_says_so() -> None:
    x, y = prices()
    data = from_arrays(x, y, memory(target_scaling="log"))
    assert data.target_log
    assert data.train.y.mean() == pytest.approx(0, abs=1e-6)
    assert data.train.y.std() == pytest.approx(1, abs=1e-6)
    restored = data.units.restored(data.validation.y.astype(np.float64))
    assert np.isin(restored.round(2), y.round(2)).all()
    table = data.units.to_table()
    assert type(data.units).from_table(table).log
    assert not type(data.units).from_table({"shift": 1.0, "scale": 2.0}).log
    for odd in (0.0, -3.0):
        y[6] = odd
        with pytest.raises(DataError, match="needs targets above 0, but 1 are not, the first in row 7"):
            from_arrays(x, y, memory(target_scaling="log"))
    classes = from_arrays(x, np.arange(len(x)) % 2, memory(target_scaling="log"))
    assert not classes.target_log


def test_a_heavy_tail_is_told_and_what_to_do_about_it() -> None:
    x, y = prices()
    assert 'target_scaling = "log" learns the logarithm' in " ".join(from_arrays(x, y, memory()).notes)
    for other in (np.log(y), y - y.mean(), np.random.default_rng(0).uniform(1, 2, len(y))):
        assert "heavy tail" not in " ".join(from_arrays(x, other, memory()).notes)
    assert "heavy tail" not in " ".join(from_arrays(x, y, memory(target_scaling="log")).notes)


def test_the_texts_of_a_file_are_freed_before_they_are_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.DataFrame({"a": np.arange(40) / 7, "b": np.arange(40) * 3.5, "y": np.arange(40) % 2})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    raw: list[weakref.ref[Any]] = []

    def read(spec: DataSpec, folder: Path) -> source.Source:
        found = source_read(spec, folder)
        assert isinstance(found.x, pd.DataFrame)
        raw.append(weakref.ref(found.x))
        return found

    def fit(*given: Any) -> Any:
        gc.collect()
        assert raw[0]() is None
        return encoding_fit(*given)

    source_read, encoding_fit = source.read, encoding.fit
    monkeypatch.setattr(source, "read", read)
    monkeypatch.setattr(encoding, "fit", fit)
    assert len(load(DataSpec(source="rows.csv", target="y"), tmp_path).train) == 24
    assert len(raw) == 1
