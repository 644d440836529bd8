"""What is predicted: task, class indices, scaling of a regression target.

Sees the target alone, so that it is the same whichever inputs a study drops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from tuner.core.dataset import Task
from tuner.data import column
from tuner.errors import DataError

MOST_CLASSES = 20
"""Whole numbers with more distinct values than this are not taken for classes by themselves."""


@dataclass(frozen=True)
class Target:
    """A target that was read.

    Attributes:
        values: classification: labels as text (N,); regression: float64 (N,) or (N, T); only of
            the rows in `rows`.
        rows: the rows that have a target, ascending.
        notes: how the task was seen and what was left out.
    """

    task: Task
    values: NDArray[Any]
    rows: NDArray[np.intp]
    notes: tuple[str, ...] = ()


def read(y: pd.Series[Any] | NDArray[Any], asked: str | None, where: str) -> Target:
    """Read a target and see the task.

    Without `asked`, text, booleans and categories are classification; whole numbers are too where
    they have at most 20 distinct values and each stands there at least twice; all other numbers,
    floats and several columns are regression. All rows are looked at, as the task is a property of
    the question and not something that is fitted. Rows without a target are left out.

    Args:
        y: one value per row, or (N, T) numbers.
        asked: `[data] task`.
        where: what errors are prefixed with.

    Raises:
        DataError: the target is constant, mostly missing, or not what the task needs.
    """
    if isinstance(y, np.ndarray):
        return _several(y, asked, where)
    read_as = column.numbers(y)
    gone = column.missing(y) | (~np.isnan(read_as) & np.isnan(column.finite(read_as)))
    if gone.mean() >= 0.5:
        raise DataError(
            f"{where}: target: {int(gone.sum())} of {len(y)} values are missing; "
            "fill them in or name another target"
        )
    notes = [f"{int(gone.sum())} rows without a target are left out."] if gone.any() else []
    rows = np.flatnonzero(~gone)
    known = y.iloc[rows]
    task, why = _task(known, read_as[rows], asked, where)
    notes.append(why)
    values: NDArray[Any] = read_as[rows] if task is Task.REGRESSION else column.text(known)
    if len(np.unique(values)) < 2:
        raise DataError(f"{where}: target: has one value only, '{values[0]}'; choose another target")
    return Target(task, values, rows, tuple(notes))


def classes(labels: NDArray[Any]) -> tuple[str, ...]:
    """The distinct labels: by size where all are numbers, by the alphabet otherwise."""
    found = pd.Series(labels).drop_duplicates().sort_values(ignore_index=True)
    sizes = column.numbers(found)
    return tuple(found if np.isnan(sizes).any() else found.iloc[np.argsort(sizes, kind="stable")])


def _several(y: NDArray[Any], asked: str | None, where: str) -> Target:
    if asked == Task.CLASSIFICATION:
        raise DataError(
            f"{where}: target: has shape {y.shape}, but classification needs one class per row, (N,); "
            "give np.argmax(y, axis=1) if it is one-hot"
        )
    values = y.astype(np.float64)
    note = f"The target has {y.shape[1]} columns of numbers, so the task is regression."
    return Target(Task.REGRESSION, values, np.arange(len(y)), (note,))


def _task(
    known: pd.Series[Any], numbers: NDArray[np.float64], asked: str | None, where: str
) -> tuple[Task, str]:
    reads = ~np.isnan(numbers)
    if asked is not None:
        task = Task(asked)
        if task is Task.REGRESSION and not reads.all():
            raise DataError(
                f"{where}: target: {_stray(known, reads)}, but regression needs numbers; correct these rows"
            )
        return task, f"The task is {task}, as the study says."
    if types.is_bool_dtype(known.dtype) or isinstance(known.dtype, pd.CategoricalDtype) or not reads.any():
        return Task.CLASSIFICATION, "The target holds text or categories, so the task is classification."
    if not reads.all():
        if reads.mean() >= column.MOSTLY:
            raise DataError(
                f"{where}: target: {_stray(known, reads)} among numbers; correct these rows, "
                'or give task = "classification" if these are classes'
            )
        return Task.CLASSIFICATION, "The target holds text, so the task is classification."
    if _are_words(known):
        return Task.CLASSIFICATION, "The target holds true and false, so the task is classification."
    distinct, counts = np.unique(numbers, return_counts=True)
    whole = _are_whole(known, numbers)
    if whole and len(distinct) <= MOST_CLASSES and counts.min() >= 2:
        return Task.CLASSIFICATION, (
            f"The target holds {len(distinct)} different whole numbers, so the task is classification; "
            'task = "regression" changes it.'
        )
    return (
        Task.REGRESSION,
        'The target holds numbers, so the task is regression; task = "classification" changes it.',
    )


def _are_whole(known: pd.Series[Any], numbers: NDArray[np.float64]) -> bool:
    """Whether these are integers, not floats that happen to be whole."""
    if types.is_float_dtype(known.dtype):
        return False
    if types.is_numeric_dtype(known.dtype):
        return True
    return bool((numbers % 1 == 0).all()) and not any("." in str(value) for value in known)


def _are_words(known: pd.Series[Any]) -> bool:
    return not types.is_numeric_dtype(known.dtype) and {str(v).strip().lower() for v in known} <= {
        "true",
        "false",
    }


def _stray(known: pd.Series[Any], reads: NDArray[np.bool_]) -> str:
    first = int(np.flatnonzero(~reads)[0])
    return (
        f"{int((~reads).sum())} of {len(reads)} values are not numbers, "
        f"the first {str(known.iloc[first])!r} in row {int(str(known.index[first])) + 1}"
    )
