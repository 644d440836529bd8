"""From `[data]` to a Dataset: read, split, lock the test rows away, encode.

Test rows are cut off before anything is fitted, and all that is fitted sees training rows only.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Dataset, FingerprintCheck, ReadData, Task
from tuner.data import given, plain_numbers, source, split, target, targets
from tuner.data.arrays import InputParts, Sequences, X, Y, frame_of
from tuner.data.cells import Cells
from tuner.data.fingerprint import OPEN, TEST, Roles
from tuner.data.fingerprint_check import CheckedSource, stored_roles
from tuner.data.notes import span
from tuner.data.options import Options
from tuner.data.reading import numbers, ordering
from tuner.data.resampling import SearchRows, rows_of
from tuner.data.source import Source
from tuner.data.split import Parts
from tuner.errors import DataError

_SAID_BY = {
    "image": 'name its column of file names: image = "<column>"',
    "tokens": 'name its column of texts: text = "<column>"',
    "series": 'say which rows are steps of one series: sequence = "<column>", or window = <steps>',
}
"""What makes of a table another kind of inputs."""


def load(
    spec: DataSpec,
    folder: Path,
    memory: Any = None,
    *,
    resampling: bool = False,
    check: FingerprintCheck | None = None,
    read: ReadData | None = None,
) -> Dataset:
    """Read, split and encode what `[data]` names, or what was passed from Python.

    The test split is locked: its rows are dropped before anything is fitted, and no array, encoding
    or scale that comes back depends on their values. Nothing that is fitted depends on validation rows
    either.

    Args:
        spec: `[data]`.
        folder: what relative paths and ``./file.py`` references start from.
        memory: the data, where it was passed from Python, as `given.opened` takes it.
        resampling: whether `Dataset.resampling` is wanted though the spec can do without it; it keeps
            the raw rows alive.
        check: the stored fingerprint to compare with. Where the data has changed, no row that was locked
            is trained on, see `relocking`. None: no fingerprint is taken.
        read: what `outline` has read of the same, and what takes up what is read here.

    Returns:
        Encoded, not yet scaled inputs; see `Dataset`. With folds its splits are the first fold's.

    Raises:
        DataError: the data cannot be used; one line with what to do.
        PluginError: the reference to a function leads nowhere.
    """
    is_file = check is not None and memory is None
    file = ThreadPoolExecutor(1).submit(source.digest, spec, folder) if is_file else None
    read = read or ReadData()
    if read.source is None:
        read.source = given.read(spec, folder, memory)
    return _dataset(read, spec, resampling, check, file)


def _dataset(
    taken: ReadData,
    spec: DataSpec,
    resampling: bool,
    check: FingerprintCheck | None,
    file: Future[str] | None,
) -> Dataset:
    # Held by no other name, so that each column is freed when it has been encoded.
    found, taken.source = replace(taken.source, where=spec.source), None
    checked = CheckedSource(found, spec, check, "" if file is None else file.result())
    read = taken.target or target_of(found, spec)
    roles = checked.roles(split_keys(found, read, spec), read.rows)
    parts = taken.parts if taken.parts and roles is None else divided(found, read, spec, roles)
    found = checked.allowed(found)
    wanted = resampling or spec.folds is not None or spec.reshuffle
    x: X | dict[str, Any] = inputs(found, found.x, spec)
    if (
        isinstance(x, pd.DataFrame) and isinstance(found.x, pd.DataFrame) and not wanted
    ):  # what is kept stays as it was written
        found = replace(found, x=found.x.drop(columns=list(x)))
        x = {str(name): column for name, column in x.items()}
    rows = _search_rows(found, x, read, parts, spec)
    locked = "those for the test are not read" if found.has_test else f"{len(parts.test)} locked for the test"
    if spec.folds is not None:
        folds = rows.parts(spec.folds)
        data = rows.folds(spec.folds)[0]
        told = (f"{_folded(folds)}, {locked}.", *folds[0].notes)
    else:
        data = rows.base(taken.columns)
        told = (
            f"{len(data.train)} rows to train on, {len(data.validation)} for validation, {locked}.",
            *parts.notes,
            *_reshuffled(rows),
        )
    notes = (*found.notes, *read.notes, *checked.notes, *told, *data.notes)
    fingerprint = checked.fingerprint(read.rows[parts.test])
    return replace(data, notes=notes, resampling=rows if wanted else None, fingerprint=fingerprint)


def divided(found: Source, read: target.Target, spec: DataSpec, roles: Roles | None = None) -> Parts:
    """The splits, as positions in `read.rows`; the test's are the same whatever folds and reshuffle say.

    Where it is known what each row is used for, its role, only what is open is divided.
    """
    keys = split_keys(found, read, spec)
    judged, drawn = found.validation is None, not found.has_test
    if roles is None:
        return split.divide(len(read.rows), keys, spec, found.where, validation=judged, test=drawn)
    open_, test = (np.flatnonzero(roles[read.rows] == role) for role in (OPEN, TEST))
    rest = 1 - (spec.test if drawn else 0.0)
    spec = spec.model_copy(update={"validation": min(spec.validation / rest, 0.9)})
    if keys is not None:
        open_ = split.before(keys, open_, test)
        keys = keys[open_]
    parts = split.divide(len(open_), keys, spec, found.where, validation=judged, test=False)
    return replace(parts, train=open_[parts.train], validation=open_[parts.validation], test=test)


def _search_rows(
    found: Source, x: X | dict[str, Any], read: target.Target, parts: Parts, spec: DataSpec
) -> SearchRows:
    """All rows but the test's; columns of inputs are taken out of `x`."""
    rows = np.sort(np.concatenate([parts.train, parts.validation]))
    provided = None if found.validation is None else _provided(found, found.validation, read, spec)
    if provided is not None:
        _check_log(read, provided[1], np.arange(len(provided[1])), spec, f"{found.where}: y_validation")
    _check_log(read, read.values, read.rows, spec, found.where)
    y = read.values[rows]
    labels: tuple[str, ...] = ()
    if read.task is Task.CLASSIFICATION:
        labels = target.classes(y)
        y = _places(y, labels)
        provided = provided and (provided[0], _places(provided[1], labels))
    keys = split_keys(found, read, spec)
    if keys is not None:
        # Labels that rows are stratified by are compared sooner as numbers.
        keys = y if labels and spec.split == "random" else keys[rows]
    weight = weights(found, found.x, spec)
    options = options_of(found, spec)
    if isinstance(x, dict):
        x, votes = plain_numbers.parsed(x, read.rows[rows], read.rows[parts.train], options)
        options = replace(options, votes=votes)
    else:
        x = rows_of(x, read.rows[rows])
    return SearchRows(
        x=x,
        y=y,
        task=read.task,
        labels=labels,
        spec=spec,
        where=found.where,
        names=tuple(name for name in found.names if name not in _left_out(spec)),
        keys=keys,
        train=np.searchsorted(rows, parts.train),
        validation=np.searchsorted(rows, parts.validation),
        provided=provided,
        weight=None if weight is None else weight[read.rows[rows]],
        pairs=read.labels,
        provided_weight=None if found.validation is None else weights(found, found.validation[0], spec),
        options=options,
    )


def target_of(found: Source, spec: DataSpec) -> target.Target:
    """What is predicted."""
    return targets.read(found.y, spec.task, found.where, options_of(found, spec))


def options_of(found: Source, spec: DataSpec) -> Options:
    """What the study and the file say of how columns are read."""
    return Options.of(spec, found.decimal)


def _check_log(
    read: target.Target, values: NDArray[Any], rows: NDArray[np.intp], spec: DataSpec, where: str
) -> None:
    if spec.target_scaling != "log" or read.task is not Task.REGRESSION:
        return
    low = np.flatnonzero((values <= 0).reshape(len(values), -1).any(axis=1))
    if len(low):
        raise DataError(
            f'{where}: target_scaling = "log" needs targets above 0, but {len(low)} are not, the first in '
            f'row {rows[low[0]] + 1}; give target_scaling = "standard"'
        )


def _places(y: NDArray[Any], labels: tuple[str, ...]) -> NDArray[np.int64]:
    """The place of each label; -1 of one that is not there."""
    return pd.Index(labels, dtype=object).get_indexer(pd.Index(y, dtype=object)).astype(np.int64)


def _folded(folds: tuple[Parts, ...]) -> str:
    trained, judged = (span([len(getattr(part, name)) for part in folds]) for name in ("train", "validation"))
    return f"{len(folds)} folds: every trial trains {len(folds)} times on {trained} rows, judged on {judged}"


def _reshuffled(rows: SearchRows) -> tuple[str, ...]:
    if not rows.spec.reshuffle:
        return ()
    if rows.provided is not None:
        raise DataError(
            f"{rows.where}: reshuffle: the source brings its own validation split; leave one of them out"
        )
    return ("Every trial trains and is judged on another split of these rows.",)


def split_keys(found: Source, read: target.Target, spec: DataSpec) -> NDArray[Any] | None:
    """What the rows of `read` are divided by, see `split.divide`; (N,) or None."""
    if spec.split == "group" and spec.group is not None:
        cells = Cells(found.column("group", spec.group).iloc[read.rows])
        if cells.missing.any():
            raise DataError(f"{found.where}: group: column '{spec.group}' has missing values; fill them in")
        return cells.labels()
    if spec.split == "time" and spec.time is not None:
        raw = found.column("time", spec.time).iloc[read.rows]
        order = ordering(raw, spec.time, options_of(found, spec))
        if order is None:
            raise DataError(
                f"{found.where}: time: column '{spec.time}' holds values that are neither numbers nor "
                "dates like 2024-12-31; correct them"
            )
        return order.values if found.steps is None else found.steps[read.rows] - [spec.gap, 0]
    return read.values if read.task is Task.CLASSIFICATION else None


def weights(found: Source, x: X, spec: DataSpec) -> NDArray[np.float64] | None:
    """What each row counts of a source's inputs, or of those of a split that it brings, (N,).

    Returns:
        None where the study or they have no such column.

    Raises:
        DataError: there is no such column, or it holds what is no weight.
    """
    name = spec.weight
    if name is None:
        return None
    raw = found.column("weight", name)
    if x is not found.x:
        frame = None if isinstance(x, Sequences) else frame_of(x)
        if frame is not None and name in frame.columns:
            raw = frame[name]
        elif isinstance(x, np.ndarray) and name in found.names:
            raw = pd.Series(x[:, found.names.index(name)])
        else:
            return None
    values = numbers(raw, name, options_of(found, spec))
    odd = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(odd):
        raise DataError(
            f"{found.where}: weight: column '{name}' holds {len(odd)} values that are no numbers from 0 up, "
            f"the first {str(raw.iloc[odd[0]])!r} in row {odd[0] + 1}; correct these rows"
        )
    return values


def _left_out(spec: DataSpec) -> set[str]:
    return {*spec.dropped, *(name for name in (spec.group, spec.time, spec.weight) if name is not None)}


def inputs(found: Source, x: X, spec: DataSpec) -> X:
    """The inputs without dropped columns, those that the split goes by and the rows' weights."""
    known = {*spec.targets, *(x.parts if isinstance(x, InputParts) else ())}
    for name in spec.drop:
        if name not in known:
            found.column("drop", name)
    for name, own in spec.columns.items():
        if name not in known:
            found.column("columns", name)
        if own.kind != "drop" and isinstance(x, np.ndarray):
            raise DataError(
                f"{found.where}: columns.{name}: the data are an array of numbers, of which a column can "
                'only be left out, by kind = "drop"'
            )
    out = _left_out(spec)
    if isinstance(x, InputParts):
        if not (x := x.without(out)).parts:
            raise DataError(f"{found.where}: drop: no input is left to learn from; drop fewer")
        return x
    if spec.text is not None:
        raw = found.column("text", spec.text)
        return x[spec.text] if isinstance(x, pd.DataFrame) else raw
    if isinstance(x, Sequences):
        return replace(x, frame=x.frame.drop(columns=[name for name in x.frame.columns if name in out]))
    if isinstance(x, pd.DataFrame) and spec.kind in _SAID_BY:
        raise DataError(
            f'{found.where}: kind = "{spec.kind}": the data are a table; {_SAID_BY[spec.kind]} under [data]'
        )
    if isinstance(x, pd.DataFrame):
        return x[[name for name in x.columns if name not in out]]
    if x.ndim == 2 and not out.isdisjoint(found.names):
        x = x[:, [name not in out for name in found.names]]
        if not x.shape[1]:
            raise DataError(f"{found.where}: drop: no column is left to learn from; drop fewer")
    return x


def _provided(
    found: Source, provided: tuple[X, Y], read: target.Target, spec: DataSpec
) -> tuple[X, NDArray[Any]]:
    """The validation split that the source brings."""
    raw_x, raw_y = provided
    if np.ndim(raw_y) != read.values.ndim or np.shape(raw_y)[1:] != read.values.shape[1:]:
        raise DataError(
            f"{found.where}: y_validation has shape {np.shape(raw_y)}, but y has {read.values.shape}; "
            "only N may differ"
        )
    values = targets.again(read, raw_y)
    if read.task.is_of_classes:
        return inputs(found, raw_x, spec), values
    if not np.isfinite(values).all():
        raise DataError(f"{found.where}: y_validation holds values that are no numbers; correct these rows")
    return inputs(found, raw_x, spec), values


def split_rows(
    spec: DataSpec, folder: Path, memory: Any = None, fingerprint: bytes | None = None, train: bool = False
) -> tuple[X, NDArray[Any]]:
    """Raw inputs of the validation split and their truth, as `Model.losses` takes them; none of the test.

    Or those of the training split. An exported model is compared on them, or fitted to them.

    Raises:
        DataError: the data cannot be read.
    """
    found = given.read(spec, folder, memory)
    read = target_of(found, spec)
    if found.validation is not None and not train:
        x, y = found.validation
        return inputs(found, x, spec), targets.names_of(targets.again(read, y), read.labels)
    parts = divided(found, read, spec, stored_roles(fingerprint))
    chosen = parts.train if train or not len(parts.validation) else parts.validation
    rows = rows_of(inputs(found, found.x, spec), read.rows[chosen])
    return rows, targets.names_of(read.values[chosen], read.labels)
