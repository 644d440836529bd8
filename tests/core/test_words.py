from __future__ import annotations

import math

import pytest

from tuner.core import words


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, "0.0 s"),
        (0.0236, "24 ms"),
        (0.1, "0.1 s"),
        (9.9, "9.9 s"),
        (9.96, "10 s"),
        (99, "99 s"),
        (720, "12 min"),
        (12_300, "3 h 25 min"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float, told: str) -> None:
    assert words.duration(seconds) == told


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (720, 1020, "12 to 17 min"),
        (720, 722, "12 min"),
        (50, 130, "50 s to 2 min"),
        (720, 12_300, "12 min to 3 h 25 min"),
    ],
)
def test_spans_of_time_name_their_unit_once(low: float, high: float, told: str) -> None:
    assert words.durations(low, high) == told


def test_what_is_not_known_is_a_dash() -> None:
    absent = [words.number(None), words.number(math.nan), words.setting(None), words.duration(math.inf)]
    assert absent == [words.ABSENT] * 4


def test_lists_shares_and_counts_are_words() -> None:
    assert [words.listed(each) for each in ([], ["a"], ["a", "b", "c"])] == ["", "a", "a, b and c"]
    assert [words.percent(share) for share in (0.004, 0.25)] == ["<1 %", "25 %"]
    assert [words.count(n, "trial") for n in (1, 2000)] == ["1 trial", "2,000 trials"]
    assert words.setting(True) == "true"
    assert words.moment("2026-01-02T03:04:05+01:00") == "2026-01-02 02:04 UTC"


@pytest.mark.parametrize(
    ("value", "error", "told"),
    [
        (0.0514321, 0.0030712, "0.0514 ± 0.0031"),
        (0.0514321, 0.0099999, "0.051 ± 0.010"),
        (1234.5, 12.3, "1,234 ± 12"),
        (123456.0, 1234.0, "123,456 ± 1,200"),
        (0.5, math.nan, "0.5"),
        (0.5, 0.0, "0.5"),
        (math.nan, 0.1, words.ABSENT),
    ],
)
def test_a_value_has_the_digits_that_its_error_leaves_it(value: float, error: float, told: str) -> None:
    assert words.number(value, error) == told


def test_numbers_beside_each_other_are_told_apart() -> None:
    assert words.number(50123.0) == "50,123"
    assert words.number(50123.4) == "50,123"
    assert words.numbers(1234.5, 1234.0, -9999.7) == ["1,234.5", "1,234", "-9,999.7"]
    assert [words.number(9999.7), words.number(1234.56)] == ["10,000", "1,235"]
    assert words.setting(1234.5) == "1234"
    assert words.number(0.5012345) == "0.5012"
    assert words.number(123456789012345.0) == "123,456,789,012,345"
    assert [*words.settings([50123.0, 512, 0.5]), words.setting(2e4)] == ["50123", "512", "0.5", "20000"]
    assert words.numbers(0.12341, 0.12344, None, math.nan) == ["0.12341", "0.12344", "–", "–"]
    assert words.numbers(0.5, 0.5, 0.25) == ["0.5", "0.5", "0.25"]
    assert words.numbers(1.0 + 1e-11, 1.0, math.inf) == ["1.00000000001", "1", "inf"]
    assert words.settings([0.100001, 0.1, "a", None, True]) == ["0.100001", "0.1", "a", "–", "true"]
    assert words.numbers(0.09, 0.09 + 1e-17) == ["0.09", "0.09"], "what differs by rounding is the same"
    assert words.numbers(0.9994265586324658, 0.9994265586324659) == ["0.9994", "0.9994"]
    assert words.number(-0.0) == "0"


def test_value_that_names_something_in_a_file_is_told_without_its_folders() -> None:
    assert words.setting("/home/me/project/own.py:Signed") == "own.py:Signed"
    assert words.setting("a/b") == "a/b"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (61, "1:01"), (12345, "3:25:45")]
)
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert words.clock(seconds) == text
