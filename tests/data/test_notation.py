from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.data import encoding, notation
from tuner.data.cells import TEXT
from tuner.data.notation import PLAIN, Notation, Written
from tuner.data.options import Options
from tuner.data.reading import read_columns

MARKS = [".", ","]
GROUPS = ["", " ", "\u00a0", "\u202f", "\u2009", "'", "\u2019", ".", ","]
MINUS: list[Callable[[str], str]] = [
    lambda text: f"-{text}",
    lambda text: f"\u2212{text}",
    lambda text: f"({text})",
    lambda text: f"{text}-",
    lambda text: f"- {text}",
]
AROUND: list[tuple[Callable[[str], str], float]] = [
    (lambda text: text, 1),
    (lambda text: f" {text} ", 1),
    (lambda text: f"${text}", 1),
    (lambda text: f"{text} \u20ac", 1),
    (lambda text: f"CHF {text}", 1),
    (lambda text: f"{text} kg", 1),
    (lambda text: f"{text} Tage", 1),
    (lambda text: f"{text} %", 100),
    (lambda text: f'"{text}"', 1),
    (lambda text: f"={chr(34)}{text}{chr(34)}", 1),
]
HUNDREDTHS = st.integers(-(10**11), 10**11)


def written(hundredths: int, decimal: str, group: str) -> str:
    """A number without its sign."""
    whole, rest = divmod(abs(hundredths), 100)
    digits = f"{whole:,}".replace(",", group)
    return f"{digits}{decimal}{rest:02d}" if rest else digits


@st.composite
def columns(draw: st.DrawFn) -> tuple[list[int], list[str], float]:
    """Hundredths, how a column writes them, and by what its numbers are divided."""
    decimal = draw(st.sampled_from(MARKS))
    group = draw(st.sampled_from([mark for mark in GROUPS if mark != decimal]))
    minus, (around, divisor) = draw(st.sampled_from(MINUS)), draw(st.sampled_from(AROUND))
    # One number that has one meaning only, as a column of such as 1.234 alone could mean two things.
    values = [*draw(st.lists(HUNDREDTHS, min_size=7, max_size=7)), 123450]
    texts = [around(minus(text) if v < 0 else text) for v in values if (text := written(v, decimal, group))]
    return values, texts, divisor


@settings(deadline=None, max_examples=100)
@given(st.lists(columns(), min_size=1, max_size=5))
def test_a_table_that_is_written_in_any_notation_is_read_back_equal(
    drawn: list[tuple[list[int], list[str], float]],
) -> None:
    frame = pd.DataFrame({f"c{i}": pd.Series(texts, dtype="str") for i, (_, texts, _) in enumerate(drawn)})
    for reading, (values, _, divisor) in zip(read_columns(frame, Options()), drawn, strict=True):
        assert reading.kind == "number"
        expected = np.array([value / 100 for value in values]) / divisor
        np.testing.assert_array_equal(reading.values, expected)


@settings(deadline=None)
@given(columns())
def test_what_is_encoded_is_what_was_written_and_each_row_is_read_by_itself(
    drawn: tuple[list[int], list[str], float],
) -> None:
    values, texts, divisor = drawn
    frame = pd.DataFrame({"v": pd.Series(texts, dtype="str"), "w": range(0, 16, 2)})
    how, _ = encoding.fit(frame, "data")
    whole = encoding.encode(frame, how)
    np.testing.assert_array_equal(whole[:, 0], np.float32(np.array(values) / 100 / divisor))
    for i in range(len(frame)):
        np.testing.assert_array_equal(encoding.encode(frame[i : i + 1], how)[0], whole[i])


PLAINLY = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(["1.", ".5", "+3", "1e5", "007", "-0"]),
)


@settings(deadline=None)
@given(st.lists(PLAINLY, min_size=1, max_size=20))
def test_the_short_cut_for_plain_numbers_gives_what_the_long_way_gives(texts: list[str]) -> None:
    array = pa.array([*texts, None], TEXT)
    short, long = notation.whole(array), Written(array).numbers(PLAIN)
    assert short is not None
    np.testing.assert_array_equal(short, long)
    np.testing.assert_array_equal(short[:-1], [float(text) for text in texts])


@settings(deadline=None)
@given(st.lists(st.text(max_size=8), max_size=20), st.sampled_from(MARKS))
def test_any_text_can_be_looked_at(texts: list[str], decimal: str) -> None:
    array = pa.array([text.encode(errors="replace").decode() for text in texts], TEXT)
    how = Notation(decimal, "." if decimal == "," else ",")
    values = notation.numbers(array, how)
    alone = [notation.numbers(array[i : i + 1], how)[0] for i in range(len(array))]
    np.testing.assert_array_equal(values, np.array(alone, np.float64))
