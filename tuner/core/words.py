"""Numbers, durations and times as short text, for sentences, tables and headings."""

from __future__ import annotations

import math
import signal
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

ABSENT = "–"

DIGITS, _MOST_DIGITS = 4, 12
"""Significant digits of a number by itself, and the most that tell it from a similar one beside it: numbers
that differ only beyond these differ by rounding."""

_WHOLE = 1e15
"""Below this a whole number is exact, and is shown whole."""

METRICS = {
    "val_loss": "validation loss",
    "train_loss": "training loss",
    "val_score": "validation score",
    "train_score": "training score",
    "gap": "gap",
    "learning_rate": "learning rate",
    "grad_norm": "gradient norm",
}
"""The numbers of a reading in words; those of a user's own have none."""


def metric(name: str) -> str:
    """A reading's number as a sentence calls it."""
    return METRICS.get(name, name)


def number(value: float | None, error: float = math.nan, digits: int = DIGITS) -> str:
    """Four significant digits, no fewer than a whole number has, in groups of three; a dash for none.

    Args:
        value: the number.
        error: its standard error, which then stands behind it with two digits, ``0.0514 ± 0.0031``.
        digits: how many significant digits; see `numbers`.
    """
    if value is None or math.isnan(value):
        return ABSENT
    if not (math.isfinite(error) and error > 0 and math.isfinite(value)):
        size = abs(value)
        is_whole = size < _WHOLE and (size + 0.5 >= 10**digits or value == int(value))
        return f"{value + 0.0:,.0f}" if is_whole else f"{value:,.{digits}g}"
    places = 1 - math.floor(math.log10(float(f"{error:.1e}")))
    if not 0 <= places <= 6:
        return f"{number(value)} ± {number(float(f'{error:.1e}'))}"
    return f"{value:,.{places}f} ± {error:,.{places}f}"


def rounded(value: float) -> float:
    """A number without what differs by rounding alone."""
    return float(f"{value:.{_MOST_DIGITS}g}")


def numbers(*values: float | None, errors: Sequence[float] = ()) -> list[str]:
    """Numbers that stand in one column or row, with as many digits as tell different ones apart.

    Args:
        values: the numbers.
        errors: their standard errors, where there are any; see `number`.
    """
    known = {rounded(value) for value in values if value is not None and math.isfinite(value)}
    digits = DIGITS
    while digits < _MOST_DIGITS and len({number(value, digits=digits) for value in known}) < len(known):
        digits += 1
    each = zip(values, errors or [math.nan] * len(values), strict=True)
    return [number(value, error, digits) for value, error in each]


def settings(values: Iterable[object]) -> list[str]:
    """A parameter's values beside each other; see `setting` and `numbers`."""
    column = list(values)
    told = map(_typed, numbers(*(value for value in column if isinstance(value, float))))
    return [next(told) if isinstance(value, float) else setting(value) for value in column]


def setting(value: object, digits: int = DIGITS) -> str:
    """A parameter's value as it is typed, of a reference its name alone; a dash where it was not active."""
    if value is None or value == "":
        return ABSENT
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _typed(number(value, digits=digits))
    folder, _, name = str(value).rpartition("/")
    return name if folder and ".py:" in name else str(value)


def _typed(told: str) -> str:
    """A number as a study's file takes it."""
    return told.replace(",", "")


def duration(seconds: float) -> str:
    """``7 s``, ``12 min`` or ``3 h 25 min``; ``0.4 s`` below ten, ``23 ms`` below a tenth."""
    if not math.isfinite(seconds):
        return ABSENT
    if 0 < seconds < 0.095:
        return f"{1000 * seconds:.2g} ms"
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def durations(low: float, high: float) -> str:
    """A span of time, ``12 to 17 min`` or ``50 s to 2 min``; a single time where its ends read alike."""
    first, last = duration(low), duration(high)
    if first == last:
        return first
    same = first.count(" ") == last.count(" ") == 1 and first.split()[1] == last.split()[1]
    return f"{first.split()[0] if same else first} to {last}"


def clock(seconds: float) -> str:
    """``0:07``, ``12:34`` or ``3:25:45``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count(amount: int, noun: str) -> str:
    """``1 trial``, ``2,000 trials``."""
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {noun}s"


def moment(text: str) -> str:
    """A stored UTC time as people read it."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{read.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def percent(share: float, digits: int = 0) -> str:
    """``73 %``; ``<1 %`` where rounding to whole ones would say nothing."""
    return "<1 %" if not digits and 0 < share < 0.01 else f"{share:.{digits}%}".replace("%", " %")


def listed(items: Sequence[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}" if items else ""


def ending(code: int) -> str:
    """How a process ended, by its exit code; a negative one is the signal that killed it."""
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    memory = " (the system's answer to memory running out)" if name == "SIGKILL" else ""
    return f"was killed by {name}{memory}"


def article(word: str) -> str:
    """``an`` of accuracy, f1, r2, rmse, mae and mcc; ``a`` of recall, roc_auc and loss."""
    spelled = word.startswith(("f1", "r2", "rmse", "mae", "mcc"))
    return "an" if spelled or word[:1] in "aei" else "a"


def control_character(text: str) -> str | None:
    """The first control character of a text, or half of a surrogate pair; None where it has none."""
    return next((each for each in text if unicodedata.category(each) in ("Cc", "Cs")), None)
