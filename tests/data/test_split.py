from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from tuner.core.data_spec import DataSpec
from tuner.core.seeds import derive
from tuner.data.split import Parts, divide
from tuner.errors import DataError


def spec(**keys: Any) -> DataSpec:
    names = {"group": "g", "time": "t"}
    by = {key: name for key, name in names.items() if keys.get("split") == key}
    return DataSpec(source="memory", **{**by, **keys})


def check_cover(parts: Parts, count: int) -> None:
    rows = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(rows.tolist()) == list(range(count))


SHARES = st.tuples(st.floats(0.05, 0.45), st.floats(0.05, 0.45))


@settings(deadline=None)
@given(st.integers(30, 300), SHARES, st.integers(0, 5))
def test_random_splits_are_disjoint_cover_all_and_keep_their_shares(
    count: int, shares: tuple[float, float], seed: int
) -> None:
    asked = spec(validation=shares[0], test=shares[1], seed=seed)
    parts = divide(count, None, asked, "data")
    check_cover(parts, count)
    assert len(parts.validation) == round(shares[0] * count)
    assert len(parts.test) == round(shares[1] * count)


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=30, max_size=200), SHARES, st.integers(0, 5))
def test_classes_of_any_size_are_split_and_rare_ones_train(
    labels: list[int], shares: tuple[float, float], seed: int
) -> None:
    keys = np.array(labels)
    asked = spec(validation=shares[0], test=shares[1], seed=seed)
    try:
        parts = divide(len(keys), keys, asked, "data")
    except DataError:
        return
    check_cover(parts, len(keys))
    values, counts = np.unique(keys, return_counts=True)
    for value in values[counts < 3]:
        assert set(np.flatnonzero(keys == value)) <= set(parts.train)


@settings(deadline=None)
@given(st.lists(st.integers(20, 60), min_size=2, max_size=5), st.integers(0, 5))
def test_every_class_keeps_its_share_in_every_split(sizes: list[int], seed: int) -> None:
    keys = np.repeat(np.arange(len(sizes)), sizes)
    parts = divide(len(keys), keys, spec(seed=seed), "data")
    check_cover(parts, len(keys))
    assert not parts.notes
    for rows in (parts.train, parts.validation, parts.test):
        found = np.bincount(keys[rows], minlength=len(sizes))
        expected = np.array(sizes) * len(rows) / len(keys)
        assert (np.abs(found - expected) <= 2).all()


@settings(deadline=None)
@given(st.lists(st.integers(3, 40), min_size=2, max_size=8), st.booleans(), SHARES, st.integers(0, 5))
def test_random_splits_are_scikit_learns(
    sizes: list[int], by_class: bool, shares: tuple[float, float], seed: int
) -> None:
    keys = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    asked = spec(validation=shares[0], test=shares[1], seed=seed)
    try:
        parts = divide(len(keys), keys if by_class else None, asked, "data")
    except DataError:
        return
    rest, drawn = np.arange(len(keys)), {}
    for name, share in (("test", shares[1]), ("validation", shares[0])):
        drawn_without_regard = any(f"The {name} split" in note for note in parts.notes)
        rest, drawn[name] = train_test_split(
            rest,
            test_size=round(share * len(keys)),
            stratify=keys[rest] if by_class and not drawn_without_regard else None,
            random_state=derive(seed, -1, f"split {name}"),
        )
    np.testing.assert_array_equal(parts.train, np.sort(rest))
    np.testing.assert_array_equal(parts.test, np.sort(drawn["test"]))
    np.testing.assert_array_equal(parts.validation, np.sort(drawn["validation"]))


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=40, max_size=150), st.integers(0, 5))
def test_splits_by_group_are_scikit_learns(groups: list[int], seed: int) -> None:
    keys = np.array([f"patient {g}" for g in groups], dtype=object)
    try:
        parts = divide(len(keys), keys, spec(split="group", test=0.3, seed=seed), "data")
    except DataError:
        return
    splitter = GroupShuffleSplit(
        1, test_size=max(1, int(0.3 * len(set(groups)))), random_state=derive(seed, -1, "split test")
    )
    _, taken = next(splitter.split(keys, groups=keys))
    np.testing.assert_array_equal(parts.test, taken)


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=10, max_size=150), SHARES, st.integers(0, 5))
def test_groups_lie_whole_in_one_split(groups: list[int], shares: tuple[float, float], seed: int) -> None:
    keys = np.array([f"patient {g}" for g in groups], dtype=object)
    asked = spec(split="group", validation=shares[0], test=shares[1], seed=seed)
    try:
        parts = divide(len(keys), keys, asked, "data")
    except DataError:
        assert len(set(groups)) < 3
        return
    check_cover(parts, len(keys))
    homes = [set(keys[rows]) for rows in (parts.train, parts.validation, parts.test)]
    assert all(homes)
    assert sum(len(home) for home in homes) == len(set(keys))


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=100), SHARES)
def test_splits_by_time_train_on_the_oldest_and_test_on_the_newest(
    times: list[float], shares: tuple[float, float]
) -> None:
    keys = np.array(times)
    parts = divide(len(keys), keys, spec(split="time", validation=shares[0], test=shares[1]), "data")
    check_cover(parts, len(keys))
    assert keys[parts.train].max() <= keys[parts.validation].min()
    assert keys[parts.validation].max() <= keys[parts.test].min()


def test_the_same_seed_gives_the_same_split_and_another_one_another() -> None:
    keys = np.arange(200) % 4
    first, again = (divide(200, keys, spec(seed=1), "data") for _ in range(2))
    other = divide(200, keys, spec(seed=2), "data")
    for name in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))


def test_a_class_with_a_single_row_trains_and_is_noted() -> None:
    keys = np.array([0, 1] * 20 + [2])
    parts = divide(41, keys, spec(), "data")
    assert 40 in parts.train
    assert parts.notes == (
        "Classes with too few rows for every split, whose rows only train: 1 of 3, with 1 in all.",
    )


def test_more_classes_than_rows_in_a_split_are_drawn_without_strata_and_noted() -> None:
    keys = np.arange(90) % 30
    parts = divide(90, keys, spec(validation=0.1, test=0.1), "data")
    check_cover(parts, 90)
    assert any("without regard to classes" in note for note in parts.notes)


@pytest.mark.parametrize("split", ["random", "group", "time"])
def test_a_test_share_of_0_locks_nothing(split: str) -> None:
    parts = divide(50, np.arange(50) % 25, spec(split=split, test=0.0), "data")
    assert not len(parts.test)
    check_cover(parts, 50)


def test_no_rows_are_drawn_where_the_source_brings_the_splits() -> None:
    parts = divide(50, None, spec(), "data", validation=False, test=False)
    assert len(parts.train) == 50


@pytest.mark.parametrize(
    ("count", "keys", "asked", "told"),
    [
        (20, None, {"validation": 0.01}, "data: validation = 0.01 of 20 rows is not a single row"),
        (20, None, {"test": 0.01}, "data: test = 0.01 of 20 rows is not a single row"),
        (3, None, {"validation": 0.4, "test": 0.4}, "data: 3 rows are too few"),
        (40, np.array(["a", "b"] * 20), {"split": "group"}, "data: 2 groups are too few for 3 splits"),
        (40, np.arange(40), {}, "data: target: 40 classes in 40 rows"),
    ],
)
def test_a_split_that_cannot_be_made_is_refused(
    count: int, keys: Any, asked: dict[str, Any], told: str
) -> None:
    with pytest.raises(DataError) as raised:
        divide(count, keys, spec(**asked), "data")
    assert str(raised.value).startswith(told)
    assert "\n" not in str(raised.value)
