from __future__ import annotations

import pytest

from tests.figures.parts import frame, losses
from tuner import figures
from tuner.figures.room import label_length


@pytest.mark.parametrize(
    ("ends", "log", "longest"),
    [
        ((0.0, 1.0), False, "0.2"),
        ((0.24656, 0.2466), False, "0.24656"),
        ((50_000.0, 50_200.0), False, "50,000"),
        ((-2.0, 2.0), False, "-2"),
        ((1e-6, 1.0), True, "0.000001"),
        ((1.0, 20_000.0), True, "10,000"),
    ],
)
def test_the_longest_number_along_an_axis_is_known_before_it_is_drawn(
    ends: tuple[float, float], log: bool, longest: str
) -> None:
    assert label_length(*ends, log=log) >= len(longest)
    assert label_length(*ends, log=log) <= len(longest) + 2


def test_margins_leave_room_for_long_numbers_and_for_small_print() -> None:
    short, long = (
        figures.plot(figures.find("convergence"), frame(losses(*(start + n / 9 for n in range(9)))))
        for start in (1.0, 123_456.0)
    )
    assert short["layout"]["margin"]["l"] < long["layout"]["margin"]["l"]
    assert short["layout"]["margin"]["b"] == 50
    many = figures.plot(figures.find("convergence"), frame(losses(*(1 + n / 999 for n in range(999)))))
    assert many["layout"]["margin"]["b"] > 50


def test_numbers_that_are_all_the_same_stand_in_the_middle_of_their_axis() -> None:
    drawing = figures.plot(figures.find("convergence"), frame(losses(0.30530390548)))
    low, high = drawing["layout"]["yaxis"]["range"]
    assert low < 0.28 < 0.33 < high
    drawn = [y for trace in drawing["data"] for y in trace["y"] if y is not None]
    assert max(drawn) - min(drawn) < 1e-8, "a point lies on its own line"
    assert (
        "range" not in figures.plot(figures.find("convergence"), frame(losses(0.3, 0.4)))["layout"]["yaxis"]
    )
