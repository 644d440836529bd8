"""Several columns to predict: numbers, or labels of two values each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.core.dataset import Task
from tuner.data import column, target
from tuner.data.notes import listed
from tuner.data.options import Options
from tuner.data.target import Target
from tuner.errors import DataError

MOST_NAMED = 8
"""So many columns are named in an error."""


def read(
    y: pd.Series[Any] | pd.DataFrame | NDArray[Any],
    asked: str | None,
    where: str,
    options: Options | None = None,
) -> Target:
    """Read one target, see `target.read`, or several columns.

    Columns of two values each are labels, columns of numbers are regression; rows that lack any of them are
    left out.

    Raises:
        DataError: a target cannot be read, the columns are neither, or they are one class in one-hot form.
    """
    if isinstance(y, np.ndarray) and asked is None and np.isin(y, (0, 1)).all():
        asked = Task.CLASSIFICATION
    if isinstance(y, np.ndarray) and asked == Task.CLASSIFICATION and not (y.sum(axis=1) == 1).all():
        y = pd.DataFrame(y, columns=[f"y{i}" for i in range(y.shape[1])])
    if not isinstance(y, pd.DataFrame):
        return target.read(y, asked, where, options)
    told, names = f"{where}: target", [str(name) for name in y.columns]
    each = [target.read(y.iloc[:, i], asked, f"{told}: {name}", options) for i, name in enumerate(names)]
    kinds = [len(target.classes(one.values)) if one.task is Task.CLASSIFICATION else 0 for one in each]
    are_labels = all(kind == 2 for kind in kinds)
    if not are_labels and asked != Task.REGRESSION:
        if asked == Task.CLASSIFICATION:
            found = next(i for i, kind in enumerate(kinds) if kind != 2)
            raise DataError(
                f"{told}: '{names[found]}' has {kinds[found]} classes; several columns to predict need two "
                "values each"
            )
        if not all(one.task is Task.REGRESSION or _are_numbers(one) for one in each):
            words = [
                f"'{n}' holds {f'{k} classes' if k else 'numbers'}" for n, k in zip(names, kinds, strict=True)
            ]
            raise DataError(
                f"{told}: {listed(words, MOST_NAMED)}; give columns that are all numbers, or that have "
                "two values each"
            )
        each = [target.read(y.iloc[:, i], Task.REGRESSION, told, options) for i in range(len(names))]
    rows = each[0].rows
    for one in each[1:]:
        rows = np.intersect1d(rows, one.rows)
    notes = [f"{len(y) - len(rows)} rows without a target are left out."] if len(rows) < len(y) else []
    columns = [one.values[np.searchsorted(one.rows, rows)] for one in each]
    if not are_labels:
        notes.append(f"The {len(names)} columns to predict hold numbers, so the task is regression.")
        return Target(Task.REGRESSION, np.stack(columns, axis=1), rows, tuple(notes))
    pairs = [target.classes(one.values) for one in each]
    ones = [values == pair[1] for values, pair in zip(columns, pairs, strict=True)]
    notes.append(f"The {len(names)} columns to predict have two values each, so each is a label.")
    labels = {name: (pair[0], pair[1]) for name, pair in zip(names, pairs, strict=True)}
    values = np.stack(ones, axis=1).astype(np.float64)
    return Target(Task.MULTILABEL, values, rows, tuple(notes), labels=labels)


def _are_numbers(found: Target) -> bool:
    """Whether its classes are whole numbers, which could be amounts as well."""
    return not np.isnan(column.numbers(target.classes(found.values))).any()


def names_of(values: NDArray[Any], labels: Mapping[str, tuple[str, str]]) -> NDArray[Any]:
    """The classes' names, (N, L), of labels that are 0 or 1; of other targets the values as they are."""
    if not labels:
        return values
    pairs = np.array(list(labels.values()), dtype=object)  # (L, 2)
    return np.asarray(np.take_along_axis(pairs.T, np.asarray(values, np.intp), axis=0))


def again(found: Target, y: pd.Series[Any] | pd.DataFrame | NDArray[Any]) -> NDArray[Any]:
    """Read further rows in the same way: classes as text, or float64, NaN of what is no number; (M,).

    Of several columns float64 (M, T) or, 0 or 1, (M, L).
    """
    if isinstance(y, pd.Series):
        regression = found.task is Task.REGRESSION
        return found.spelling.numbers(y) if regression else found.spelling.labels(y)
    if found.labels:
        columns = [pd.Series(each) for each in np.asarray(y, dtype=object).T]
        ones = [
            column.text(each) == pair[1] for each, pair in zip(columns, found.labels.values(), strict=True)
        ]
        return np.stack(ones, axis=1).astype(np.float64)
    return np.asarray(y, np.float64)
