"""Numbers as people and spreadsheets write them, read by value.

`Notation` says how a column writes its numbers; `Written` takes texts apart once and reads them in any one.
What surrounds the digits (signs, currencies, units) has few shapes, however many values there are, so each
shape is understood once. Numbers that are all written plainly take a short cut, which gives the same.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tuner.data.number_forms import (
    AROUND,
    BETWEEN,
    DASHED,
    FOREIGN,
    MINUS,
    QUOTED,
    TOKEN,
    WORD,
    WORDS,
    Shape,
    body_of,
    family_of,
    in_ascii,
    is_money,
    other_mark,
    stem,
)
from tuner.data.words import SCALES

_MOST_SHAPES = 200
_HEAD = 100
_NUMBER = re.compile(AROUND % TOKEN)


@dataclass(frozen=True)
class Notation:
    """How a column writes its numbers.

    Attributes:
        decimal: the decimal mark, dot or comma.
        thousands: the other one of them, where it separates thousands; else empty. Spaces and apostrophes
            may separate them in any notation.
        unit: what may stand behind a number, beside percent signs, currencies, thousands and millions.
        marks: whether numbers count that have a sign of a bound or a footnote: <0.01, 4+, 5.2*.
        mixed: whether numbers count, too, that can only have the other decimal mark.
    """

    decimal: str = "."
    thousands: str = ","
    unit: str = ""
    marks: bool = False
    mixed: bool = False


PLAIN = Notation()


def whole(texts: Any, notation: Notation = PLAIN) -> NDArray[np.float64] | None:
    """All of these as numbers, where each is written plainly; else None. Null is NaN; (N,)."""
    if notation.decimal == "," and bool(pc.any(pc.match_substring(texts, ".")).as_py()):
        return None
    try:
        if len(texts) > 10 * _HEAD:
            _floats(texts[:_HEAD])  # what is no number is seldom first met far down
        return _floats(texts)
    except pa.ArrowInvalid:
        return None


def numbers(texts: Any, notation: Notation = PLAIN) -> NDArray[np.float64]:
    """Each of these texts as a number; NaN of what is none in this notation; (N,)."""
    read = whole(texts, notation)
    return Written(texts).numbers(notation) if read is None else read


def could_be(texts: list[str]) -> bool:
    """Whether enough of a sample of texts look like numbers that it is worth reading the others."""
    array = pa.array(texts, pa.large_string())
    if not any(_NUMBER.match(text) for text in bare(array).to_pylist()):
        return False
    return Written(array).count >= 0.2 * len(texts)


class Written:
    """Texts, some of which are numbers, taken apart.

    Args:
        texts: an Arrow array of text; null where there is nothing.
    """

    def __init__(self, texts: Any) -> None:
        plain = bare(pc.fill_null(texts, ""))
        self._fits = matches(plain, AROUND % TOKEN)
        self._words = _truths(plain)
        plain = plain.filter(pa.array(self._fits))
        coded = pc.dictionary_encode(pc.replace_substring_regex(plain, TOKEN, "0"))
        self._shapes = [Shape.of(text) for text in coded.dictionary.to_pylist()[:_MOST_SHAPES]]
        self._shape = coded.indices.to_numpy(zero_copy_only=False)
        if len(coded.dictionary) > _MOST_SHAPES:
            known = self._shape < _MOST_SHAPES
            self._fits[self._fits] = known
            self._shape, plain = self._shape[known], plain.filter(pa.array(known))
        self._body = self._bodies(plain)

    def numbers(self, notation: Notation) -> NDArray[np.float64]:
        """Every text as a number in this notation; NaN elsewhere; (N,)."""
        if notation.mixed:
            other = replace(
                notation, decimal=other_mark(notation.decimal), thousands=notation.decimal, mixed=False
            )
            values = self.numbers(replace(notation, mixed=False))
            return np.where(np.isnan(values), self.numbers(other), values)
        counts = [notation.marks or not shape.mark for shape in self._shapes]
        factors = [
            shape.factor(notation.unit) if c else np.nan
            for shape, c in zip(self._shapes, counts, strict=True)
        ]
        factors = np.array(factors)[self._shape]
        fits = matches(self._body, body_of(notation.decimal, notation.thousands)) & ~np.isnan(factors)
        factors = factors[fits]
        digits = replaced(self._body.filter(pa.array(fits)), f"[{BETWEEN}{other_mark(notation.decimal)}]", "")
        if notation.decimal == ",":
            digits = pc.replace_substring(digits, ",", ".")
        sizes = _floats(replaced(digits, f"[{MINUS}]", "-"))
        # 44 / 100 is the float that 0.44 is; 44 * 0.01 is not always.
        shares = np.abs(factors) < 1
        sizes = np.where(shares, sizes / np.round(1 / np.where(shares, factors, 1.0)), sizes * factors)
        found = np.full(len(fits), np.nan)
        found[fits] = sizes
        values = self._words.copy()
        values[self._fits] = found
        return values

    @property
    def count(self) -> int:
        """How many texts are numbers in either notation."""
        return int((self._is_number["."] | self._is_number[","]).sum())

    def votes(self) -> tuple[int, int]:
        """How many texts are numbers with a decimal dot only, and how many with a decimal comma only."""
        dot, comma = self._is_number["."], self._is_number[","]
        return int((dot & ~comma).sum()), int((comma & ~dot).sum())

    @property
    def open_case(self) -> int | None:
        """A row with a number of two meanings, such as 1.234; None where there is none."""
        both = self._is_number["."] & self._is_number[","] & matches(self._body, r"[.,]\d")
        return int(np.flatnonzero(self._fits)[int(np.argmax(both))]) if both.any() else None

    def unit(self) -> str:
        """What stands behind most numbers; empty where that is nothing, a currency, or a factor."""
        found: Counter[str] = Counter()
        for shape, size in zip(self._shapes, np.bincount(self._shape, minlength=1).tolist(), strict=False):
            if np.isnan(shape.factor("")):
                found[stem(shape.unit)] += size
        for unit, _ in found.most_common():
            alike = [other for other in found if other == unit or other in family_of(unit)]
            if sum(found[other] for other in alike) > len(self._shape) / 2:
                return unit
        return ""

    @property
    def marked(self) -> NDArray[np.bool_]:
        """Where a number has the sign of a bound or a footnote; (N,)."""
        found = np.zeros(len(self._fits), bool)
        found[self._fits] = np.array([bool(shape.mark) for shape in self._shapes], bool)[self._shape]
        return found

    def has_marks(self) -> bool:
        """Whether all have the same mark, or more different ones have none: <18 and 65+ are groups."""
        marked = self.marked[self._fits]
        kinds = [len(pc.unique(self._body.filter(pa.array(where)))) for where in (marked, ~marked)]
        return 0 < kinds[0] < kinds[1] or (not kinds[1] and len({shape.mark for shape in self._shapes}) == 1)

    def currencies(self) -> list[str]:
        """The currencies that stand beside numbers."""
        return sorted(
            {word for shape in self._shapes for word in (shape.money, shape.unit) if is_money(word)}
        )

    def has_percent(self) -> bool:
        """Whether any number is a percentage."""
        return any(abs(shape.factor("")) == SCALES["%"] for shape in self._shapes)

    @cached_property
    def _is_number(self) -> dict[str, NDArray[np.bool_]]:
        return {mark: matches(self._body, body_of(mark, other_mark(mark))) for mark in ".,"}

    def _bodies(self, bare: Any) -> Any:
        """The digits and what stands between them, without what surrounds them."""
        edges = [(shape.before, shape.after) for shape in self._shapes]
        places, parts = [], []
        for edge in dict.fromkeys(edges):
            wanted = np.isin(self._shape, [i for i, other in enumerate(edges) if other == edge])
            places.append(np.flatnonzero(wanted))
            part = bare if wanted.all() else bare.filter(pa.array(wanted))
            parts.append(pc.utf8_slice_codeunits(part, edge[0], -edge[1] or None))
        if len(parts) < 2:
            return parts[0] if parts else bare
        return pa.concat_arrays(parts).take(pa.array(np.argsort(np.concatenate(places))))


def bare(texts: Any) -> Any:
    """Texts without quotes around them, with the digits of ASCII, and 12,- as 12."""
    is_ascii = bool(pc.all(pc.string_is_ascii(texts)).as_py())
    if not is_ascii and bool(pc.any(pc.match_substring_regex(texts, FOREIGN)).as_py()):
        texts = pa.array([in_ascii(text) for text in texts.to_pylist()], texts.type)
    if bool(pc.any(pc.match_substring_regex(texts, "[\"']")).as_py()):
        texts = pc.replace_substring_regex(pc.utf8_trim_whitespace(texts), QUOTED, r"\1\2\3")
    return replaced(texts, DASHED, r"\1")


def _truths(texts: Any) -> NDArray[np.float64]:
    """1 for true, 0 for false, infinities; NaN elsewhere; (N,)."""
    values = np.full(len(texts), np.nan)
    for i in np.flatnonzero(matches(texts, WORD)).tolist():
        values[i] = WORDS.get(str(texts[i].as_py()).strip().lower(), np.inf)
    return values


def replaced(texts: Any, pattern: str, instead: str) -> Any:
    """With this pattern replaced, where there is any: looking is much cheaper than replacing."""
    found = bool(pc.any(pc.match_substring_regex(texts, pattern)).as_py())
    return pc.replace_substring_regex(texts, pattern, instead) if found else texts


def _floats(texts: Any) -> NDArray[np.float64]:
    return np.asarray(pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def matches(texts: Any, pattern: str) -> NDArray[np.bool_]:
    """Which texts of an Arrow array a regular expression matches; (N,)."""
    return np.array(pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False), bool)
