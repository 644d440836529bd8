"""Small tables, one form each, are read right: `forms/NAME.csv`, and beside it what it says, `NAME.toml`.

Under `[data]` stand the keys of the study; under `[expected]` the kind of column `v`, its values (dates as
text, missing ones as nan) or categories, or the task, classes and values of the target `y`; what is told; or
the error.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from tuner.core.data_spec import DataSpec
from tuner.data import encoding, load, source, target, targets
from tuner.data.load import inputs, options_of
from tuner.data.reading import read_columns
from tuner.errors import DataError

FORMS = Path(__file__).parent / "forms"
NAMES = sorted(path.stem for path in FORMS.glob("*.csv"))


def form(name: str) -> tuple[DataSpec, dict[str, Any]]:
    """The study's `[data]` and what is expected."""
    table = tomllib.loads((FORMS / f"{name}.toml").read_text("utf-8"))
    return DataSpec(source=f"{name}.csv", target="y", **table.get("data", {})), table["expected"]


def numbers(values: list[Any]) -> NDArray[np.float64]:
    """What is expected as numbers, dates as seconds since 1970."""
    return np.array([_seconds(v) if isinstance(v, str) else float(v) for v in values])


def _seconds(date: str) -> float:
    return float(np.datetime64(date, "us").astype(np.int64)) / 1e6


@pytest.mark.parametrize("name", NAMES)
def test_a_table_is_read_as_it_is_meant(name: str) -> None:
    spec, expected = form(name)
    if "error" in expected:
        with pytest.raises(DataError) as raised:
            load(spec, FORMS)
        assert expected["error"] in str(raised.value)
        return
    found = source.read(spec, FORMS)
    options = options_of(found, spec)
    rows = inputs(found, found.x, spec)
    assert isinstance(rows, pd.DataFrame)
    how, told = encoding.fit(rows, name, options)
    read = targets.read(found.y, spec.task, name, options)
    notes = " ".join((*found.notes, *told, *read.notes))
    for words in expected.get("notes", []):
        assert words in notes
    for words in expected.get("not_told", []):
        assert words not in notes
    if "task" in expected:
        assert read.task == expected["task"]
        if "classes" in expected:
            assert target.classes(read.values) == tuple(expected["classes"])
        if "values" in expected:
            np.testing.assert_array_equal(read.values, numbers(expected["values"]))
        return
    tables = {table["name"]: table for table in how["columns"]}
    if expected["kind"] == "left out":
        assert "v" not in tables
        return
    assert tables["v"]["kind"] == expected["kind"]
    if "categories" in expected:
        assert tables["v"]["categories"] == expected["categories"]
    if "values" in expected:
        values = numbers(expected["values"])
        if expected["kind"] != "ordinal":
            seen = next(reading for reading in read_columns(rows, options) if reading.name == "v")
            assert seen.values is not None
            finite = np.where(np.abs(seen.values) < 1e38, seen.values, np.nan)
            np.testing.assert_allclose(finite, values, rtol=1e-12)
        encoded = dict(zip(encoding.names(how), encoding.encode(rows, how).T, strict=True))
        gone = encoded.get("v (missing)", np.zeros(len(values))).astype(bool)
        np.testing.assert_array_equal(gone, np.isnan(values))
        if expected["kind"] == "date":
            days = (values - tables["v"]["origin_s"]) / 86_400
            np.testing.assert_allclose(encoded["v (days)"][~gone], days[~gone], rtol=1e-6)
        else:
            column = encoded["v (hours)" if expected["kind"] == "time" else "v"]
            np.testing.assert_allclose(column[~gone], values[~gone], rtol=1e-6)


def test_there_are_forms_and_each_says_what_it_is() -> None:
    assert len(NAMES) >= 60
    assert {path.stem for path in FORMS.glob("*.toml")} == set(NAMES)
