from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import TimeSeriesSplit

from tests.loaded import from_arrays
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Dataset, Resampling
from tuner.data import load
from tuner.data.split import Parts, folds, redraw
from tuner.errors import DataError


def spec(**keys: Any) -> DataSpec:
    names = {"group": "g", "time": "t"}
    by = {key: name for key, name in names.items() if keys.get("split") == key}
    return DataSpec(source="memory", **{**by, **keys})


def check_folds(parts: tuple[Parts, ...], count: int) -> None:
    """Each part divides all rows, and no row judges twice."""
    for part in parts:
        assert sorted([*part.train, *part.validation]) == list(range(count))
        assert not len(part.test)
    judged = np.concatenate([part.validation for part in parts])
    assert len(set(judged.tolist())) == len(judged)


LABELS = st.lists(st.integers(0, 4), min_size=12, max_size=120).map(np.array)
NUMBER = st.integers(2, 6)


@settings(max_examples=40)
@given(st.integers(6, 200), NUMBER, st.integers(0, 5))
def test_random_folds_judge_every_row_once_and_differ_by_one_row(count: int, number: int, seed: int) -> None:
    parts = folds(count, None, spec(seed=seed), number, "data")
    check_folds(parts, count)
    sizes = [len(part.validation) for part in parts]
    assert sum(sizes) == count
    assert max(sizes) - min(sizes) <= 1


@settings(max_examples=40)
@given(LABELS, NUMBER, st.integers(0, 5))
def test_folds_have_their_share_of_each_class_and_sole_rows_always_train(
    labels: Any, number: int, seed: int
) -> None:
    parts = folds(len(labels), labels, spec(seed=seed), number, "data")
    check_folds(parts, len(labels))
    assert max(len(p.validation) for p in parts) - min(len(p.validation) for p in parts) <= 1
    for value, size in zip(*np.unique(labels, return_counts=True), strict=True):
        shares = [int((labels[part.validation] == value).sum()) for part in parts]
        if size == 1:
            assert sum(shares) == 0
            assert "one row only" in parts[0].notes[0]
        else:
            assert sum(shares) == size
            assert max(shares) - min(shares) <= 1


@settings(max_examples=40)
@given(LABELS, st.integers(2, 3), st.integers(0, 5))
def test_groups_lie_whole_in_one_fold_and_folds_are_balanced(groups: Any, number: int, seed: int) -> None:
    if len(set(groups.tolist())) < number:
        return
    parts = folds(len(groups), groups, spec(split="group", seed=seed), number, "data")
    check_folds(parts, len(groups))
    for part in parts:
        assert set(groups[part.train]).isdisjoint(groups[part.validation])
        assert len(part.validation)
    sizes = [len(part.validation) for part in parts]
    assert max(sizes) - min(sizes) <= np.bincount(groups).max()


@settings(max_examples=40)
@given(st.lists(st.integers(0, 30), min_size=7, max_size=60).map(np.array), NUMBER)
def test_folds_by_time_are_judged_by_what_came_before(times: Any, number: int) -> None:
    parts = folds(len(times), times, spec(split="time"), number, "data")
    order = np.argsort(times, kind="stable")
    wanted = TimeSeriesSplit(number).split(order)
    for part, (train, judged) in zip(parts, wanted, strict=True):
        assert times[part.train].max() <= times[part.validation].min()
        assert part.train.tolist() == sorted(order[train])
        assert part.validation.tolist() == sorted(order[judged])


@pytest.mark.parametrize(
    ("count", "keys", "asked", "told"),
    [
        (3, None, spec(), "3 rows are too few, at least 4 are needed; lower folds or bring more rows"),
        (4, np.arange(4), spec(split="time"), "4 rows are too few, at least 5"),
        (9, np.arange(9) // 3, spec(split="group"), "3 groups are too few, at least 4 are needed; lower"),
        (9, np.arange(9), spec(), "0 rows are too few"),
    ],
)
def test_too_few_rows_or_groups_are_refused(count: int, keys: Any, asked: DataSpec, told: str) -> None:
    with pytest.raises(DataError, match=told):
        folds(count, keys, asked, 4, "data")


@settings(max_examples=40)
@given(LABELS, st.integers(0, 9))
def test_redrawn_splits_have_the_sizes_and_the_shares_of_the_given_ones(labels: Any, seed: int) -> None:
    count = len(labels)
    train, judged = np.arange(count // 3, count), np.arange(count // 3)
    try:
        parts = redraw(labels, "random", train, judged, seed, "data")
    except DataError:
        return
    assert sorted([*parts.train, *parts.validation]) == list(range(count))
    assert len(parts.validation) == len(judged)
    if not parts.notes:
        for value, size in zip(*np.unique(labels, return_counts=True), strict=True):
            share = (labels[parts.validation] == value).sum()
            assert abs(share - size * len(judged) / count) < 1


@settings(max_examples=40)
@given(LABELS, st.integers(0, 9))
def test_redrawn_groups_lie_whole_in_one_split_and_are_as_many(groups: Any, seed: int) -> None:
    present = np.unique(groups)
    if len(present) < 2:
        return
    inside = groups == present[0]
    train, judged = np.flatnonzero(~inside), np.flatnonzero(inside)
    parts = redraw(groups, "group", train, judged, seed, "data")
    assert sorted([*parts.train, *parts.validation]) == list(range(len(groups)))
    assert len(set(groups[parts.validation])) == 1
    assert set(groups[parts.train]).isdisjoint(groups[parts.validation])


def table(count: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "row": np.arange(count),
            "age": rng.normal(40, 10, count),
            "city": rng.choice(["Ulm", "Bern", "Graz"], count),
            "g": rng.integers(0, 15, count),
            "t": rng.permutation(count),
        }
    )


def classes(count: int = 90) -> Any:
    return np.random.default_rng(1).choice(["low", "mid", "high"], count)


def pay(count: int = 90) -> Any:
    return np.random.default_rng(2).normal(3000, 500, count)


def opened(data: Dataset) -> Resampling:
    assert data.resampling is not None
    return data.resampling


def rows(data: Dataset, name: str) -> list[int]:
    """Which rows of the table a split holds."""
    x = getattr(data, name).x
    return sorted(int(row) for row in x[:, data.features.index("row")])


def all_rows(data: Dataset) -> set[int]:
    return {*rows(data, "train"), *rows(data, "validation")}


def same(one: Dataset, two: Dataset) -> bool:
    return pickle.dumps(_values(one)) == pickle.dumps(_values(two))


def _values(data: Dataset) -> Any:
    arrays = [part.tobytes() for s in (data.train, data.validation) for part in (s.x, s.y)]
    return arrays, data.classes, data.features, dict(data.encoding), data.target_shift, data.target_scale


SPLITS: list[dict[str, Any]] = [{}, {"split": "group", "drop": ("t",)}, {"split": "time", "drop": ("g",)}]
Y = pytest.mark.parametrize("y", [classes(), pay()], ids=["classes", "numbers"])
BY = pytest.mark.parametrize("keys", SPLITS, ids=["random", "group", "time"])


def test_rows_are_kept_only_where_they_are_needed() -> None:
    x, y = table(), classes()
    assert from_arrays(x, y, spec()).resampling is None
    for data in (
        from_arrays(x, y, spec(), resampling=True),
        from_arrays(x, y, spec(reshuffle=True)),
        from_arrays(x, y, spec(folds=3)),
    ):
        assert data.resampling is not None
    assert load(DataSpec(source="sklearn:iris"), Path(), resampling=True).resampling is not None


@Y
@BY
def test_the_own_split_and_the_locked_rows_are_the_same_with_and_without(y: Any, keys: Any) -> None:
    base = from_arrays(table(), y, spec(**keys))
    assert same(from_arrays(table(), y, spec(**keys), resampling=True), base)
    folded = opened(from_arrays(table(), y, spec(folds=3, **keys))).folds(3)
    for fold in folded if keys.get("split") != "time" else folded[-1:]:
        assert all_rows(fold) == all_rows(base)


@Y
@BY
def test_a_drawn_split_has_its_seeds_rows(y: Any, keys: Any) -> None:
    base = from_arrays(table(), y, spec(**keys), resampling=True)
    one, again, other = (opened(base).draw(seed) for seed in (1, 1, 2))
    assert same(one, again)
    assert same(one, other) == (keys.get("split") == "time")
    assert same(one, base) == (keys.get("split") == "time")
    assert {*rows(one, "train"), *rows(one, "validation")} == {
        *rows(base, "train"),
        *rows(base, "validation"),
    }
    assert same(pickle.loads(pickle.dumps(base.resampling)).draw(1), one)


@Y
@BY
def test_the_first_fold_is_what_a_study_with_folds_shows(y: Any, keys: Any) -> None:
    data = from_arrays(table(), y, spec(folds=3, **keys))
    assert same(data, opened(data).folds(3)[0])
    assert any("3 folds: every trial trains 3 times on" in note for note in data.notes)


@Y
@BY
def test_test_rows_change_nothing_in_any_other_split(y: Any, keys: Any) -> None:
    data = from_arrays(table(), y, spec(**keys), resampling=True)
    locked = sorted(set(range(90)) - all_rows(data))
    assert locked
    frame, values = table(), y.copy()
    frame.loc[locked, "age"] = 1e30
    frame.loc[locked, "city"] = "never seen"
    if values.dtype.kind == "f":
        values[locked] = -1e9
    elif keys:  # else labels decide which rows are locked
        values[locked] = values[locked][::-1]
    poisoned = from_arrays(frame, values, spec(**keys), resampling=True)
    pairs = [(opened(data).draw(seed), opened(poisoned).draw(seed)) for seed in range(3)]
    pairs += zip(opened(data).folds(3), opened(poisoned).folds(3), strict=True)
    assert all(same(one, two) for one, two in pairs)


@Y
def test_nothing_that_is_fitted_depends_on_rows_that_judge(y: Any) -> None:
    data = from_arrays(table(), y, spec(), resampling=True)
    for index in range(3):
        before = opened(data).draw(index)
        frame, values = table(), y.copy()
        judged = rows(before, "validation")
        frame.loc[judged, "age"] = 1e30
        frame.loc[judged, "city"] = "never seen"
        if values.dtype.kind == "f":
            values[judged] = -1e9
        after = opened(from_arrays(frame, values, spec(), resampling=True)).draw(index)
        assert before.train.x.tobytes() == after.train.x.tobytes()
        assert before.train.y.tobytes() == after.train.y.tobytes()
        assert (before.encoding, before.target_scale) == (after.encoding, after.target_scale)
        assert before.validation.x.tobytes() != after.validation.x.tobytes()


def test_a_validation_split_that_the_source_brings_stays_the_one_that_judges(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)), np.arange(50) % 2
    np.savez(tmp_path / "own.npz", X=x, y=y, X_validation=x[:9] + 1, y_validation=y[:9])
    brings = DataSpec(source="own.npz")
    data = load(brings, tmp_path, resampling=True)
    assert same(opened(data).draw(1), data)
    assert len(data.validation) == 9
    for key in ("folds", "reshuffle"):
        with pytest.raises(DataError, match=f"{key}: the source brings its own validation split"):
            load(brings.model_copy(update={key: 3 if key == "folds" else True}), tmp_path)


def test_a_class_that_a_fold_does_not_train_on_does_not_judge_it() -> None:
    y = np.array(["a", "b"] * 20 + ["c"] * 6)
    g = np.r_[np.arange(40) // 2 % 10, np.full(6, 99)]
    frame = pd.DataFrame({"row": np.arange(46), "g": g, "t": np.arange(46)})
    data = from_arrays(frame, y, spec(split="group", test=0.0, drop=("t",)), resampling=True)
    folded = opened(data).folds(4)
    without = [fold for fold in folded if fold.classes == ("a", "b")]
    assert len(without) == 1
    assert "6 validation rows have classes that training lacks and are left out." in without[0].notes
    assert all(fold.classes == ("a", "b", "c") for fold in folded if fold is not without[0])


def test_the_notes_say_what_becomes_of_the_rows() -> None:
    x, y = np.random.default_rng(0).normal(size=(1000, 2)), np.arange(1000) % 2
    assert "5 folds: every trial trains 5 times on 640 rows, judged on 160, 200 locked for the test." in (
        from_arrays(x, y, spec(folds=5)).notes
    )
    assert "Every trial trains and is judged on another split of these rows." in (
        from_arrays(x, y, spec(reshuffle=True)).notes
    )
