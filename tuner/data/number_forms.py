"""The shapes of numbers as people write them: what may surround the digits, and what it means.

Without Arrow, so that predict.py can have it, too: this module becomes a part of it, see `predict_json`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuner.data.words import CURRENCIES, FAMILIES, INVISIBLE, SCALES

SPACES = " \u00a0\u2009\u202f\u2007"
"""Blanks that separate thousands: also no-break, thin and figure space."""

QUOTES = "'\u2019\u00b4`_"
"""Apostrophes, as in Switzerland, and the underscore, which separate thousands."""

MINUS = "\\-\u2212\u2013\u2012\u2010\u2011\ufe63\uff0d"
BETWEEN = re.escape(SPACES + QUOTES)
TOKEN = rf"\d(?:[\d.,{BETWEEN}]*\d)?[.,]?(?:[eE][+{MINUS}]?\d+)?"
_SIGNS = (
    "$\u00a2-\u00a5\u058f\u060b\u09f2\u09f3\u0e3f\u17db\u20a0-\u20c0"
    "\ufdfc\ufe69\uff04\uffe0\uffe1\uffe5\uffe6"
)
_CURRENCY = (
    rf"(?:[a-z]{{0,3}}[{_SIGNS}]|" + "|".join(map(re.escape, sorted(CURRENCIES, key=len, reverse=True))) + ")"
)
_BOUND = "[<>~\u2248\u2264\u2265]=?" + r"|(?:ca|circa|approx|about|etwa|rund)\b\.?"
_MARK = "[+*\u2020\u2021\u00a7]+" + r"|\[\w{1,2}\]"
_UNIT = rf"[^\d\s.,()'\"{MINUS}](?:[^\d()\"]{{0,18}}[^\d()\"\s{MINUS}])?"
AROUND = (
    rf"(?i)^\s*(?P<bound>{_BOUND})?\s*(?P<front>{_CURRENCY})?\s*(?P<open>\()?\s*(?P<sign>[+{MINUS}])?\s*(?P<currency>{_CURRENCY})?\s*"
    rf"(?P<second>[+{MINUS}])?\s*(?P<lead>[.,])?%s\s*(?P<mark>{_MARK})?\s*(?:(?P<early>[{MINUS}])\s+)?(?P<unit>{_UNIT})?\s*(?P<behind>[{MINUS}])?\s*"
    rf"(?:(?P<close>\))\s*(?P<last>{_UNIT})?)?\s*$"
)
_SHAPE = re.compile(AROUND % "0")
DASHED = rf"(\d)[.,/][{MINUS}]{{1,2}}"
QUOTED = r"^=?\"(.*)\"$|^'(.*)'$|^'([^']*)$"
_GROUPS = "|".join(rf"(?:{re.escape(mark)}\d{{3}})+" for mark in SPACES + QUOTES)
WORD = r"(?i)^\s*[+-]?(?:true|false|inf|infinity)\s*$"
WORDS = {"true": 1.0, "false": 0.0, "-inf": -np.inf, "-infinity": -np.inf}
FOREIGN = "[^\\P{Nd}0-9]|[\u066b\u066c]"
_ARABIC = {"\u066b": ".", "\u066c": ","}


@dataclass(frozen=True)
class Shape:
    """What surrounds the digits of a number.

    Attributes:
        before: how many letters stand before the digits.
        after: how many stand behind them.
        is_negative: whether that makes it negative.
        unit: what stands behind.
        money: the currency before it.
        mark: the sign of a bound before it, or of a footnote behind it.
    """

    before: int
    after: int
    is_negative: bool
    unit: str
    money: str
    mark: str = ""

    @classmethod
    def of(cls, text: str) -> Shape:
        """Of a text with one 0 for all digits."""
        at = text.index("0")
        found = _SHAPE.match(text)
        if found is None or (found["open"] is None) != (found["close"] is None):
            return cls(at, len(text) - at - 1, False, "?", "")
        part = {name: (value or "").strip() for name, value in found.groupdict().items()}
        minus = any(re.fullmatch(f"[{MINUS}]", part[key]) for key in ("sign", "second", "early", "behind"))
        return cls(
            before=at - len(part["lead"]),
            after=len(text) - at - 1,
            is_negative=minus or part["open"] == "(",
            unit=" ".join(filter(None, (part["unit"], part["last"]))),
            money=part["front"] or part["currency"],
            mark=part["bound"] + part["mark"],
        )

    def factor(self, unit: str) -> float:
        """What the digits are multiplied by, where this unit may stand behind them; NaN if another does."""
        factor = {"m": 1e6, "b": 1e9}.get(self.unit.lower(), np.nan) if self.money else np.nan
        factor = _factor(self.unit, unit) if np.isnan(factor) else factor
        return -factor if self.is_negative else factor


def _factor(unit: str, shared: str) -> float:
    if not unit or is_money(unit) or (shared and stem(unit) == shared):
        return 1.0
    lower = unit.lower()
    is_spelled = len(unit) > 1 or unit in "LWB" or unit == lower  # H is no hour
    if is_spelled and shared and shared in (family := family_of(lower)) and lower in family:
        return family[lower] / family[shared]
    if unit in SCALES or (lower in SCALES and (len(unit) > 1 or unit == "K")):
        return SCALES[unit if unit in SCALES else lower]
    for end in range(1, len(unit)):  # a factor before a currency: Mio. EUR
        if is_money(unit[end:].strip()) and not np.isnan(factor := _factor(unit[:end].strip(), "")):
            return factor
    return np.nan


def family_of(unit: str) -> Mapping[str, float]:
    """The units that this one can be converted to."""
    return next((family for family in FAMILIES if unit in family), {})


def stem(unit: str) -> str:
    """The same for one and many: year and years, Tag and Tage."""
    word = unit.strip(" .").lower()
    return re.sub(r"(?:e?s|e?n|e)$" if len(word) > 3 else r"(?<=..)s$", "", word)


def is_money(word: str) -> bool:
    """Whether this is a currency, as a word or a sign."""
    signs = [unicodedata.category(letter) == "Sc" for letter in word]
    return word.lower() in CURRENCIES or (any(signs) and len(word) <= 4 and (word[0].isalpha() or signs[0]))


def word(value: Any) -> str:
    """A value as the text that names it, without blanks around it; whole numbers as ``3``, never ``3.0``."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text.strip() if text.isascii() else re.sub(INVISIBLE, "", text).strip()


def in_ascii(text: str) -> str:
    """With the digits of ASCII for those of any script."""
    return "".join(_ARABIC.get(c) or str(unicodedata.decimal(c, c)) for c in text)


def body_of(decimal: str, thousands: str) -> str:
    """A pattern of digits, and of what stands between them in a notation; no thousands before an exponent."""
    groups = _GROUPS
    if thousands in (".", ","):
        groups += rf"|(?:{re.escape(thousands)}\d{{3}})+"
    lakhs = r"|[1-9]\d?(?:,\d{2})+,\d{3}" if thousands == "," else ""
    point = re.escape(decimal)
    exponent = rf"(?:[eE][+{MINUS}]?\d+)?"
    grouped = rf"(?:[1-9]\d{{0,2}}(?:{groups}){lakhs})(?:{point}\d*)?"
    return rf"^(?:(?:\d+(?:{point}\d*)?|{point}\d+){exponent}|{grouped})$"


def other_mark(decimal: str) -> str:
    """The comma for the dot, and the dot for the comma."""
    return "," if decimal == "." else "."
