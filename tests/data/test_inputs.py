"""Arrays of every kind: told by their shape, encoded row by row, and the same from a stored encoding."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from tests.loaded import from_arrays, from_memory
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import PADDING, UNKNOWN, Dataset, FingerprintCheck, InputKind
from tuner.data import (
    Scaling,
    encode,
    flat,
    load,
    outline,
    rows_of,
    tell,
    width,
)
from tuner.data.locked import unlock
from tuner.data.resampling import SearchRows
from tuner.errors import DataError

CHANCE = np.random.default_rng(0)
Y = np.arange(60) % 3


def of(x: Any, **keys: Any) -> Dataset:
    return from_arrays(x, Y, DataSpec(source="memory", **keys))


def stored(data: Dataset) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(json.dumps(dict(data.encoding)))
    return table


@pytest.mark.parametrize(
    ("x", "keys", "kind", "shape"),
    [
        (np.zeros((60, 5)), {}, InputKind.TABLE, (5,)),
        (np.zeros((60, 5, 2)), {}, InputKind.SERIES, (5, 2)),
        (np.zeros((60, 5, 4), np.uint8), {}, InputKind.IMAGE, (1, 5, 4)),
        (np.zeros((60, 5, 4)), {"kind": "image"}, InputKind.IMAGE, (1, 5, 4)),
        (np.zeros((60, 5, 4), np.uint8), {"kind": "series"}, InputKind.SERIES, (5, 4)),
        (np.zeros((60, 5)), {"kind": "series"}, InputKind.SERIES, (5, 1)),
        (np.zeros((60, 3, 6, 5)), {}, InputKind.IMAGE, (3, 6, 5)),
        (np.zeros((60, 6, 5, 3)), {}, InputKind.IMAGE, (3, 6, 5)),
        (np.zeros((60, 3, 5, 3)), {}, InputKind.IMAGE, (3, 5, 3)),
        (np.ones((60, 5)), {"kind": "tokens"}, InputKind.TOKENS, (5,)),
    ],
)
def test_the_kind_of_arrays_is_seen_from_their_shape(
    x: NDArray[Any], keys: dict[str, Any], kind: InputKind, shape: tuple[int, ...]
) -> None:
    data = of(x, **keys)
    assert (data.kind, data.input_shape) == (kind, shape)
    assert outline(DataSpec(source="memory", **keys), Path(), (x, Y)).kind is kind


def test_images_of_bytes_stay_bytes_and_may_have_their_channels_last() -> None:
    x = CHANCE.integers(0, 256, (60, 6, 5, 3), np.uint8)
    data = of(x)
    assert data.train.x.dtype == data.validation.x.dtype == np.uint8
    assert any("channels last" in note for note in data.notes)
    turned = np.moveaxis(x, 3, 1)
    for rows in (x, turned):
        np.testing.assert_array_equal(encode(rows, stored(data)), turned)
    with pytest.raises(DataError, match=r"rows: have shape \(3, 7, 5\) each; the data had \(3, 6, 5\)"):
        encode(np.zeros((2, 3, 7, 5)), stored(data))
    assert not any("channels last" in note for note in of(turned).notes)


def test_tokens_are_known_up_to_the_largest_of_the_training_rows() -> None:
    x = CHANCE.integers(2, 9, (60, 6))
    held = unlocked(x, kind="tokens")
    x[held] = 50
    data = of(x, kind="tokens")
    assert data.train.x.dtype == np.int32
    assert data.vocabulary == 9
    assert (encode(x[held], stored(data)) == UNKNOWN).all()


def unlocked(x: Any, **keys: Any) -> NDArray[np.intp]:
    """Which rows are locked."""
    marked = np.array(x, np.float64)
    marked[:, 0] = np.arange(len(x))
    rows = unlock(DataSpec(source="memory", **keys), Path(), (marked, Y)).x
    return np.asarray(rows)[:, 0].astype(np.intp)


def test_rows_of_different_lengths_are_padded() -> None:
    words = [list(range(2, 2 + n % 5)) for n in range(60)]
    data = of(words)
    assert (data.kind, data.input_shape) == (InputKind.TOKENS, (4,))
    np.testing.assert_array_equal(
        encode([[3], [], [2, 5, 4, 3, 3], [99, 2]], stored(data)),
        [[3, 0, 0, 0], [UNKNOWN, 0, 0, 0], [2, 5, 4, 3], [UNKNOWN, 2, 0, 0]],
    )
    series = [np.full((1 + n % 4, 2), n, float) for n in range(60)]
    data = of(series)
    assert (data.kind, data.input_shape, data.masked) == (InputKind.SERIES, (4, 3), True)
    found = encode([np.arange(10.0).reshape(5, 2), np.ones((1, 2))], stored(data))
    np.testing.assert_array_equal(found[0], [[2, 3, 1], [4, 5, 1], [6, 7, 1], [8, 9, 1]])
    np.testing.assert_array_equal(found[1], [[1, 1, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert of([[float(n)] * (1 + n % 3) for n in range(60)]).input_shape == (3, 2)


def test_tokens_stand_side_by_side_from_the_first_place_on() -> None:
    x = np.ones((60, 4), int) * 2
    x[:, :3] = [0, 3, 0]
    np.testing.assert_array_equal(of(x, kind="tokens").train.x[0], [3, 2, PADDING, PADDING])


def test_length_takes_the_first_tokens_and_the_last_steps() -> None:
    x = np.arange(60 * 6).reshape(60, 6)
    np.testing.assert_array_equal(of(x + 2, kind="tokens", length=2).train.x % 6, (x[:36, :2] * 0 + [2, 3]))
    series = of(x, kind="series", length=2)
    assert series.input_shape == (2, 1)
    np.testing.assert_array_equal(series.train.x[:, :, 0] % 6, np.broadcast_to([4, 5], (36, 2)))
    assert not series.masked


def test_nothing_of_the_locked_and_the_validation_rows_is_in_the_encoding() -> None:
    x = CHANCE.integers(2, 9, (60, 6))
    data = of(x, kind="tokens")
    train = {tuple(row) for row in data.train.x.tolist()}
    others = [i for i, row in enumerate(x.tolist()) if tuple(row) not in train]
    assert others
    x[others] += 100
    assert of(x, kind="tokens").encoding == data.encoding


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_row_is_encoded_whatever_its_neighbours_are(draw: st.DataObject) -> None:
    kind = draw.draw(st.sampled_from(["tokens", "series"]))
    value = st.integers(0, 30) if kind == "tokens" else st.floats(-5, 5, width=32)
    least = 0 if kind == "tokens" else 1
    rows = draw.draw(st.lists(st.lists(value, min_size=least, max_size=7), min_size=2, max_size=8))
    if not any(rows):
        rows[0] = [2]
    given_ = [np.array(row, np.int64 if kind == "tokens" else np.float64) for row in rows]
    length = draw.draw(st.integers(1, 6))
    ragged = [*given_, np.array([2, 3] * 4, given_[0].dtype)]
    how = stored(
        from_arrays(
            ragged * 6, np.arange(len(ragged) * 6) % 2, DataSpec(source="m", kind=kind, length=length)
        )
    )
    together = encode(ragged, how)
    for i, row in enumerate(ragged):
        alone = encode([row, np.array([2, 3] * 4, row.dtype)], how)[0]
        np.testing.assert_array_equal(alone, together[i])
        if kind == "tokens":
            assert alone[0] != PADDING
            assert (np.diff((alone == PADDING).astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ("x", "keys", "fault"),
    [
        (
            np.full((60, 3), 0.5),
            {"kind": "tokens"},
            "X holds 180 values that are no tokens, the first 0.5 at [0, 0]",
        ),
        (
            -np.ones((60, 3)),
            {"kind": "tokens"},
            "no tokens, the first -1.0 at [0, 0]; give whole numbers from 0",
        ),
        (
            np.zeros((60, 3)),
            {"kind": "image"},
            "X has shape (60, 3), which is no image; give (N, D) for tables",
        ),
        (np.zeros((60, 3, 2)), {"kind": "table"}, "X has shape (60, 3, 2), which is no table"),
        (
            [np.zeros((i % 3 + 1, 2)) for i in range(60)],
            {"kind": "table"},
            "rows of different lengths, which are",
        ),
        ([np.zeros((2, i % 2 + 1)) for i in range(60)], {}, "X has shape"),
        (
            [np.zeros((i % 3 + 1, i % 2 + 1)) for i in range(60)],
            {},
            "X holds rows of different shapes; give (T,)",
        ),
        (np.full((60, 3, 2), np.nan), {}, "X holds a row without any step, 0; leave such rows out"),
        (
            [np.ones((2, 3)), np.zeros(0), *(np.ones((i % 3 + 1, 3)) for i in range(58))],
            {},
            "X holds a row without any step, 1; leave such rows out",
        ),
        (
            pd.DataFrame({"a": ["x y"] * 60}),
            {"kind": "tokens"},
            'name its column of texts: text = "<column>"',
        ),
    ],
)
def test_what_no_kind_takes_is_refused(x: Any, keys: dict[str, Any], fault: str) -> None:
    with pytest.raises(DataError) as raised:
        of(x, **keys)
    assert fault in str(raised.value) or fault == "X has shape"


def test_gaps_inside_of_a_series_are_refused_and_those_at_its_end_are_none() -> None:
    x = np.zeros((60, 4, 2))
    x[::2, 3:] = np.nan
    assert of(x).masked
    x[5, 1, 0] = np.nan
    with pytest.raises(DataError, match=r"X holds 1 values .* the first at \[5, 1, 0\]"):
        of(x)


def test_a_file_of_arrays_is_read_alike(tmp_path: Path) -> None:
    x = CHANCE.integers(0, 9, (60, 6))
    np.savez(tmp_path / "a.npz", X=x, y=Y, X_validation=x[:9, :4], y_validation=Y[:9])
    data = load(DataSpec(source="a.npz", kind="tokens"), tmp_path)
    assert (data.kind, data.validation.x.shape) == (InputKind.TOKENS, (9, 6))
    np.savez(tmp_path / "b.npz", X=np.array(["one two", "two one"] * 30), y=Y)
    assert load(DataSpec(source="b.npz"), tmp_path).kind is InputKind.TOKENS


def test_samples_of_torch_may_differ_in_length() -> None:
    samples: Any = type("Words", (torch.utils.data.Dataset,), {})()
    type(samples).__len__ = lambda self: 60
    type(samples).__getitem__ = lambda self, i: (torch.arange(2, 3 + i % 4), i % 3)
    data = from_memory(samples, DataSpec(source="memory"))
    assert (data.kind, data.input_shape) == (InputKind.TOKENS, (4,))


def test_estimators_that_are_no_networks_get_counts_of_tokens() -> None:
    x = np.array([[2, 3, 3, 0], [1, 2, 0, 0], [5000, 4, 0, 0]], np.int32)
    scaling = Scaling.fit("standard", x)
    np.testing.assert_array_equal(flat(scaling, x, 5)[:2], [[0, 1, 2, 0], [1, 1, 0, 0]])
    assert flat(scaling, x, 5001).shape == (3, 999)
    data = of(CHANCE.integers(2, 9, (60, 6)), kind="tokens")
    assert flat(scaling, data.train.x, data.vocabulary).shape == (len(data.train), width(data.inputs))


def test_rows_for_a_model_may_be_lists() -> None:
    assert rows_of(["a b", "c"]) == ["a b", "c"]


def raw(kind: str, count: int) -> Any:
    chance = np.random.default_rng(7)
    words = chance.integers(2, 99, (count, 4))
    if kind == "texts":
        return pd.DataFrame(
            {"said": [" ".join(f"w{w}" for w in row) for row in words], "y": np.arange(count) % 3}
        )
    x = (
        words
        if kind == "tokens"
        else np.where(words[:, :, None] % 9 + [1, 0] == 9, 0, words[:, :, None] * [1, 2])
    )
    return (x if kind != "images" else x[:, None].astype(np.uint8)), np.arange(count) % 3


@pytest.mark.parametrize("kind", ["texts", "tokens", "series", "images"])
def test_no_locked_row_of_changed_data_is_trained_on(kind: str) -> None:
    keys: dict[str, Any] = {"text": "said", "target": "y"} if kind == "texts" else {}
    spec = DataSpec(source="memory", **keys | ({"kind": "tokens"} if kind == "tokens" else {}))
    told: list[str] = []

    def taken_over(differences: Sequence[str]) -> None:
        told.extend(differences)

    first = from_memory(raw(kind, 60), spec, check=FingerprintCheck(None, taken_over))
    held = hashable(unlock(spec, Path(), raw(kind, 60)).x)
    again = from_memory(
        raw(kind, 80), spec, resampling=True, check=FingerprintCheck(first.fingerprint, taken_over)
    )
    assert told == ["20 rows added"]
    assert isinstance(again.resampling, SearchRows)
    assert not held & hashable(again.resampling.x)
    assert held <= hashable(unlock(spec, Path(), raw(kind, 80), again.fingerprint).x)


def hashable(x: Any) -> set[Any]:
    return set(x) if isinstance(x, pd.Series) else {row.tobytes() for row in x}


REVIEWS = pd.DataFrame(
    {
        "said": ["good sun", "bad rain"] * 30,
        "price": np.arange(60.0) % 7,
        "shop": ["a", "b", "c"] * 20,
        "y": Y,
    }
)
ASIDE = DataSpec(source="memory", target="y", columns={"said": {"kind": "tokens"}})
PICTURES = CHANCE.integers(0, 256, (60, 5, 5), np.uint8)


def test_arrays_whose_names_end_like_those_of_splits_are_inputs_where_they_are_none() -> None:
    given_ = {"image": PICTURES, "lab_test": np.zeros((60, 3)), "y": Y}
    assert [each.name for each in from_memory(given_, DataSpec(source="memory")).parts] == [
        "image",
        "lab_test",
    ]
    given_ |= {f"{name}_validation": array[:9] for name, array in given_.items()}
    data = from_memory(given_, DataSpec(source="memory"))
    assert [each.name for each in data.parts] == ["image", "lab_test"]
    assert len(data.validation) == 9


def test_a_list_of_numbers_is_a_column_as_an_array_of_them_is() -> None:
    x: dict[str, Any] = {"image": PICTURES, "age": Y.tolist()}
    listed, array = (of(each) for each in (x, {**x, "age": Y}))
    assert listed.parts[1].shape == (1,)
    np.testing.assert_array_equal(listed.train.x, array.train.x)
    with pytest.raises(DataError, match=r"X\['age'\] has shape \(60,\), which is no table"):
        of({**x, "age": [None, *Y[1:].tolist()]})


def test_inputs_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(DataError, match="X: two inputs or columns are called image; rename one"):
        of({"image": PICTURES, "table": pd.DataFrame({"image": range(60), "b": range(60)})})
    with pytest.raises(DataError, match=r"columns\.table: so the other columns are called together; rename"):
        from_memory(REVIEWS.rename(columns={"price": "table"}), ASIDE)
    with pytest.raises(DataError, match="X is missing; found: a, b, y; needed: X and y"):
        from_memory({"a": np.arange(60.0), "b": np.arange(60.0), "y": Y}, DataSpec(source="memory"))
    with pytest.raises(ValidationError, match=r"columns\.y: a target is neither tokens nor an image"):
        DataSpec.model_validate({"source": "memory", "target": "y", "columns": {"y": {"kind": "tokens"}}})


def test_columns_of_a_dictionary_are_the_table_beside_its_other_inputs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = REVIEWS[["price", "shop"]]
    how = stored(of({"image": PICTURES, "table": table}))
    rows = {"image": PICTURES, **table.to_dict("list")}
    np.testing.assert_array_equal(encode(rows, how), encode({"image": PICTURES, "table": table}, how))
    tell({**rows, "shop": ["z"] * 60}, how)
    assert "column 'shop': 60 rows hold 'z'" in caplog.text


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ({"price": [1, 2], "shop": ["a"]}, "the columns beside said are no table: All arrays must be of the"),
        (
            {"price": np.zeros((1, 2)), "shop": ["a"]},
            "the columns beside said are no table: Per-column arrays",
        ),
        (
            {"said": "good", "price": 1, "shop": "a"},
            "the columns beside said are no table: If using all scalar",
        ),
        ({}, "price, shop missing; found: said"),
    ],
)
def test_rows_of_a_dictionary_that_are_no_table_are_refused(rows: dict[str, Any], fault: str) -> None:
    how = stored(from_memory(REVIEWS, ASIDE))
    assert len(encode({"said": ["good"], "price": 1, "shop": "a"}, how)) == 1
    with pytest.raises(DataError, match=f"rows: {fault}"):
        encode({"said": ["good"]} | rows, how)
