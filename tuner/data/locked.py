"""The locked test rows: the only code that returns them, imported by nothing but the confirmation.

Raw rows, as a model takes them. The confirmation notes in the store that it opens them before it calls this.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Task
from tuner.data import archives, arrays, given, source, target, targets
from tuner.data.arrays import X, Y
from tuner.data.fingerprint_check import stored_roles
from tuner.data.load import divided, inputs, target_of, weights
from tuner.data.resampling import rows_of
from tuner.errors import DataError


@dataclass(frozen=True)
class UnlockedRows:
    """The test split.

    Attributes:
        x: raw inputs, as `Model.predict` takes them.
        y: (N,) names of classes, or (N,) or (N, T) numbers in their own units.
        task: what is predicted.
        weight: what each row counts, (N,); None: all the same.
    """

    x: X
    y: NDArray[Any]
    task: Task
    weight: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.y)


def has_test_rows(spec: DataSpec, folder: Path, memory: Any = None, fingerprint: bytes | None = None) -> bool:
    """Whether there is a test split; its rows are not looked at. See `unlock`."""
    found = given.read(spec, folder, memory)
    if found.has_test:
        return True
    read = target_of(found, spec)
    return bool(len(divided(found, read, spec, stored_roles(fingerprint)).test))


def unlock(
    spec: DataSpec, folder: Path, memory: Any = None, fingerprint: bytes | None = None
) -> UnlockedRows:
    """Read the test split: the rows that every other way of reading leaves out, or the source's own.

    Raises:
        DataError: there is no test split, or it cannot be used.
    """
    found = given.read(spec, folder, memory)
    read = target_of(found, spec)
    if found.has_test:
        x, y = _provided(spec, folder, memory)
        if not arrays.are_alike(x, found.x) or _columns(x) != _columns(found.x):
            raise DataError(f"{found.where}: X_test and X differ in kind or shape; only N may differ")
        y = _values(y, read, found.where)
        return UnlockedRows(inputs(found, x, spec), y, read.task, weights(found, x, spec))
    chosen = divided(found, read, spec, stored_roles(fingerprint)).test
    if not len(chosen):
        raise DataError(f"{found.where}: test = {spec.test:g}: no row was locked for a test")
    rows, weight = read.rows[chosen], weights(found, found.x, spec)
    return UnlockedRows(
        rows_of(inputs(found, found.x, spec), rows),
        targets.names_of(read.values[chosen], read.labels),
        read.task,
        None if weight is None else weight[rows],
    )


def _provided(spec: DataSpec, folder: Path, memory: Any) -> tuple[X, Y]:
    """The test split that the source brings."""
    path = folder / Path(spec.source).expanduser()
    values: Any
    if memory is not None:
        values = given.opened(memory, next(iter(spec.targets), None))
    elif path.suffix.lower() == ".npz":
        values = archives.arrays_of(path, ("X_test", "y_test"), spec.source)
        if "X" not in values:  # each input by its own name
            values = archives.arrays_of(path, values.keys(), spec.source)
    else:
        values = source.read_raw(spec, folder, source.reader(spec))
    return source.arrays_for_test(values, spec)


def _columns(x: X) -> int:
    return x.shape[1] if isinstance(x, pd.DataFrame) else 0


def _values(y: Y, read: target.Target, where: str) -> NDArray[Any]:
    values = targets.again(read, y)
    if read.task is Task.REGRESSION and not np.isfinite(values).all():
        raise DataError(f"{where}: the test split holds targets that are no numbers; correct these rows")
    return targets.names_of(values, read.labels)
