from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.data import dates
from tuner.data.cells import TEXT
from tuner.data.date_forms import DAY_FIRST, MONTH_FIRST, YEAR_FIRST

MOMENTS = st.lists(st.integers(-2_000_000_000, 4_000_000_000), min_size=1, max_size=20)
FORMATS = [
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S", "%d %b %Y %H:%M:%S", "%d. %B %Y, %H:%M:%S", "%b %d, %Y %I:%M:%S %p",
    "%A, %d %B %Y %H:%M:%S", "%d-%b-%Y %H:%M:%S", "%Y%m%dT%H%M%S",
]  # fmt: skip


@settings(deadline=None)
@given(MOMENTS, st.sampled_from(FORMATS))
def test_moments_in_any_format_are_read_back_equal(moments: list[int], form: str) -> None:
    written = pd.to_datetime(pd.Series(moments), unit="s").dt.strftime(form)
    read = dates.seconds(pa.array([*written, None, "soon"], TEXT))
    np.testing.assert_array_equal(read, [*map(float, moments), np.nan, np.nan])


@settings(deadline=None)
@given(MOMENTS)
def test_the_short_cut_for_iso_dates_gives_what_the_long_way_gives(moments: list[int]) -> None:
    written = pd.to_datetime(pd.Series(moments), unit="s").dt.strftime("%Y-%m-%dT%H:%M:%S.123456")
    short = dates.seconds(pa.array(written, TEXT))
    long = dates.seconds(pa.array([*written, "1.1.1970"], TEXT))
    np.testing.assert_array_equal(short, long[:-1])


@pytest.mark.parametrize(
    "text",
    ["31.02.2023", "2023-13-01", "2023-02-29", "Room 12.3.2020", "12 foo 2023", "12.5", "1/2", "10-20", ""],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert np.isnan(dates.seconds(pa.array([text], TEXT))).all()


@pytest.mark.parametrize(
    "text",
    ["14", "14.30", "25:61", "13:00 PM", "0:30 am", "12:3", "pt", "2h 15", "-1d 2h", "5 h x", "p", "p5"],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert np.isnan(dates.hours(pa.array([text], TEXT))).all()


@pytest.mark.parametrize(
    ("texts", "first", "case"),
    [
        (["1/2/2023", "13/2/2023"], DAY_FIRST, None),
        (["1/2/2023", "1/13/2023"], MONTH_FIRST, None),
        (["45/1/12", "46/2/13"], YEAR_FIRST, None),
        (["1/2/2023", "3/4/2023"], None, "1/2/2023"),
        (["1/1/2023", "2/2/2023"], None, None),
        (["1.2.2023", "3.4.2023"], None, None),
        (["2023-01-02"], None, None),
    ],
)
def test_a_column_says_what_stands_first(texts: list[str], first: str | None, case: str | None) -> None:
    assert dates.order(pa.array(texts, TEXT)) == (first, case)
