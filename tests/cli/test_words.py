from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tuner.cli import words

anything = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60)


@given(anything, st.integers(1, 30))
@example([-1e308, 1.7e308], 2)
def test_a_sparkline_draws_any_curve_within_its_width(curve: list[float], width: int) -> None:
    low, high = words.span(curve)
    line = words.sparkline(curve, width, low, high)
    assert len(line) == (0 if all(map(math.isnan, curve)) else min(len(curve), width))
    assert set(line) <= {*words.BLOCKS, "!"}


def test_a_curve_that_is_not_reported_is_not_drawn() -> None:
    assert words.sparkline([math.nan] * 5, 8, 0.0, 1.0) == ""


def test_a_falling_curve_falls_from_the_highest_block_to_the_lowest() -> None:
    curve = [2.0**-i for i in range(8)]
    assert words.sparkline(curve, 8, *words.span(curve)) == words.BLOCKS[::-1]


def test_a_long_curve_ends_with_its_last_value() -> None:
    curve = [1.0] * 99 + [100.0]
    assert words.sparkline(curve, 10, 1.0, 100.0) == words.BLOCKS[0] * 9 + words.BLOCKS[-1]


def test_what_is_not_finite_is_marked_and_does_not_stretch_the_scale() -> None:
    curve = [1.0, math.inf, 2.0, math.nan]
    assert words.span(curve) == (1.0, 2.0)
    assert words.sparkline(curve, 9, *words.span(curve)) == f"{words.BLOCKS[0]}!{words.BLOCKS[-1]}!"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (61, "1:01"), (12345, "3:25:45")]
)
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert words.clock(seconds) == text


def test_what_was_not_measured_is_a_dash() -> None:
    assert words.number(math.nan) == words.number(None) == words.setting(None) == words.ABSENT
    assert words.number(0.123456) == "0.1235"
    assert words.setting(True) == "true"


def test_a_reference_is_seen_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert words.reference(f"{tmp_path}/trainer.py:train") == "trainer.py:train"
    assert words.reference("sklearn:digits") == "sklearn:digits"
