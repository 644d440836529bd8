from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.core.dataset import Task
from tuner.data import target, targets
from tuner.errors import DataError


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b", "a"], Task.CLASSIFICATION),
        ([True, False, True], Task.CLASSIFICATION),
        (["true", "false", "true"], Task.CLASSIFICATION),
        (pd.Series([1, 2, 1, 2]).astype("category"), Task.CLASSIFICATION),
        (pd.Series([True, False]).astype("category"), Task.CLASSIFICATION),
        ([0, 1, 2] * 2, Task.CLASSIFICATION),
        (["0", "1"] * 2, Task.CLASSIFICATION),
        ([0, 1, 2, 2], Task.REGRESSION),
        (list(range(21)) * 2, Task.REGRESSION),
        ([0.0, 1.0] * 2, Task.CLASSIFICATION),
        (["0.5", "1.5"] * 2, Task.CLASSIFICATION),
        (["0.5", "1.5", "2.5"] * 2, Task.REGRESSION),
        (["1.0", "2.0"] * 2, Task.CLASSIFICATION),
    ],
)
def test_the_task_is_seen_from_the_target_and_noted(values: Any, task: Task) -> None:
    found = target.read(pd.Series(values), None, "data")
    assert found.task is task
    assert task in found.notes[-1]


def test_the_task_that_the_study_names_wins() -> None:
    whole = pd.Series([0, 1, 2] * 2)
    assert target.read(whole, "regression", "data").task is Task.REGRESSION
    assert target.read(whole.astype(float), "classification", "data").task is Task.CLASSIFICATION


def test_classes_are_in_the_order_of_their_size_or_of_the_alphabet() -> None:
    assert target.classes(np.array(["10", "9", "-1", "9"], dtype=object)) == ("-1", "9", "10")
    assert target.classes(np.array(["b", "10", "a"], dtype=object)) == ("10", "a", "b")
    assert target.classes(np.array(["True", "False"], dtype=object)) == ("False", "True")


def test_rows_without_a_target_are_left_out_and_noted() -> None:
    found = target.read(pd.Series([1.5, None, 2.5, float("inf"), 3.5]), None, "data")
    assert found.rows.tolist() == [0, 2, 4]
    assert found.values.tolist() == [1.5, 2.5, 3.5]
    assert found.notes[0] == "2 rows without a target are left out."


@pytest.mark.parametrize(
    ("values", "asked", "told"),
    [
        (["a", "b", "c"], "regression", "3 of 3 values are not numbers, the first 'a' in row 1"),
        ([*map(str, range(30)), "n.d."], None, "1 of 31 values are not numbers, the first 'n.d.' in row 31"),
        ([5, 5, 5], None, "has one value only, '5'"),
        (["a", "a", None], None, "has one value only, 'a'"),
        ([None, None, 1.0, 2.0], None, "2 of 4 values are missing"),
        ([None, None], None, "2 of 2 values are missing"),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused(values: list[Any], asked: str | None, told: str) -> None:
    with pytest.raises(DataError) as raised:
        target.read(pd.Series(values), asked, "data")
    assert str(raised.value).startswith(f"data: target: {told}")


def test_rows_without_a_class_are_left_out_of_numbered_classes() -> None:
    classes = pd.Categorical([0, 1, None, 1, 0], categories=[0, 1, 2])
    found = target.read(pd.Series(classes, name="y"), None, "data")
    assert found.rows.tolist() == [0, 1, 3, 4]
    assert found.values.tolist() == ["0", "1", "1", "0"]


def test_one_hot_classes_are_refused_with_the_way_out() -> None:
    with pytest.raises(DataError, match=r"np\.argmax"):
        target.read(np.eye(3), "classification", "data")


WORDS = (
    "yes",
    "YES ",
    "no",
    "1",
    "1.0",
    " 01",
    "2",
    "2,0",
    "",
    "n/a",
    "None",
    "true",
    "A",
    "a",
    "Red",
    "red",
    "-1",
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=2, max_size=30), st.sampled_from([None, "classification"]))
def test_text_is_read_by_its_different_values_as_row_by_row(words: list[str], asked: str | None) -> None:
    texts = [word or None for word in words]

    def outcome(dtype: Any) -> Any:  # a column of objects is read row by row
        try:
            found = target.read(pd.Series(texts, dtype=dtype, name="y"), asked, "data")
        except DataError as error:
            return str(error)
        again = targets.again(found, pd.Series(WORDS, dtype=dtype, name="y"))
        return found.task, found.values.tolist(), found.rows.tolist(), found.notes, [str(v) for v in again]

    assert outcome("str") == outcome(object)
