from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.core.column_spec import ColumnSpec
from tuner.data import encode
from tuner.data.cells import Cells
from tuner.data.encoding import fit, names
from tuner.data.fitting import MOST_CATEGORIES
from tuner.data.options import Options
from tuner.errors import DataError


def column(values: list[Any], **keys: Any) -> tuple[dict[str, np.ndarray[Any, Any]], tuple[str, ...]]:
    """Encode one column beside a plain one; its encoded columns by name, and the notes."""
    rows = pd.DataFrame({"a": pd.Series(values, **keys), "plain": np.arange(len(values))})
    encoding, notes = fit(rows, "data")
    x = encode(rows, encoding)
    assert x.dtype == np.float32
    return {name: x[:, i] for i, name in enumerate(names(encoding)) if name != "plain"}, notes


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["red", "blue", "2024-02-29", "1.2.2024", "inf", "true", " "]),
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),
)


@settings(deadline=None)
@given(st.lists(CELLS, min_size=1, max_size=30), st.lists(CELLS, min_size=1, max_size=10))
def test_anything_encodes_to_finite_columns_and_the_encoding_is_json(seen: list[Any], new: list[Any]) -> None:
    rows = pd.DataFrame({"a": pd.Series(seen, dtype=object), "b": np.arange(len(seen))})
    encoding, _ = fit(rows, "data")
    stored = json.loads(json.dumps(encoding, allow_nan=False))
    assert stored == encoding
    for frame in (rows, pd.DataFrame({"a": pd.Series(new, dtype=object), "b": np.arange(len(new))})):
        x = encode(frame, stored)
        assert x.shape == (len(frame), len(names(encoding)))
        assert np.isfinite(x).all()


@settings(deadline=None)
@given(st.lists(CELLS, min_size=4, max_size=20), CELLS)
def test_every_row_is_encoded_by_itself(seen: list[Any], other: Any) -> None:
    encoding, _ = fit(pd.DataFrame({"a": pd.Series(seen, dtype=object), "b": range(len(seen))}), "data")
    alone = encode(pd.DataFrame({"a": pd.Series(seen[:1], dtype=object), "b": [0]}), encoding)
    beside = encode(pd.DataFrame({"a": pd.Series([seen[0], other], dtype=object), "b": [0, 1]}), encoding)
    np.testing.assert_array_equal(alone[0], beside[0])


def test_missing_numbers_become_the_median_and_are_marked() -> None:
    encoded, notes = column([1.0, None, 4.0, 100.0, float("inf")])
    np.testing.assert_array_equal(encoded["a"], [1, 4, 4, 100, 4])
    np.testing.assert_array_equal(encoded["a (missing)"], [0, 1, 0, 0, 1])
    assert notes == (
        "Values that are no numbers count as missing: a ('inf' and the like, 1 rows).",
        "Missing numbers become the training median, and a column marks them: a (2 rows, 4).",
    )


def test_numbers_written_as_text_are_numbers() -> None:
    encoded, notes = column(["1", " 2.5 ", "-3e2"], dtype="str")
    assert list(encoded) == ["a"]
    np.testing.assert_array_equal(encoded["a"], [1, 2.5, -300])
    assert not notes


def test_a_few_words_among_numbers_count_as_missing_and_are_noted() -> None:
    encoded, notes = column([*map(str, range(19)), "unknown"], dtype="str")
    assert encoded["a (missing)"].tolist() == [0] * 19 + [1]
    assert notes[0] == "Values that are no numbers count as missing: a ('unknown' and the like, 1 rows)."


@pytest.mark.parametrize("values", [[True, False, True], ["true", "False", "TRUE"]])
def test_booleans_are_1_and_0(values: list[Any]) -> None:
    encoded, _ = column(values)
    np.testing.assert_array_equal(encoded["a"], [1, 0, 1])


def test_durations_are_seconds() -> None:
    encoded, _ = column([timedelta(minutes=1), timedelta(seconds=2.5)])
    np.testing.assert_array_equal(encoded["a"], [60, 2.5])


def test_each_category_and_being_missing_get_columns() -> None:
    encoded, notes = column(["red", "blue", None, "red"])
    assert {name: x.tolist() for name, x in encoded.items()} == {
        "a = blue": [0, 1, 0, 0],
        "a = red": [1, 0, 0, 1],
        "a (missing)": [0, 0, 1, 0],
    }
    assert notes == ("Each category gets a column of its own: a (2).",)


def test_whole_numbers_that_are_declared_categories_are_categories() -> None:
    encoded, _ = column([3, 1, 3, 1], dtype="category")
    assert list(encoded) == ["a = 1", "a = 3"]


def test_rare_ones_of_many_categories_share_a_column_with_unknown_ones() -> None:
    values = [f"city {i}" for i in range(50) for _ in range(60 - i)]
    rows = pd.DataFrame({"a": values})
    encoding, notes = fit(rows, "data")
    assert len(names(encoding)) == MOST_CATEGORIES + 1
    x = encode(pd.DataFrame({"a": ["city 0", "city 49", "never seen", None]}), encoding)
    assert x[:, -1].tolist() == [0, 1, 1, 0]
    assert x.sum(axis=1).tolist() == [1, 1, 1, 0]
    assert notes == ("Each category gets a column of its own: a (32 of 50, the rarer ones together).",)


def test_an_unknown_category_is_none_of_the_known_ones() -> None:
    encoding, _ = fit(pd.DataFrame({"a": ["red", "blue", "red"]}), "data")
    assert encode(pd.DataFrame({"a": ["green"]}), encoding).tolist() == [[0, 0]]


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", None])
def test_dates_are_days_and_the_parts_that_come_again(form: str | None) -> None:
    dates = pd.Series(pd.to_datetime(["2024-12-30", "2025-01-05", "2024-12-31"]))
    encoded, _ = column(list(dates.dt.strftime(form)) if form else list(dates))
    months, days, weekdays = (2 * np.pi * np.array(turn) for turn in ([11 / 12, 0, 11 / 12],
        [364 / 366, 4 / 365, 365 / 366], [0, 6 / 7, 1 / 7]))  # fmt: skip
    turns = {
        (part, side): of(turn).tolist()
        for part, turn in (("month", months), ("day of year", days), ("weekday", weekdays))
        for side, of in (("sine", np.sin), ("cosine", np.cos))
    }
    assert {name: x.tolist() for name, x in encoded.items()} == {
        "a (days)": [0, 6, 1],
        **{f"a ({part}, {side})": pytest.approx(values, abs=1e-6) for (part, side), values in turns.items()},
    }


def test_times_of_dates_come_again_and_a_missing_date_is_the_median_and_marked() -> None:
    encoded, _ = column(["1969-07-20T06:30:00", None, "1969-07-22T18:00:00Z", "1969-07-21T12:00:00"])
    hours = 2 * np.pi * np.array([6.5, 12, 18, 12]) / 24
    np.testing.assert_allclose(encoded["a (hour, sine)"], np.sin(hours), atol=1e-6)
    np.testing.assert_allclose(encoded["a (hour, cosine)"], np.cos(hours), atol=1e-6)
    weekdays = 2 * np.pi * np.array([6, 0, 1, 0]) / 7
    np.testing.assert_allclose(encoded["a (weekday, sine)"], np.sin(weekdays), atol=1e-6)
    assert encoded["a (missing)"].tolist() == [0, 1, 0, 0]


def test_empty_columns_and_texts_that_all_differ_are_left_out_and_noted() -> None:
    rows = pd.DataFrame({"id": ["u1", "u2", "u3"], "void": [None, "", " "], "n": [1, 2, 3]})
    encoding, notes = fit(rows, "data")
    assert names(encoding) == ("n",)
    assert notes == (
        "Columns without a value in training are left out: void.",
        'Columns of text that differs in every row are left out: id; kind = "category" under '
        "[data.columns.<name>] keeps one.",
    )
    kept, _ = fit(rows, "data", Options(columns={"id": ColumnSpec(kind="category")}))
    assert names(kept) == ("id = u1", "id = u2", "id = u3", "n")


def test_nothing_left_to_learn_from_is_refused() -> None:
    with pytest.raises(DataError, match=r"data: no column is left to learn from; .* left out: a"):
        fit(pd.DataFrame({"a": ["x", "y", "z"]}), "data")


def test_too_many_encoded_columns_are_refused() -> None:
    cities = [str(f"city {i % 32}") for i in range(64)]
    rows = pd.DataFrame({f"c{i}": cities for i in range(320)})
    with pytest.raises(DataError, match=r"data: 10240 encoded columns .* drop = "):
        fit(rows, "data")


def test_missing_columns_of_new_rows_are_named() -> None:
    encoding, _ = fit(pd.DataFrame({"a": [1, 2], "b": [3, 4], "c": [5, 6]}), "data")
    with pytest.raises(DataError, match="rows: columns are missing: a, c; found: b, z"):
        encode(pd.DataFrame({"b": [1], "z": [2]}), encoding)


def test_new_rows_may_come_in_any_order_of_columns_or_as_an_array() -> None:
    encoding, _ = fit(pd.DataFrame({"a": [1, 2], "b": ["x", "x"]}), "data")
    expected = [[7, 1]]
    assert encode(pd.DataFrame({"b": ["x"], "z": [0], "a": [7]}), encoding).tolist() == expected
    assert encode(np.array([[7, "x"]], dtype=object), encoding).tolist() == expected
    with pytest.raises(DataError, match=r"rows: have shape \(1, 3\)"):
        encode(np.zeros((1, 3)), encoding)


def test_without_an_encoding_numbers_stay_and_anything_else_is_refused() -> None:
    frame = pd.DataFrame({"b": [2.0], "a": [1.0]})
    assert encode(frame, {}, ("a", "b")).tolist() == [[1, 2]]
    assert encode(np.ones((2, 1, 3, 3)), {}).shape == (2, 1, 3, 3)
    with pytest.raises(DataError, match="columns are missing: c"):
        encode(frame, {}, ("a", "c"))
    with pytest.raises(DataError, match="text or objects"):
        encode(np.array([["x"]]), {})
    with pytest.raises(DataError, match="NaN or infinite"):
        encode(np.array([[np.nan]]), {})
    with pytest.raises(DataError, match=r"give \(N, 2\)"):
        encode(np.zeros((3, 5)), {}, ("a", "b"))


def test_models_of_before_notations_were_kept_are_applied_as_they_were() -> None:
    encoding = {
        "columns": [
            {"name": "n", "kind": "number", "fill": 2.0, "missing": True},
            {
                "name": "d",
                "kind": "date",
                "format": "%d.%m.%Y",
                "origin_s": 86_400.0,
                "fill_s": 86_400.0,
                "hours": False,
                "missing": False,
            },
            {"name": "c", "kind": "category", "categories": ["Red", "red"], "other": True, "missing": True},
        ]
    }
    rows = pd.DataFrame(
        {"n": ["1.5", "n.v.", None], "d": ["4.1.1970", "x", "2.1.1970"], "c": ["red", "NA", ""]}
    )
    assert encode(rows, encoding).tolist() == [
        [1.5, 0, 2, 1, 6, 0, 1, 0, 0],
        [2.0, 1, 0, 1, 4, 0, 0, 1, 0],
        [2.0, 1, 0, 1, 4, 0, 0, 0, 1],
    ]


def test_models_of_before_dates_were_periodic_are_applied_as_they_were() -> None:
    common = {"missing": False, "fill": 0.0}
    encoding = {
        "columns": [
            {
                "name": "d",
                "kind": "date",
                "first": "dmy",
                "origin_s": 0.0,
                "fill_s": 0.0,
                "hours": True,
                **common,
            },
            {"name": "t", "kind": "time", **common},
        ]
    }
    rows = pd.DataFrame({"d": ["4.2.1970 06:30"], "t": ["14:30"]})
    assert names(encoding) == ("d (days)", "d (month)", "d (weekday)", "d (hour)", "t (hours)")
    np.testing.assert_allclose(encode(rows, encoding), [[34 + 6.5 / 24, 2, 2, 6.5, 14.5]], rtol=1e-6)


def test_times_of_day_come_again_and_durations_do_not() -> None:
    day, _ = column(["06:00", "18:00", "00:00", "06:00"])
    assert list(day) == ["a (hours)", "a (hour, sine)", "a (hour, cosine)"]
    assert day["a (hours)"].tolist() == [6, 18, 0, 6]
    np.testing.assert_allclose(day["a (hour, sine)"], [1, -1, 0, 1], atol=1e-6)
    long, _ = column(["06:00", "30:00", "00:00", "06:00"])
    assert list(long) == ["a (hours)"]


def test_free_text_becomes_words_and_new_rows_are_read_the_same_way() -> None:
    texts = [
        f"The refund was late again, order {i}" if i % 2 else f"A great thing, number {i}" for i in range(40)
    ]
    encoding, notes = fit(pd.DataFrame({"a": [*texts, None, None]}), "data")
    json.dumps(encoding)
    found = names(encoding)
    assert found[0] == "a (words)"
    assert {"a: refund", "a: great", "a (missing)"} <= set(found)
    assert notes[0].startswith("Free text becomes words")
    assert "(10 of 50 words)" in notes[0]
    x = encode(pd.DataFrame({"a": ["REFUND! refund?", "nothing known", None, 7]}), encoding)
    at = {name: i for i, name in enumerate(found)}
    assert x[:, at["a (words)"]].tolist() == [2, 2, 0, 1]
    assert x[:, at["a: refund"]].tolist() == [1, 0, 0, 0]
    assert x[:, at["a (missing)"]].tolist() == [0, 0, 1, 0]
    assert x.sum() == 7


def test_free_text_without_a_common_word_is_left_out() -> None:
    texts = [" ".join(f"w{4 * i + k}" for k in range(4)) for i in range(30)]
    encoding, notes = fit(pd.DataFrame({"a": texts, "n": range(0, 60, 2)}), "data")
    assert names(encoding) == ("n",)
    assert notes[0] == "Columns of free text are left out, as no word of theirs tells several rows apart: a."


def test_new_rows_may_spell_a_category_in_another_way() -> None:
    encoding, notes = fit(pd.DataFrame({"a": ["yes", "YES ", "maybe", "yes", "no"]}), "data")
    assert names(encoding) == ("a = maybe", "a = no", "a = yes")
    assert encode(pd.DataFrame({"a": [" Maybe", "NO", "Yes", "n/a"]}), encoding).tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [0, 0, 0],
    ]
    assert notes[0] == "Categories that differ in case or blanks only are one: a ('yes' = 'YES')."


def test_truth_values_of_a_type_are_read_as_their_words_were() -> None:
    encoding, _ = fit(pd.DataFrame({"a": ["yes", "no", "Yes", "no"]}), "data")
    for values in ([True, False], ["Yes", "NO"], [1, 0], pd.array([True, False], dtype="boolean")):
        assert encode(pd.DataFrame({"a": values}), encoding).tolist() == [[1], [0]]


def test_what_a_study_says_of_a_column_is_kept_with_the_encoding() -> None:
    columns = {
        "size": ColumnSpec(kind="ordinal", order=("S", "M", "L"), fill="most frequent"),
        "temp": ColumnSpec(missing=(-9, "broken"), fill="mean"),
        "land": ColumnSpec(missing=()),
    }
    rows = pd.DataFrame(
        {
            "size": ["s", "L", "M", "L", "huge"],
            "temp": ["1", "-9", "broken", "3", "8"],
            "land": ["NA", "EU", "", "EU", "NA"],
        }
    )
    encoding, notes = fit(rows, "data", Options(columns=columns))
    stored = json.loads(json.dumps(encoding))
    encoded = dict(zip(names(stored), encode(rows, stored).T.tolist(), strict=True))
    assert encoded["size"] == [1, 3, 2, 3, 3]
    assert encoded["size (missing)"] == [0, 0, 0, 0, 1]
    assert encoded["temp"] == [1, 4, 4, 3, 8]
    assert encoded["land = NA"] == [1, 0, 0, 0, 1]
    assert "Values that `order` does not name count as missing: size ('huge' and the like, 1 rows)." in notes
    new = pd.DataFrame({"size": ["m"], "temp": ["-9.0"], "land": ["na"]})
    assert encode(new, stored).tolist() == [[2, 0, 4, 1, 0, 1, 0]]


@given(
    st.lists(
        st.one_of(st.none(), st.text("1a \t\n\x1f\x85\xa0\u3000é~!", max_size=4)), min_size=1, max_size=9
    )
)
def test_blanks_are_taken_away_whether_or_not_a_column_can_have_any(texts: list[str | None]) -> None:
    cells = Cells(pd.Series(texts, dtype="str"))
    assert cells.texts.to_pylist() == [(text or "").strip() or None for text in texts]


def test_many_rows_are_encoded_as_each_alone() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"n": rng.normal(size=5000), "c": rng.choice(["a", "b", "c"], 5000)})
    encoding, _ = fit(rows, "data")
    x = encode(rows, encoding)
    expected = np.column_stack((rows.n.to_numpy(), *(rows.c == each for each in "abc")))
    np.testing.assert_array_equal(x, expected.astype(np.float32))


@pytest.mark.parametrize(
    "cells",
    [
        [-1, "N", None, None],
        [1.5, 2.5, "N", 3.5, 4, 5],
        [1.5, 2.5, 3.5, 4, 5, 6, 7, 8, 9] * 3 + ["abc"],
        [2, 3] * 10 + ["yes", "no"],
        [1, 0, "n", 1, 0, "y"],
        ["a", "b"] * 10 + [3],
        [-1, 0, 1] * 5 + ["true"],
    ],
)
def test_numbers_and_texts_in_one_column_are_read_as_if_all_were_text(cells: list[Any]) -> None:
    written = [None if cell is None else str(cell) for cell in cells]
    tables = [
        fit(pd.DataFrame({"a": pd.Series(values, dtype=dtype), "b": range(len(cells))}), "data")[0]
        for values, dtype in ((cells, object), (written, "str"))
    ]
    assert tables[0] == tables[1]


def test_a_number_that_is_no_truth_value_is_missing_beside_words_for_them() -> None:
    encoding, _ = fit(pd.DataFrame({"a": ["y", "n", "y", "n"], "b": range(4)}), "data")
    x = encode(pd.DataFrame({"a": pd.Series([1, -1, "y"], dtype=object), "b": [0, 0, 0]}), encoding)
    np.testing.assert_array_equal(x[:, 0], [1, 0.5, 1])
