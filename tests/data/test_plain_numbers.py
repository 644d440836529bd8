"""A table whose numbers are parsed at once is the one whose text is kept, in every respect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_forms import FORMS, NAMES, form
from tests.loaded import from_memory
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Dataset
from tuner.data import load, threads
from tuner.errors import DataError

PLAIN = ["0", "7", "-3", "2.5", "0.25", "1.2345", "12.50", "", "  "]
ODD = [
    "007", "00", "0.0", "1.234", "12.500", "-1.000", "1e5", "5E-1", ".5", "5.", "+5", "-0", "nan", "NaN",
    "inf", "-Infinity", "0x1F", "1e400", "1e39", "true", "N/A", "-", "?", "1,5", "1.234.567", "20240131",
    " 8", "8 ", "\t8", "１", "$5", "5 %", "x", "16777217", "9007199254740993", "0.10000000000000000555111512",
]  # fmt: skip


def outcome(read: Any) -> list[Any]:
    """All that a study sees of a dataset, or what is wrong with it."""
    try:
        data: Dataset = read()
    except DataError as error:
        return [str(error)]
    arrays = [data.train.x, data.train.y, data.validation.x, data.validation.y]
    return [data.encoding, data.features, data.notes, *(array.tobytes() for array in arrays)]


@pytest.mark.parametrize("name", NAMES)
def test_a_form_is_the_same_table_parsed_at_once_and_kept_as_text(name: str) -> None:
    spec, _ = form(name)
    assert outcome(lambda: load(spec, FORMS)) == outcome(lambda: load(spec, FORMS, resampling=True))


@st.composite
def columns(draw: st.DrawFn) -> list[str]:
    usual = draw(st.lists(st.sampled_from([*PLAIN, *ODD]), min_size=1, max_size=4))
    odd = draw(st.lists(st.sampled_from(ODD), max_size=2))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    column = chance.choice(usual, 40).tolist()
    for text in odd:
        column[chance.integers(len(column))] = text
    return list(column)


@settings(max_examples=80, deadline=None)
@given(table=st.lists(columns(), min_size=1, max_size=4), seed=st.integers(0, 3), many=st.booleans())
def test_any_table_is_the_same_parsed_at_once_and_kept_as_text(
    table: list[list[str]], seed: int, many: bool
) -> None:
    frame = pd.DataFrame({f"c{i}": pd.Series(column, dtype="str") for i, column in enumerate(table)})
    frame["y"] = [f"{i % 2}" for i in range(len(frame))]
    spec = DataSpec(source="memory", target="y", seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "_MANY", 0 if many else 1000)
        at_once = outcome(lambda: from_memory(frame, spec))
    assert at_once == outcome(lambda: from_memory(frame, spec, resampling=True))
    assert list(frame) == [*(f"c{i}" for i in range(len(table))), "y"]


def test_a_test_row_says_nothing_of_how_numbers_are_parsed(tmp_path: Path) -> None:
    """Whatever stands in the locked rows, the others are read as they were."""
    spec = DataSpec(source="a.csv", target="y")
    plain = pd.DataFrame({"v": [f"{i}.5" for i in range(100)], "y": ["a", "b"] * 50})
    seen = []
    for text in ("8.5", "007", "1.234", "x"):
        frame = plain.copy()
        test = _test_rows(plain, spec)
        frame.loc[test, "v"] = text
        frame.to_csv(tmp_path / "a.csv", index=False)
        seen.append(outcome(lambda: load(spec, tmp_path)))
    assert all(each == seen[0] for each in seen)


def _test_rows(frame: pd.DataFrame, spec: DataSpec) -> list[int]:
    """The rows that no split holds."""
    numbered = frame.assign(v=np.arange(len(frame)) + 0.5)
    data = from_memory(numbered, spec)
    held = {*data.train.x[:, 0].tolist(), *data.validation.x[:, 0].tolist()}
    return [i for i in range(len(frame)) if i + 0.5 not in held]
