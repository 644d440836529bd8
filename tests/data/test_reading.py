from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tuner.core.column_spec import ColumnSpec
from tuner.data.cells import Cells
from tuner.data.options import Options
from tuner.data.reading import numbers, ordering, read_column


def texts(values: list[str]) -> pd.Series[str]:
    return pd.Series(values, dtype="str")


@pytest.mark.parametrize("words_first", [True, False])
def test_numbers_that_stand_far_down_are_seen(words_first: bool) -> None:
    words, figures = ["see note"] * 3000, [f"{i},5" for i in range(4000)]
    read = read_column("a", texts(words + figures if words_first else figures + words), Options())
    assert read.kind == "number"
    assert read.values is not None
    assert np.isnan(read.values).sum() == 3000


def test_a_column_of_numbers_has_them_in_its_own_notation_or_none() -> None:
    assert numbers(texts(["1,5", "007", "3"]), "a", Options()).tolist() == [1.5, 7, 3]
    assert np.isnan(numbers(texts(["a", "b"]), "a", Options())).all()


@pytest.mark.parametrize(
    ("values", "ordered"),
    [
        (["0001", "0002", "0010"], True),
        (["27.01.2023", "28.01.2023", "1.2.2023"], True),
        (["01/27/2023", "01/28/2023", "02/01/2023"], True),
        (["1,5", "2,5", "3,75"], True),
        (["9:30", "14:30", "23:00"], True),
        (["1", "2", "soon"], False),
        (["a", "b", "c"], False),
    ],
)
def test_rows_are_ordered_by_numbers_dates_and_times(values: list[str], ordered: bool) -> None:
    read = ordering(texts(values), "t", Options(columns={"t": ColumnSpec(kind="category")}))
    order = None if read is None else read.values
    assert (order is not None and bool((np.diff(order) > 0).all())) is ordered


def test_letters_without_width_are_no_part_of_a_word_among_numbers() -> None:
    cells = Cells(pd.Series([1, "a\u200b", "a "], dtype=object))
    assert cells.labels().tolist() == ["1", "a", "a"]


@pytest.mark.parametrize(
    ("values", "found"),
    [([3, 7, None], [3.0, 7.0, np.nan]), ([True, False, None], [1.0, 0.0, np.nan])],
)
def test_categories_that_are_numbers_may_be_missing(values: list[Any], found: list[float]) -> None:
    cells = Cells(pd.Series(pd.Categorical(values, categories=values[:2])))
    np.testing.assert_array_equal(cells.numbers(), found)
    assert cells.missing.tolist() == [False, False, True]
    assert cells.labels().tolist() == [*map(str, values[:2]), None]
