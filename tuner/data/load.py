"""From `[data]` to a Dataset: read, split, lock the test rows away, encode.

Test rows are cut off before anything is fitted, and all that is fitted sees training rows only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.core.dataset import Dataset, Split, Task
from tuner.core.spec import DataSpec
from tuner.data import column, encoding, source, split, target
from tuner.data.arrays import X, Y
from tuner.data.source import Source
from tuner.errors import DataError


@dataclass(frozen=True)
class _Divided:
    """Raw rows of the two open splits; labels or numbers beside them."""

    train: tuple[X, NDArray[Any]]
    validation: tuple[X, NDArray[Any]]
    notes: tuple[str, ...]


def load(spec: DataSpec, folder: Path) -> Dataset:
    """Read, split and encode what `[data]` names.

    The test split is locked: its rows are dropped before anything is fitted, and no array, encoding
    or scale that comes back depends on their values. Nothing that is fitted depends on validation rows
    either.

    Args:
        spec: `[data]`.
        folder: what relative paths and ``./file.py`` references start from.

    Returns:
        Encoded, not yet scaled inputs; see `Dataset`.

    Raises:
        DataError: the data cannot be used; one line with what to do.
        PluginError: the reference to a function leads nowhere.
    """
    return _dataset(source.read(spec, folder), spec)


def from_arrays(x: Any, y: Any, spec: DataSpec) -> Dataset:
    """Split and encode arrays in memory, as `load` does with files.

    Args:
        x: (N, D) or (N, C, H, W) numbers, or a data frame.
        y: N classes or numbers, or (N, T) numbers; goes with `x` by position, whatever its index.
        spec: `[data]`, with ``source = "memory"``.

    Raises:
        DataError: the data cannot be used; one line with what to do.
    """
    return _dataset(source.from_values({"X": x, "y": y}, spec), spec)


def _dataset(found: Source, spec: DataSpec) -> Dataset:
    read = target.read(found.y, spec.task, found.where)
    divided = _divide(found, read, spec)
    x, y = divided.train
    judged_x, judged_y = divided.validation
    how: dict[str, Any] = {}
    notes = (*found.notes, *read.notes, *divided.notes)
    if isinstance(x, pd.DataFrame):
        how, done = encoding.fit(x, found.where)
        features, notes = encoding.names(how), (*notes, *done)
        x, judged_x = encoding.encode(x, how), encoding.encode(judged_x, how)
    else:
        features = tuple(name for name in found.names if name not in _left_out(spec))
    if read.task is Task.REGRESSION:
        shift, scale = _standard(y, spec.target_scaling, found.where)
        y, judged_y = (((v - shift) / scale).astype(np.float32) for v in (y, judged_y))
        classes: tuple[str, ...] = ()
    else:
        shift, scale = 0.0, 1.0
        classes = target.classes(y)
        known = pd.Index(classes, dtype=object)
        y, judged_y = (known.get_indexer(pd.Index(v, dtype=object)).astype(np.int64) for v in (y, judged_y))
    return Dataset(
        train=Split(np.ascontiguousarray(x, np.float32), y),
        validation=Split(np.ascontiguousarray(judged_x, np.float32), judged_y),
        task=read.task,
        classes=classes,
        features=features,
        scaling=spec.scaling,
        target_shift=shift,
        target_scale=scale,
        encoding=how,
        notes=notes,
    )


def _divide(found: Source, read: target.Target, spec: DataSpec) -> _Divided:
    """Cut the rows into splits; what comes back holds no test row."""
    keys = _keys(found, read, spec)
    parts = split.divide(
        len(read.rows), keys, spec, found.where, validation=found.validation is None, test=not found.has_test
    )
    x = _without(found, found.x, spec)
    train = _rows(x, read.rows[parts.train]), read.values[parts.train]
    if found.validation is None:
        validation = _rows(x, read.rows[parts.validation]), read.values[parts.validation]
    else:
        validation = _brought(found, found.validation, read, spec)
    notes = [*parts.notes]
    if read.task is Task.CLASSIFICATION:
        validation, unseen = _known_classes(train[1], validation, found.where)
        notes += unseen
    locked = "those for the test are not read" if found.has_test else f"{len(parts.test)} locked for the test"
    notes.insert(0, f"{len(train[1])} rows to train on, {len(validation[1])} for validation, {locked}.")
    return _Divided(train, validation, tuple(notes))


def _keys(found: Source, read: target.Target, spec: DataSpec) -> NDArray[Any] | None:
    if spec.split == "group" and spec.group is not None:
        raw = found.column("group", spec.group).iloc[read.rows]
        if column.missing(raw).any():
            raise DataError(f"{found.where}: group: column '{spec.group}' has missing values; fill them in")
        return column.text(raw)
    if spec.split == "time" and spec.time is not None:
        times = column.when(found.column("time", spec.time).iloc[read.rows])
        if times is None:
            raise DataError(
                f"{found.where}: time: column '{spec.time}' holds values that are neither numbers nor "
                "dates like 2024-12-31; correct them"
            )
        return times
    return read.values if read.task is Task.CLASSIFICATION else None


def _left_out(spec: DataSpec) -> set[str]:
    return {*spec.drop, *(name for name in (spec.group, spec.time) if name is not None)}


def _without(found: Source, x: X, spec: DataSpec) -> X:
    """The inputs without dropped columns and without those that the split goes by."""
    for name in spec.drop:
        found.column("drop", name)
    out = _left_out(spec)
    if isinstance(x, pd.DataFrame):
        return x[[name for name in x.columns if name not in out]]
    if x.ndim == 2 and not out.isdisjoint(found.names):
        x = x[:, [name not in out for name in found.names]]
        if not x.shape[1]:
            raise DataError(f"{found.where}: drop: no column is left to learn from; drop fewer")
    return x


def _rows(x: X, rows: NDArray[np.intp]) -> X:
    return x.iloc[rows] if isinstance(x, pd.DataFrame) else x[rows]


def _brought(
    found: Source, brought: tuple[X, Y], read: target.Target, spec: DataSpec
) -> tuple[X, NDArray[Any]]:
    """The validation split that the source brings."""
    raw_x, raw_y = brought
    if np.ndim(raw_y) != read.values.ndim or np.shape(raw_y)[1:] != read.values.shape[1:]:
        raise DataError(
            f"{found.where}: y_validation has shape {np.shape(raw_y)}, but y has {read.values.shape}; "
            "only N may differ"
        )
    if not isinstance(raw_y, pd.Series):
        return _without(found, raw_x, spec), raw_y.astype(np.float64)
    if read.task is Task.CLASSIFICATION:
        return _without(found, raw_x, spec), column.text(raw_y)
    values = column.numbers(raw_y)
    if not np.isfinite(values).all():
        raise DataError(f"{found.where}: y_validation holds values that are no numbers; correct these rows")
    return _without(found, raw_x, spec), values


def _known_classes(
    train: NDArray[Any], validation: tuple[X, NDArray[Any]], where: str
) -> tuple[tuple[X, NDArray[Any]], list[str]]:
    """Leave out validation rows of classes that training does not have."""
    x, y = validation
    if len(set(train)) < 2:
        raise DataError(
            f"{where}: target: the training split has one class only; split otherwise or bring more rows"
        )
    known = pd.Series(y).isin(list(set(train))).to_numpy(bool)
    if not known.any():
        raise DataError(f"{where}: no validation row has a class that training has; split otherwise")
    if known.all():
        return validation, []
    note = f"{int((~known).sum())} validation rows have classes that training lacks and are left out."
    return (_rows(x, np.flatnonzero(known)), y[known]), [note]


def _standard(y: NDArray[np.float64], kind: str, where: str) -> tuple[Any, Any]:
    """Shift and scale of a regression target: mean and standard deviation; float32 (T,) for several."""
    spread = np.atleast_1d(y.std(axis=0))
    if not (np.ptp(y, axis=0) > 0).all() or not (spread > 0).all():
        which = f" {int(np.argmin(spread))} of y" if y.ndim == 2 else ""
        raise DataError(
            f"{where}: target{which}: has one value only in the training split; choose another target"
        )
    if kind == "none":
        return 0.0, 1.0
    if y.ndim == 1:
        return float(np.float32(y.mean())), float(np.float32(spread[0]))
    return y.mean(axis=0).astype(np.float32), spread.astype(np.float32)
