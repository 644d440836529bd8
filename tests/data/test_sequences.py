"""Long tables and windows of a series: cut, divided without shared steps, encoded and stored."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.loaded import from_memory
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Dataset, FingerprintCheck, InputKind
from tuner.data import encode, labels, load, outline
from tuner.data.arrays import Sequences
from tuner.data.locked import unlock
from tuner.data.resampling import SearchRows, rows_of
from tuner.errors import DataError


def visits(count: int = 40) -> pd.DataFrame:
    """1 to 5 rows for each person, mixed."""
    chance = np.random.default_rng(0)
    rows = [
        {
            "who": f"p{i}",
            "day": f"2024-03-{20 - 3 * t:02}",
            "dose": 10.0 * i + t,
            "kind": "ab"[t % 2],
            "well": i % 2,
        }
        for i in range(count)
        for t in range(1 + i % 5)
    ]
    return pd.DataFrame(rows).iloc[chance.permutation(len(rows))].reset_index(drop=True)


def hours(count: int = 200, shops: int = 1) -> pd.DataFrame:
    made = [
        pd.DataFrame(
            {"hour": np.arange(count), "load": 1000.0 * shop + np.arange(count), "hot": np.arange(count) % 7}
        )
        for shop in range(shops)
    ]
    return pd.concat([each.assign(shop=f"s{i}") for i, each in enumerate(made)], ignore_index=True)


def of(table: pd.DataFrame, **keys: Any) -> Dataset:
    return from_memory(table, DataSpec(source="memory", **keys), resampling=True)


PEOPLE: dict[str, Any] = {"target": "well", "sequence": "who", "order": "day"}
HOURS: dict[str, Any] = {"target": "load", "time": "hour", "window": 4, "target_scaling": "none"}


def stored(data: Dataset) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(dict(data.encoding)))
    return found


def test_rows_of_one_id_are_a_sequence_in_their_order() -> None:
    data = of(visits(), **PEOPLE)
    assert (data.kind, data.input_shape, data.masked) == (InputKind.SERIES, (5, 4), True)
    assert data.features == ("dose", "kind = a", "kind = b", "there")
    rows = visits()
    found = encode(rows[rows.who == "p4"], stored(data))
    np.testing.assert_array_equal(
        found[0], [[44, 1, 0, 1], [43, 0, 1, 1], [42, 1, 0, 1], [41, 0, 1, 1], [40, 1, 0, 1]]
    )
    assert encode(rows[rows.who == "p5"], stored(data))[0].tolist() == [[50, 1, 0, 1], *[[0] * 4] * 4]
    assert len(data.train) + len(data.validation) == 32
    assert any("40 sequences of 1 to 5 steps, one for each 'who'" in note for note in data.notes)
    spec = DataSpec(source="memory", **PEOPLE)
    assert outline(spec, Path(), visits()).kind is InputKind.SERIES


def test_a_longer_sequence_keeps_its_last_steps() -> None:
    data = of(visits(), **PEOPLE, length=2)
    assert data.input_shape == (2, 4)
    found = encode(visits(), stored(data))
    assert found[labels(visits(), stored(data)).who == "p4"][0, :, 0].tolist() == [41, 40]
    assert any("longer than 2 steps; their last ones are looked at" in note for note in data.notes)
    assert not of(visits().query("who == who and dose >= 0"), **PEOPLE, length=1).masked


def test_the_target_is_that_of_the_last_step_that_has_one() -> None:
    table = visits()
    table["well"] = table["well"].astype(object)
    table.loc[table.day != "2024-03-20", "well"] = None
    data = of(table, **PEOPLE)
    np.testing.assert_array_equal(data.train.y, of(visits(), **PEOPLE).train.y)
    assert not any("differs" in note for note in data.notes)
    table = visits()
    table.loc[(table.who == "p4") & (table.day == "2024-03-08"), "well"] = 1
    told = of(table, **PEOPLE)
    assert any("The target differs within 1 sequences: that of the last step" in note for note in told.notes)
    np.testing.assert_array_equal(told.train.y, of(visits(), **PEOPLE).train.y)


def test_ids_are_divided_by_group_time_and_weight_of_their_last_step() -> None:
    table = visits().assign(ward=[int(who[1:]) % 8 for who in visits().who], weight=1.0)
    data = of(table, **PEOPLE, split="group", group="ward", weight="weight")
    assert isinstance(data.resampling, SearchRows)
    assert data.features == ("dose", "kind = a", "kind = b", "there")
    newest = of(table.assign(end=table.dose), **PEOPLE, split="time", time="end", group="ward")
    assert newest.train.x[:, :, 0].max() < newest.validation.x[:, :, 0].max()


@pytest.mark.parametrize("shops", [1, 3])
@pytest.mark.parametrize(("horizon", "gap"), [(1, 0), (3, 0), (2, 5)])
def test_no_window_of_a_later_split_shares_a_step_with_an_earlier_one(
    shops: int, horizon: int, gap: int
) -> None:
    keys = HOURS | {"horizon": horizon, "gap": gap, "sequence": "shop" if shops > 1 else None}
    table = hours(shops=shops)
    data = of(table, **keys)
    locked = unlock(DataSpec(source="memory", **keys), Path(), table)
    assert isinstance(locked.x, Sequences)
    test = encode(locked.x, stored(data))
    place = data.features.index("load")
    parts = []
    for x, y in ((data.train.x, data.train.y), (data.validation.x, data.validation.y), (test, locked.y)):
        first, until = x[:, 0, place] % 1000, np.asarray(y) % 1000
        np.testing.assert_array_equal(until, x[:, -1, place] % 1000 + horizon)
        np.testing.assert_array_equal(np.diff(x[:, :, place], axis=1), 1)
        parts.append((first.min(), until.max()))
    for (_, end), (start, _) in pairwise(parts):
        assert start == end + 1 + gap
    assert parts[-1][1] == 199
    for fold in of(table, **keys, folds=3).resampling.folds(3):  # type: ignore[union-attr]
        ends = (fold.train.y % 1000).max(), (fold.validation.x[:, 0, place] % 1000).min()
        assert ends[1] == ends[0] + 1 + gap


def test_a_window_knows_the_targets_past_and_the_last_ones_are_predicted() -> None:
    data = of(hours(), **HOURS, horizon=2)
    assert data.features == ("load", "hot")
    table = hours(6).iloc[::-1]
    found = encode(table, stored(data))
    assert found.shape == (3, 4, 2)
    assert found[-1, :, 0].tolist() == [2, 3, 4, 5]
    assert labels(table, stored(data)).hour.tolist() == [3, 4, 5]
    assert any(
        "195 windows of 4 steps; what is predicted is 'load' 2 steps later" in note for note in data.notes
    )
    with pytest.raises(DataError, match="rows: 3 rows are fewer than the 4 steps of a window"):
        encode(hours(3), stored(data))
    with pytest.raises(DataError, match="rows: are no table with the columns hour; give a data frame"):
        encode(np.zeros((9, 2)), stored(data))


def test_windows_lie_within_one_sequence() -> None:
    data = of(hours(30, shops=3), **HOURS, sequence="shop")
    table = hours(5, shops=3)
    assert labels(table, stored(data)).to_dict("list") == {
        "shop": ["s0", "s0", "s1", "s1", "s2", "s2"],
        "hour": [3, 4] * 3,
    }
    assert encode(table, stored(data))[:, 0, 0].tolist() == [0, 1, 1000, 1001, 2000, 2001]


def test_missing_values_of_steps_are_filled_and_missing_targets_are_left_out(tmp_path: Path) -> None:
    table = hours()
    table.loc[[50, 60], "load"] = np.nan
    table.to_csv(tmp_path / "a.csv", index=False)
    data = load(DataSpec(source="a.csv", **HOURS, drop=("shop",)), tmp_path)
    assert data.features == ("load", "load (missing)", "hot")
    assert any("2 rows without a target are left out" in note for note in data.notes)


def test_dates_order_the_rows_as_the_training_ones_were_read(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=100).strftime("%d/%m/%Y")
    table = pd.DataFrame({"day": days, "load": np.arange(100.0)})
    keys: dict[str, Any] = {"target": "load", "time": "day", "window": 3, "target_scaling": "none"}
    data = of(table, **keys)
    few = table.iloc[
        [31, 3, 2, 1, 0, 60, 61]
    ]  # 01/02 is the first of February, though here it could be another
    assert labels(few, stored(data)).day.tolist() == [
        "03/01/2024",
        "04/01/2024",
        "01/02/2024",
        "01/03/2024",
        "02/03/2024",
    ]
    assert any("not evenly spaced" in note for note in of(table.drop(index=50), **keys).notes)
    assert not any("not evenly spaced" in note for note in data.notes)


@pytest.mark.parametrize(
    ("table", "keys", "fault"),
    [
        (visits(), {"target": "well", "sequence": "hwo"}, "sequence: no column 'hwo'; known: "),
        (visits().assign(day="soon"), PEOPLE, "order: column 'day' holds values that are neither"),
        (
            visits().assign(who=np.nan),
            PEOPLE,
            "sequence: column 'who' has missing values; fill them in",
        ),
        (
            hours(shops=2),
            HOURS,
            "several rows have the same 'hour'; leave one of them, or name what tells several",
        ),
        (hours(4), HOURS, "no series has 5 rows, as many as a window of 4 and its target need; lower window"),
        (hours(12), HOURS, "no window of a split lies before all steps of the next one; lower window"),
        (
            visits(),
            {"target": "well", "kind": "series"},
            "say which rows are steps of one series: sequence = ",
        ),
    ],
)
def test_what_makes_no_sequences_is_refused(table: pd.DataFrame, keys: dict[str, Any], fault: str) -> None:
    with pytest.raises(DataError) as raised:
        of(table, **keys)
    assert fault in str(raised.value)


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"window": 3}, "window: moves in order of time"),
        ({"window": 3, "time": "t", "target": "y", "split": "random"}, "windows share rows"),
        ({"window": 3, "time": "t", "target": "y", "length": 2}, "length: every window has"),
        ({"window": 3, "time": "t"}, "target: name the column to predict"),
        ({"horizon": 3}, "horizon: is of windows"),
        ({"order": "t"}, "order: orders the steps of a sequence"),
        ({"sequence": "t", "kind": "tokens"}, "their inputs are series"),
    ],
)
def test_keys_that_say_nothing_are_refused(keys: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        DataSpec(source="a.csv", **keys)


def test_nothing_of_other_sequences_is_in_the_encoding() -> None:
    table = visits()
    data = of(table, **PEOPLE)
    assert isinstance(data.resampling, SearchRows)
    train: Any = rows_of(data.resampling.x, data.resampling.train)
    trained = set(train.frame["dose"].iloc[train.rows()])
    other = [dose not in trained for dose in table["dose"]]
    table.loc[other, "dose"], table.loc[other, "kind"] = 1e6, "z"
    assert of(table, **PEOPLE).encoding == data.encoding


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=6, max_size=20), st.randoms(use_true_random=False), st.integers(1, 5)
)
def test_a_sequence_is_encoded_whatever_its_neighbours_are(
    lengths: list[int], chance: Any, length: int
) -> None:
    rows = [
        {"id": i, "t": t, "v": chance.random() + 9 * i + t, "y": i % 2}
        for i, n in enumerate(lengths)
        for t in range(n)
    ]
    chance.shuffle(rows)
    table = pd.DataFrame(rows)
    how = stored(of(table, target="y", sequence="id", order="t", length=length, test=0))
    together = encode(table, how)
    ids = labels(table, how).id.tolist()
    assert sorted(ids) == list(range(len(lengths)))
    for place, each in enumerate(ids):
        np.testing.assert_array_equal(encode(table[table.id == each], how)[0], together[place])


def test_no_locked_sequence_of_changed_data_is_trained_on() -> None:
    spec = DataSpec(source="memory", **PEOPLE)
    told: list[str] = []
    first = from_memory(visits(40), spec, check=FingerprintCheck(None, told.extend))
    held = ids(unlock(spec, Path(), visits(40)).x)
    again = from_memory(
        visits(50), spec, resampling=True, check=FingerprintCheck(first.fingerprint, told.extend)
    )
    assert told == ["10 rows added"]
    assert isinstance(again.resampling, SearchRows)
    assert len(held) == 8
    assert not held & ids(again.resampling.x)
    assert held <= ids(unlock(spec, Path(), visits(50), again.fingerprint).x)


def test_no_locked_window_of_a_longer_series_is_trained_on() -> None:
    spec = DataSpec(source="memory", **HOURS)
    told: list[str] = []
    first = from_memory(hours(200), spec, check=FingerprintCheck(None, told.extend))
    again = from_memory(
        hours(230), spec, resampling=True, check=FingerprintCheck(first.fingerprint, told.extend)
    )
    assert told == ["30 rows added"]
    test = unlock(spec, Path(), hours(230), again.fingerprint)
    assert isinstance(test.x, Sequences)
    assert isinstance(again.resampling, SearchRows)
    last = last_steps(again.resampling)
    assert last.max() < test.x.frame["load"].iloc[test.x.starts].min()
    assert len(test) >= 39


def last_steps(rows: SearchRows) -> NDArray[Any]:
    return np.asarray(rows.y)


def ids(x: Any) -> set[float]:
    assert isinstance(x, Sequences)
    return set(x.frame["dose"].iloc[x.starts])
