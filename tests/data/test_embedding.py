"""Categories as codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.loaded import from_arrays, from_memory
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Dataset
from tuner.data import code_notes, embedded, encode, outline
from tuner.data.encoding import codes_of
from tuner.data.fitting import MOST_CATEGORIES, MOST_CODES, cells_of
from tuner.data.unseen import unseen

ROWS = 600


def table(**columns: Any) -> pd.DataFrame:
    chance = np.random.default_rng(0)
    zips = [f"Z{i}" for i in chance.integers(0, 50, ROWS)]
    zips[:2] = ["once", "twice"]
    return pd.DataFrame(
        {
            "zip": zips,
            "size": chance.normal(size=ROWS),
            "colour": chance.choice(["red", "green"], ROWS),
            **columns,
        }
    )


def dataset(frame: pd.DataFrame, **keys: Any) -> Dataset:
    y = np.random.default_rng(1).normal(size=len(frame))
    return from_arrays(frame, y, DataSpec(source="memory", test=0.0, **keys))


def test_codes_take_the_place_of_zeros_and_ones_and_come_last() -> None:
    frame = table()
    plain = dataset(frame)
    coded = embedded(plain)
    assert plain.input_shape == (33 + 3,)
    assert coded.features == ("size", "colour = green", "colour = red", "zip")
    assert coded.categories == (int(coded.train.x[:, -1].max()) + 1,)
    assert coded.train.x.dtype == coded.validation.x.dtype == np.float32
    every = np.concatenate([coded.train.x, coded.validation.x])
    by_code = pd.Series(every[:, -1].astype(int)).groupby(_zips(frame, every)).nunique()
    assert set(by_code) == {1}, "one code for each"
    assert coded.classes == plain.classes
    assert coded.train.y is plain.train.y


def _zips(frame: pd.DataFrame, x: Any) -> Any:
    """The category of each encoded row, which its number tells."""
    known = {np.float32(size): name for size, name in zip(frame["size"], frame["zip"], strict=True)}
    return np.array([known[size] for size in x[:, 0]])


def test_new_rows_are_encoded_as_the_training_rows_were() -> None:
    frame = table()
    coded = embedded(dataset(frame))
    how = json.loads(json.dumps(coded.encoding))
    encoded = {row.tobytes() for row in encode(frame, how)}
    assert {row.tobytes() for row in (*coded.train.x, *coded.validation.x)} <= encoded
    np.testing.assert_array_equal(encode(frame.to_numpy(object), how), encode(frame, how))


def test_rare_and_unknown_categories_have_the_code_0_and_missing_ones_their_own() -> None:
    frame = table()
    frame.loc[::10, "zip"] = None
    coded = embedded(dataset(frame))
    (own,) = (each for each in coded.encoding["columns"] if each["name"] == "zip")
    new = pd.DataFrame({"zip": ["once", "never", None, own["categories"][0]], "size": 0.0, "colour": "red"})
    count = len(own["categories"])
    assert encode(new, coded.encoding)[:, -1].tolist() == [0, 0, count + 1, 1]
    assert coded.categories == (count + 2,)
    assert "zip (missing)" not in coded.features
    codes, _ = codes_of(cells_of(frame["zip"], own), own)
    assert np.bincount(codes[codes >= 0]).argmax() == 0, "the commonest first"


def test_a_category_that_the_study_fills_in_has_the_code_of_what_it_is_filled_with() -> None:
    frame = table()
    frame.loc[::10, "zip"] = None
    frame.loc[1::10, "zip"] = "Z7"
    coded = embedded(dataset(frame, columns={"zip": {"fill": "most frequent"}}))
    new = pd.DataFrame({"zip": [None, "Z7"], "size": 0.0, "colour": "red"})
    assert encode(new, coded.encoding)[:, -1].tolist() == [1, 1]


def test_what_is_new_to_the_codes_is_told() -> None:
    coded = embedded(dataset(table()))
    new = pd.DataFrame({"zip": ["Z1", "z2 ", "never"], "size": 0.0, "colour": "red"})
    (told,) = unseen(new, coded.encoding)
    assert told.startswith("column 'zip': 1 row holds 'never', which training never had, or rarely; ")


@pytest.mark.parametrize("count", [MOST_CATEGORIES, MOST_CATEGORIES + 1])
def test_only_columns_with_many_categories_that_come_often_have_codes(count: int) -> None:
    frame = table(zip=[f"Z{i % count}" for i in range(ROWS)])
    rare = table(zip=[f"Z{i % 20}" if i % 2 else f"rare {i % 400}" for i in range(ROWS)])
    found = dataset(frame)
    many = count > MOST_CATEGORIES
    assert (found.train.codes is not None) == many
    assert (embedded(found) is found) == (not many)
    assert bool(code_notes(found)) == many
    assert dataset(rare).train.codes is None
    assert MOST_CODES < 2**24, "a float32 holds them"


def test_codes_follow_the_rows_into_folds_and_provided_splits() -> None:
    frame = table()
    folded = from_arrays(
        frame, frame["size"].to_numpy(), DataSpec(source="memory", test=0.0, folds=3), resampling=True
    )
    assert folded.resampling is not None
    for data in (*folded.resampling.folds(3), folded.resampling.draw(5)):
        coded = embedded(data)
        assert len(coded.train.x) + len(coded.validation.x) == ROWS
        (own,) = (each for each in coded.encoding["columns"] if each["name"] == "zip")
        for part in (coded.train, coded.validation):
            names = [*own["categories"]]
            told = [names[int(code) - 1] if code else "rare" for code in part.x[:, -1]]
            true = _zips(frame, part.x)
            assert all(a in (b, "rare") for a, b in zip(told, true, strict=True))


@pytest.mark.parametrize(("count", "coded"), [(2, False), (40, True)])
def test_the_outline_says_whether_a_column_has_codes(count: int, coded: bool) -> None:
    frame = table(zip=[f"Z{i % count}" for i in range(ROWS)])
    memory = (frame, frame["size"].to_numpy())
    assert outline(DataSpec(source="memory"), Path(), memory).has_codes is coded
    assert (from_memory(memory, DataSpec(source="memory")).train.codes is not None) is coded
    assert not outline(DataSpec(source="memory"), Path(), (np.eye(60), np.arange(60.0))).has_codes


def test_codes_of_digits_are_seen_and_plain_numbers_passed_over() -> None:
    codes = table(zip=[f"{1000 + i % 40:05}" for i in range(ROWS)])
    numbers = table(zip=[f"{1000 + i % 40}" for i in range(ROWS)])
    y = codes["size"].to_numpy()
    asked = DataSpec.model_validate({"source": "memory", "columns": {"zip": {"kind": "category"}}})
    assert outline(DataSpec(source="memory"), Path(), (codes, y)).has_codes
    assert not outline(DataSpec(source="memory"), Path(), (numbers, y)).has_codes
    assert outline(asked, Path(), (numbers, y)).has_codes
