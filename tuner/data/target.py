"""What is predicted: task, class indices, scaling of a regression target.

Sees the target alone, so that it is the same whichever inputs a study drops. Values are compared as such, not
as they are spelled: 007, 7 and 7.0 are one class, and so are `yes` and `YES `.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from tuner.core.dataset import Task
from tuner.data import column
from tuner.data.cells import Cells
from tuner.data.fitting import sentinels
from tuner.data.model_inputs import finite
from tuner.data.notation import PLAIN, Notation
from tuner.data.notes import listed, open_number, written
from tuner.data.number_forms import word
from tuner.data.options import Options
from tuner.data.reading import ColumnReading, read_column, truths
from tuner.data.words import BOOLEANS, MISSING, SENTINELS
from tuner.errors import DataError

MOST_CLASSES = 20
"""Whole numbers with more distinct values than this are not taken for classes by themselves."""

_LIKELY = 5
"""So many whole numbers without a gap could be amounts as well as classes."""

_TEXT = "The target holds text or categories, so the task is classification."
_LEAST_SHARE = 0.05
_STRAY_SHARE = 0.01
_SHOWN = 5
_WHOLE = re.compile(r"[+-]?\d+")
_INFINITE = ("inf", "infinity")
_WORDS = {word for pair in BOOLEANS for word in pair}
_ASKED = {"number": Task.REGRESSION, "category": Task.CLASSIFICATION, "boolean": Task.CLASSIFICATION,
          "text": Task.CLASSIFICATION, "ordinal": Task.CLASSIFICATION}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A target that was read.

    Attributes:
        values: classification: labels as text (N,); multi-label: 0 or 1, float64 (N, L); regression:
            float64 (N,) or (N, T); only of the rows in `rows`.
        rows: the rows that have a target, ascending.
        notes: how the task was seen and what was left out.
        spelling: how it is read, so that further rows are read the same.
        labels: see `Dataset.labels`.
    """

    task: Task
    values: NDArray[Any]
    rows: NDArray[np.intp]
    notes: tuple[str, ...] = ()
    spelling: Spelling = field(default_factory=lambda: Spelling())
    labels: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Spelling:
    """How a target is written.

    Attributes:
        notation: of its numbers.
        absent: what counts as missing.
        by_value: whether classes are numbers.
        true: words for true, where classes are true and false.
        false: words for false.
        names: the name of each class, by its value or its text in lower case.
    """

    notation: Notation = PLAIN
    absent: tuple[Any, ...] = ()
    by_value: bool = False
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    names: Mapping[Any, str] = field(default_factory=dict)

    def numbers(self, y: pd.Series[Any]) -> NDArray[np.float64]:
        """As numbers, words for true and false as 1 and 0; NaN of what is none; (M,)."""
        cells = Cells(y, self.absent)
        return truths(cells, self.true, self.false) if self.true else cells.numbers(self.notation)

    def labels(self, y: pd.Series[Any]) -> NDArray[np.object_]:
        """As the names of classes; (M,)."""
        codes, each = column.distinct(y)
        texts = column.text(each)
        keys = keys_of(texts, self.numbers(each) if self.by_value else None)
        named = [self.names.get(key, text) for key, text in zip(keys, texts, strict=True)]
        return np.array([*named, None], object)[codes]


def read(
    y: pd.Series[Any] | NDArray[Any], asked: str | None, where: str, options: Options | None = None
) -> Target:
    """Read a target and see the task.

    Without `asked`, text, booleans and categories are classification, and so are two different numbers; whole
    numbers are too where they have at most 20 distinct values and each stands there at least twice; all
    other numbers and several columns are regression. All rows are looked at, as the task is a property of
    the question and not something that is fitted. Rows without a target are left out. Of text only what is
    empty is missing, as `None` and `NA` may be classes; among numbers the usual words for missing are, too.

    Args:
        y: one value per row, or (N, T) numbers.
        asked: `[data] task`.
        where: what errors are prefixed with.
        options: what the study says of how columns are read.

    Raises:
        DataError: the target is constant, mostly missing, or not what the task needs.
    """
    if isinstance(y, np.ndarray):
        return _several(y, asked, where)
    name = str(y.name)
    options = options or Options()
    kind = options.asked(name).kind
    asked = asked or (_ASKED.get(kind) if kind is not None else None)
    seen = _seen(name, y, options.asking(name, None), asked, where)
    values = seen.values if seen.values is not None else np.full(len(y), np.nan)
    held = seen.cells.missing
    gone = held | seen.known.missing if seen.kind == "number" else held
    gone = gone | (~np.isnan(values) & np.isnan(finite(values)))
    if gone.mean() >= 0.5:
        raise DataError(
            f"{where}: target: {int(gone.sum())} of {len(y)} values are missing; "
            "fill them in or name another target"
        )
    rows = np.flatnonzero(~gone)
    known = y if len(rows) == len(y) else y.iloc[rows]
    decided = _task(known, seen, values[rows], asked, where)
    if len(decided.stray):
        rows = np.delete(rows, decided.stray)
        known = y.iloc[rows]
    words = types.is_bool_dtype(y.dtype) or _are_words(known)
    by_value = seen.kind == "boolean" or (seen.kind == "number" and not words)
    spelling = Spelling(seen.notation, options.absent(name), by_value, seen.true, seen.false)
    notes = [f"{int(gone.sum())} rows without a target are left out."] if gone.any() else []
    if (unsaid := gone & ~held).any() and seen.kind == "number":
        labels = seen.cells.labels()[unsaid]
        if len(told := [label for label in labels if str(label).lower().lstrip("+-") not in _INFINITE]):
            notes.append(f"Of the target, {told[0]!r} counts as missing.")
    notes += _written(seen)
    if decided.task is Task.REGRESSION:
        found: NDArray[Any] = values[rows]
    else:
        codes, each = column.distinct(known)
        numbers = spelling.numbers(each) if by_value else None
        counts = np.bincount(codes, minlength=len(each))
        as_written = asked is not None or seen.kind == "boolean"
        names, merged = _names(column.text(each), numbers, counts, as_written)
        notes += merged
        spelling = replace(spelling, names=names)
        found = spelling.labels(each)[codes]
    if odd := _doubtful(values[rows] if seen.kind == "number" else None, spelling.names):
        notes.append(
            f"The target's {' and '.join(odd)} may stand for a missing value; "
            f"missing = [{', '.join(odd)}] under [data.columns.{name}] leaves such rows out."
        )
    notes.append(decided.why)
    if len(pd.unique(found)) < 2:
        raise DataError(f"{where}: target: has one value only, '{found[0]}'; choose another target")
    return Target(decided.task, found, rows, tuple(notes), spelling)


def _doubtful(numbers: NDArray[np.float64] | None, names: Mapping[Any, str]) -> list[str]:
    """Values that may stand for a missing one, as TOML writes them."""
    if numbers is not None:
        return [f"{number:.15g}" for number in sentinels(numbers) if number in (*SENTINELS, -1)]
    found = sorted(name for name in names.values() if name.lower() in MISSING)
    return [f'"{name}"' for name in found] if len(names) > 2 else []


def classes(labels: NDArray[Any]) -> tuple[str, ...]:
    """The distinct labels: by size where all are numbers, by the alphabet otherwise."""
    found = pd.Series(labels).drop_duplicates().sort_values(ignore_index=True)
    sizes = column.numbers(found)
    return tuple(found if np.isnan(sizes).any() else found.iloc[np.argsort(sizes, kind="stable")])


def named(name: str, classes: tuple[str, ...]) -> str | None:
    """The class of this name, however it is spelled; None where there is none."""
    if name in classes:
        return name
    texts = np.array([name, *classes], dtype=object)
    numbers = column.numbers(texts)
    keys = keys_of(texts, None if np.isnan(numbers).any() else numbers)
    return next((known for known, key in zip(classes, keys[1:], strict=True) if key == keys[0]), None)


def keys_of(texts: NDArray[np.object_], values: NDArray[np.float64] | None) -> list[Any]:
    """By what classes are compared: the number, or the text without regard to blanks and case; (N,).

    The case of single letters counts, unless they stand for yes and no.
    """
    found: dict[str, str] = {}
    for text in set(texts.tolist()):
        lower = str(text).strip().casefold()
        found[text] = lower if len(lower) > 1 else str(text).strip()
    if set(map(str.lower, found.values())) <= _WORDS:
        found = {text: key.lower() for text, key in found.items()}
    keys: list[Any] = [found[text] for text in texts]
    if values is None:
        return keys
    return [key if np.isnan(value) else float(value) for key, value in zip(keys, values, strict=True)]


def _several(y: NDArray[Any], asked: str | None, where: str) -> Target:
    if asked == Task.CLASSIFICATION:
        raise DataError(
            f"{where}: target: has shape {y.shape}, but classification needs one class per row, (N,); "
            'give np.argmax(y, axis=1) if it is one-hot, or task = "regression" if these are amounts'
        )
    values = y.astype(np.float64)
    note = f"The target has {y.shape[1]} columns of numbers, so the task is regression."
    return Target(Task.REGRESSION, values, np.arange(len(y)), (note,))


def _seen(name: str, y: pd.Series[Any], options: Options, asked: str | None, where: str) -> ColumnReading:
    """How the target is written: as numbers, or as a category of its texts."""
    seen = read_column(name, y, options)
    if seen.kind in ("date", "time") and not (seen.compact and asked is not None):
        if asked != Task.CLASSIFICATION:
            first = seen.cells.labels()[int(np.argmin(seen.cells.missing))]
            is_date = seen.kind == "date"
            what, such = (
                ("dates", "days since a fixed one") if is_date else ("times of day or durations", "minutes")
            )
            raise DataError(
                f"{where}: target: holds {what}, the first {first!r}, which cannot be predicted as such; "
                f'make numbers of them, such as {such}, or give task = "classification" if these are classes'
            )
        return ColumnReading(name, "category", seen.cells, seen.known)
    if seen.kind == "number" and (seen.stray | seen.marked).any() and _are_names(seen):
        return ColumnReading(name, "category", seen.cells, seen.cells)
    if seen.kind == "date" or seen.codes is not None:
        return read_column(name, y, options.asking(name, "number"))
    return seen


@dataclass(frozen=True)
class _Decision:
    """The task, why, and which rows are left out for it."""

    task: Task
    why: str
    stray: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))


def _are_names(seen: ColumnReading) -> bool:
    """Whether numbers and words together name classes: few of them, each of which stands there twice."""
    known = seen.known.labels()
    odd = known[~seen.known.missing & (seen.stray | seen.marked)]
    distinct = pd.Series(known[~seen.known.missing]).value_counts()
    return bool(len(odd)) and len(distinct) <= MOST_CLASSES and bool(distinct.min() >= 2)


def _task(
    known: pd.Series[Any], seen: ColumnReading, numbers: NDArray[np.float64], asked: str | None, where: str
) -> _Decision:
    reads = ~np.isnan(numbers) if seen.kind == "number" else np.zeros(len(known), bool)
    if asked is not None:
        task = Task(asked)
        if task is Task.REGRESSION and not reads.all():
            raise DataError(
                f"{where}: target: {_stray(known, reads)}, but regression needs numbers; correct these rows"
            )
        return _Decision(task, f"The task is {task}, as the study says.")
    if types.is_bool_dtype(known.dtype) or isinstance(known.dtype, pd.CategoricalDtype):
        return _classes(_TEXT)
    if (seen.kind == "boolean" and not seen.stray.any()) or (reads.all() and _are_words(known)):
        true, false = (seen.true[0], seen.false[0]) if seen.true else ("true", "false")
        return _classes(f"The target holds {true} and {false}, so the task is classification.")
    if not reads.any():
        return _classes(_TEXT)
    if not reads.all():
        raise DataError(
            f"{where}: target: {_stray(known, reads)} among numbers; correct these rows, say what is "
            'missing with missing = [...] under [data], or give task = "classification" if these are classes'
        )
    return _of_numbers(numbers)


def _classes(why: str) -> _Decision:
    return _Decision(Task.CLASSIFICATION, why)


def _of_numbers(numbers: NDArray[np.float64]) -> _Decision:
    """The task of a target that is numbers throughout."""
    distinct, counts = np.unique(numbers, return_counts=True)
    low, high = (word(float(number)) for number in (distinct[0], distinct[-1]))
    if len(distinct) == 2:
        return _classes(f"The target holds {low} and {high}, so the task is classification.")
    if (distinct % 1 != 0).any() or len(distinct) > MOST_CLASSES:
        why = 'The target holds numbers, so the task is regression; task = "classification" changes it.'
        return _Decision(Task.REGRESSION, why)
    if counts.min() >= 2:
        if len(distinct) >= _LIKELY and np.ptp(distinct) == len(distinct) - 1:
            return _classes(
                f"The target holds the whole numbers from {low} to {high}, which could be classes or "
                'amounts; the task is classification, task = "regression" takes them as amounts.'
            )
        return _classes(
            f"The target holds {len(distinct)} different whole numbers, so the task is classification; "
            'task = "regression" changes it.'
        )
    often = counts >= max(_SHOWN, _LEAST_SHARE * len(numbers))
    rare = np.flatnonzero(np.isin(numbers, distinct[~often]))
    if 2 <= often.sum() <= _LIKELY and len(rare) <= max(1, _STRAY_SHARE * len(numbers)):
        usual, odd = (", ".join(word(float(n)) for n in distinct[which]) for which in (often, ~often))
        why = (
            f"The target holds {usual}, and {odd} in {len(rare)} {'row' if len(rare) == 1 else 'rows'}, too "
            "few to learn from: left out; the task is classification. If these are amounts, give "
            'task = "regression"; if they are classes, task = "classification".'
        )
        return _Decision(Task.CLASSIFICATION, why, rare)
    return _Decision(
        Task.REGRESSION,
        f"The target holds {len(distinct)} different whole numbers, some of them once, which could be "
        'amounts or classes; the task is regression, task = "classification" changes it.',
    )


def _names(
    texts: NDArray[np.object_],
    values: NDArray[np.float64] | None,
    counts: NDArray[np.intp],
    as_written: bool,
) -> tuple[dict[Any, str], list[str]]:
    """The name of each class by its key, and which spellings were taken together.

    Args:
        texts: the different ones, (K,).
        values: their numbers, where classes go by them.
        counts: how many rows have each.
        as_written: whether numbers keep the spelling that they have.
    """
    spellings: dict[Any, Counter[str]] = {}
    for key, text, count in zip(keys_of(texts, values), texts, counts.tolist(), strict=True):
        spellings.setdefault(key, Counter())[text] += count
    names: dict[Any, str] = {}
    merged = []
    single = all(len(each) == 1 for each in spellings.values())
    for key, each in spellings.items():
        ranked = sorted(each, key=lambda text: (-each[text], text))
        # A study that says that numbers are classes knows them as they are written.
        usual = single and (as_written or _WHOLE.fullmatch(ranked[0]))
        is_word = isinstance(key, str) or not any(map(str.isdigit, ranked[0]))
        names[key] = ranked[0] if is_word or usual else word(key)
        merged += [" = ".join(ranked[:_SHOWN])] if len(ranked) > 1 else []
    return names, [f"Spellings of one class: {listed(merged, _SHOWN)}."] if merged else []


def _written(seen: ColumnReading) -> list[str]:
    """What is told of how the numbers of a target are written."""
    told = [f"The target is read as it is written: {', '.join(how)}."] if (how := written(seen)) else []
    if seen.open_case is None:
        return told
    return [
        f"The target's {seen.open_case} could mean two things; it is read as {open_number(seen)}. "
        "decimal or thousands under [data] says which.",
        *told,
    ]


def _are_words(known: pd.Series[Any]) -> bool:
    if types.is_numeric_dtype(known.dtype):
        return False
    return all(_is_truth(v) for v in known.iloc[:1]) and all(_is_truth(v) for v in column.distinct(known)[1])


def _is_truth(value: Any) -> bool:
    return str(value).strip().lower() in ("true", "false")


def _stray(known: pd.Series[Any], reads: NDArray[np.bool_]) -> str:
    first = int(np.flatnonzero(~reads)[0])
    return (
        f"{int((~reads).sum())} of {len(reads)} values are not numbers, "
        f"the first {str(known.iloc[first])!r} in row {int(str(known.index[first])) + 1}"
    )
