from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st

from tuner.cli import sparkline

anything = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60)


@given(anything, st.integers(1, 30))
@example([-1e308, 1.7e308], 2)
def test_a_sparkline_draws_any_curve_within_its_width(curve: list[float], width: int) -> None:
    low, high = sparkline.span(curve)
    line = sparkline.sparkline(curve, width, low, high)
    assert len(line) == (0 if all(map(math.isnan, curve)) else min(len(curve), width))
    assert set(line) <= {*sparkline.BLOCKS, "!"}


def test_a_curve_that_is_not_reported_is_not_drawn() -> None:
    assert sparkline.sparkline([math.nan] * 5, 8, 0.0, 1.0) == ""


def test_a_falling_curve_falls_from_the_highest_block_to_the_lowest() -> None:
    curve = [2.0**-i for i in range(8)]
    assert sparkline.sparkline(curve, 8, *sparkline.span(curve)) == sparkline.BLOCKS[::-1]


def test_a_long_curve_ends_with_its_last_value() -> None:
    curve = [1.0] * 99 + [100.0]
    assert sparkline.sparkline(curve, 10, 1.0, 100.0) == sparkline.BLOCKS[0] * 9 + sparkline.BLOCKS[-1]


def test_what_is_not_finite_is_marked_and_does_not_stretch_the_scale() -> None:
    curve = [1.0, math.inf, 2.0, math.nan]
    assert sparkline.span(curve) == (1.0, 2.0)
    assert (
        sparkline.sparkline(curve, 9, *sparkline.span(curve))
        == f"{sparkline.BLOCKS[0]}!{sparkline.BLOCKS[-1]}!"
    )
