from __future__ import annotations

import pytest

from tuner.judging.overtuning import Step, overtuning


@pytest.mark.parametrize(
    ("tests", "lost", "relative"),
    [
        ([0.5, 0.3, 0.2], 0.0, 0.0),
        ([0.5, 0.2, 0.3], 0.1, 1 / 3),
        ([0.5, 0.2, 0.6], 0.4, 4 / 3),
        ([0.5, 0.6], 0.1, None),
        ([0.5], 0.0, 0.0),
    ],
)
def test_overtuning_is_what_the_last_incumbent_lost(
    tests: list[float], lost: float, relative: float | None
) -> None:
    found = overtuning([Step(i, 1.0 - i, test) for i, test in enumerate(tests)], minimize=True)
    assert found.overtuning == pytest.approx(lost)
    assert found.relative == (None if relative is None else pytest.approx(relative))


def test_where_more_is_better_the_sign_turns() -> None:
    found = overtuning([Step(0, 0.5, 0.5), Step(1, 0.8, 0.9), Step(2, 0.9, 0.8)], minimize=False)
    assert found.overtuning == pytest.approx(0.1)
    assert found.relative == pytest.approx(0.25)
