"""Where rows come from: scikit-learn's sets, CSV, Parquet and NPZ files, functions.

Returns inputs and targets as they are. Of a test split that the source brings, nothing but hashes may leave
this module.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner import registry
from tuner.core.data_spec import DataSpec
from tuner.data import archives, arrays, beside, bundled, pictures, sequences, table
from tuner.data.arrays import InputParts, X, Y, frame_of
from tuner.data.hashing import HashedTable
from tuner.data.notes import listed
from tuner.data.options import Options
from tuner.errors import DataError, TunerError, described, near

FORMS = (
    "sklearn:<set>, file.csv, file.parquet, file.npz, a folder of pictures/, package.module:function or "
    "./file.py:function"
)
_HERE = Path()
_TEST = ("X_test", "y_test")  # hashed, whatever they hold: they are checked when they are opened
_KEYS = ("X", "y", "X_validation", "y_validation", *_TEST)
GROUP = "tuner.sources"
"""The entry points that readers are registered under: of files by their suffix, of others by what stands
before the colon. A reader is a function ``(spec, folder)`` that returns a data frame, (x, y), arrays by the
names of an NPZ file, or a `Source`."""
_SHOWN = 20


@dataclass(frozen=True)
class Source:
    """Rows as they were found.

    Attributes:
        where: what errors are prefixed with.
        x: raw inputs, see `arrays.X`.
        y: one value per row; (N, T) numbers, or a data frame, of several targets.
        names: the columns of a 2-D array.
        validation: the validation split, where the source brings one.
        has_test: whether the source brings a test split.
        test: hashes of that split's inputs and targets; what it holds is not kept.
        further: arrays beside x and y, one value per row, that splits may go by.
        notes: what was left out, a sentence each.
        decimal: the decimal mark that the separator of a text file suggests, a comma where that is the
            semicolon; None of what is no text file.
        steps: (N, 2) of windows, see `sequences.Found`.
    """

    where: str
    x: X
    y: Y
    names: tuple[str, ...] = ()
    validation: tuple[X, Y] | None = None
    has_test: bool = False
    test: tuple[HashedTable, HashedTable] | None = None
    further: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    decimal: str | None = None
    steps: NDArray[np.int64] | None = None

    def column(self, key: str, name: str) -> pd.Series[Any]:
        """The column that `[data] key` names.

        Raises:
            DataError: there is none; with the near names.
        """
        if name in self.further:
            return pd.Series(self.further[name])
        frame = frame_of(self.x)
        if frame is not None and name in frame.columns:
            return frame[name]  # those of steps can only be left out
        if isinstance(self.x, np.ndarray) and name in self.names:
            return pd.Series(self.x[:, self.names.index(name)])
        names = self.names if frame is None else tuple(frame.columns)
        raise arrays.no_column(name, [*names, *self.further], f"{self.where}: {key}")


def read(spec: DataSpec, folder: Path) -> Source:
    """Read what `spec.source` names.

    Args:
        spec: `[data]`.
        folder: what relative paths start from.

    Raises:
        DataError: it cannot be read, or what it holds cannot be used.
        PluginError: the reference to a function leads nowhere.
    """
    name, path = spec.source, _path(spec, folder)
    if name.endswith(("/", os.sep)) or path.is_dir():
        return _of_folder(path, spec)
    found = reader(spec)
    if found is None and ":" not in name:
        raise DataError(f"data.source: '{name}' names no data; give {FORMS}")
    if found == path.suffix[1:].lower() and not path.is_file():
        raise DataError(f"{name}: no such file; looked for {path}")
    values = read_raw(spec, folder, found)
    if isinstance(values, Source):
        return values
    if isinstance(values, pd.DataFrame):
        return from_frame(values, spec)
    if isinstance(values, Mapping):
        return from_values({str(key): value for key, value in values.items()}, spec)
    if isinstance(values, tuple | list) and len(values) == 2:
        return from_values({"X": values[0], "y": values[1]}, spec)
    raise DataError(
        f"{name}: the function returned {type(values).__name__}; return (x, y), a dictionary "
        "with X and y, or a data frame"
    )


def reader(spec: DataSpec) -> str | None:
    """The registered reader of a source: that of a file's suffix, or of what stands before the colon."""
    known = registry.registered(GROUP)
    names = (Path(spec.source).suffix[1:].lower(), spec.source.partition(":")[0])
    return next((name for name in names if name in known), None)


def digest(spec: DataSpec, folder: Path) -> str:
    """A hash of the file that `[data] source` names; none where it names no file, or it is not there."""
    path = folder / Path(spec.source).expanduser()
    if path.is_dir():
        return hashlib.sha256(pictures.digest(path).encode()).hexdigest()
    if path.suffix[1:].lower() not in registry.registered(GROUP):
        return ""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _of_folder(path: Path, spec: DataSpec) -> Source:
    """Pictures whose classes are the folders that they lie in."""
    if not path.is_dir():
        raise DataError(f"{spec.source}: no such folder; looked for {path}")
    if spec.target is not None:
        raise DataError(f"{spec.source}: target: the folders are the classes; leave target out")
    files, classes, notes = pictures.in_folder(path, spec.source)
    x, told = pictures.read(files, spec, spec.source)
    return Source(spec.source, x, pd.Series(classes, name="class"), notes=(*notes, *told))


def from_frame(
    frame: pd.DataFrame, spec: DataSpec, decimal: str | None = None, folder: Path = _HERE
) -> Source:
    """Rows whose target is one of the columns.

    Args:
        frame: the table.
        spec: `[data]`.
        decimal: see `Source`.
        folder: what names of pictures are seen from.

    Raises:
        DataError: `target` is not given or not there, or a name stands twice.
    """
    frame = arrays.table(frame, spec.source)
    if not spec.targets:
        raise DataError(
            f"{spec.source}: target is not given; name the column to predict, one of: "
            f"{listed(frame.columns, _SHOWN)}"
        )
    for name in spec.targets:
        if name not in frame.columns:
            one = "; there is one column only, so say separator in [data]" if len(frame.columns) == 1 else ""
            told = arrays.no_column(name, list(frame.columns), f"{spec.source}: target")
            raise DataError(f"{told}{one}")
    # A column without a name is the row numbers that pandas and R write before each row.
    nameless = [name for name in frame.columns if name.startswith("Unnamed: ")]
    notes = ("A column without a name is left out; a name in the first line keeps it.",) if nameless else ()
    if spec.image is not None:
        return _of_pictures(frame, spec, notes, folder)
    if spec.of_sequences:
        return _of_sequences(frame.drop(columns=nameless), spec, notes, decimal)
    x, read = beside.apart(frame.drop(columns=[*spec.targets, *nameless]), spec, folder)
    return Source(spec.source, x, _of(frame, spec), notes=(*notes, *read))


def _of(frame: pd.DataFrame, spec: DataSpec) -> Y:
    return frame[spec.targets[0]] if len(spec.targets) == 1 else frame[list(spec.targets)]


def _of_pictures(frame: pd.DataFrame, spec: DataSpec, notes: tuple[str, ...], folder: Path) -> Source:
    """The pictures of a column; of the others those that the study names divide and weigh them."""
    named = (("image", spec.image), ("group", spec.group), ("time", spec.time), ("weight", spec.weight))
    wanted = {key: name for key, name in named if name is not None}
    arrays.check_columns(frame, wanted, spec.source)
    x, told = pictures.read(
        pictures.named(frame[wanted.pop("image")], folder, spec.source), spec, spec.source
    )
    beside = {name: frame[name] for name in wanted.values()}
    return Source(spec.source, x, _of(frame, spec), further=beside, notes=(*notes, *told))


def _of_sequences(frame: pd.DataFrame, spec: DataSpec, notes: tuple[str, ...], decimal: str | None) -> Source:
    """Runs of rows, whose targets, times, groups and weights are those of one row each."""
    found = sequences.found(frame, spec, Options.of(spec, decimal))
    rows = found.x.frame.iloc[found.y].reset_index(drop=True)
    wanted = [name for name in (spec.group, spec.time, spec.weight) if name is not None]
    beside = {name: rows[name] for name in wanted if name in rows.columns}
    # The target's past is known to a window; of a sequence that has one target it is none.
    own = (spec.sequence, spec.order, *(() if spec.window is not None else spec.targets))
    x = replace(found.x, frame=found.x.frame.drop(columns=[name for name in own if name is not None]))
    return Source(
        spec.source, x, _of(rows, spec), further=beside, notes=(*notes, *found.notes), steps=found.steps
    )


def from_values(values: Mapping[str, Any], spec: DataSpec, names: tuple[str, ...] = ()) -> Source:
    """Rows from arrays under the keys that an NPZ file has.

    Raises:
        DataError: keys are missing, or the arrays do not go together.
    """
    where = spec.source
    if spec.of_sequences:
        raise DataError(
            f"{where}: sequence and window are of one table with its target; here y comes with the data"
        )
    if spec.target is not None:
        raise DataError(
            f"{where}: target: {', '.join(map(repr, spec.targets))} cannot be chosen, as y comes with the "
            "data; leave target out"
        )
    values = beside.gathered(values, spec, _KEYS)
    for key in ("X", "y"):
        if key not in values:
            raise DataError(
                f"{where}: {key} is missing; found: {', '.join(values) or 'nothing'}; needed: X and y"
            )
    x, y = arrays.pair(values["X"], values["y"], where, kind=spec.kind)
    told: tuple[str, ...] = ()
    if isinstance(x, pd.DataFrame):
        x, told = beside.apart(x, spec, _HERE)
    if isinstance(x, InputParts) and spec.kind is not None:
        raise DataError(f"{where}: kind: is that of one input, and the data have several; leave it out")
    validation = _validation(values, x, spec)
    wanted = {name for name in (spec.group, spec.time, spec.weight) if name is not None}
    further = {key: np.asarray(values[key]) for key in values if key in wanted and key not in _KEYS}
    for key, array in further.items():
        if array.shape != (len(x),):
            raise DataError(
                f"{where}: {key} has shape {array.shape}, but X has {len(x)} rows; give one value per row"
            )
    if isinstance(x, np.ndarray) and x.ndim == 2 and x.dtype != np.int32:
        names = names or tuple(f"x{i}" for i in range(x.shape[1]))
    test = _hashes(values["X_test"], values["y_test"]) if {"X_test", "y_test"} <= values.keys() else None
    turned = (
        isinstance(x, np.ndarray)
        and x.ndim == 4
        and x.shape[1:]
        not in (
            np.shape(values["X"])[1:],
            (1, *np.shape(values["X"])[1:]),
        )
    )
    notes = ("The images have their channels last; a network gets them first, as (N, C, H, W).",) * turned
    return Source(where, x, y, names, validation, "X_test" in values, test, further, (*told, *notes))


def arrays_for_test(values: Mapping[str, Any], spec: DataSpec) -> tuple[X, Y]:
    """The inputs and targets of the test split that a source brings.

    Raises:
        DataError: it lacks one of them, or they cannot be used.
    """
    values = beside.gathered(values, spec, _KEYS)
    if "X_test" not in values or "y_test" not in values:
        raise DataError(f"{spec.source}: X_test and y_test belong together; give both or neither")
    x, y = arrays.pair(values["X_test"], values["y_test"], spec.source, "_test", spec.kind)
    return (beside.apart(x, spec, _HERE)[0] if isinstance(x, pd.DataFrame) else x), y


def _hashes(x: Any, y: Any) -> tuple[HashedTable, HashedTable]:
    """Of a test split, whatever it holds: it is checked when it is opened."""
    if isinstance(x, InputParts):
        return HashedTable(x), HashedTable(_table(y))
    with suppress(TypeError, ValueError), np.errstate(over="ignore"):
        x = x if isinstance(x, pd.DataFrame) else np.atleast_1d(np.asarray(x)).astype(np.float32)
    return HashedTable(_table(x)), HashedTable(_table(y))


def _table(values: Any) -> X:
    if isinstance(values, pd.DataFrame):
        return values
    array = np.atleast_1d(np.asarray(values))
    return array.reshape(len(array), 1) if array.ndim == 1 else array


def _validation(values: Mapping[str, Any], x: X, spec: DataSpec) -> tuple[X, Y] | None:
    where = spec.source
    provided = {f"{key}_validation" for key in ("X", "y")} & set(values)
    if not provided:
        return None
    if len(provided) == 1:
        raise DataError(f"{where}: X_validation and y_validation belong together; give both or neither")
    judged, y = arrays.pair(values["X_validation"], values["y_validation"], where, "_validation", spec.kind)
    if isinstance(judged, pd.DataFrame):
        judged, _ = beside.apart(judged, spec, _HERE)
    if type(x) is not type(judged):
        raise DataError(f"{where}: X and X_validation differ in kind; give two arrays or two data frames")
    if isinstance(x, InputParts) and not arrays.are_alike(x, judged):
        raise DataError(
            f"{where}: the inputs of X_validation and X differ in name or shape; only N may differ"
        )
    if isinstance(x, np.ndarray) and isinstance(judged, np.ndarray) and not arrays.are_alike(x, judged):
        raise DataError(
            f"{where}: X_validation has shape {judged.shape}, but X has {x.shape}; only N may differ"
        )
    return judged, y


def csv(spec: DataSpec, folder: Path) -> Source:
    """Rows of a CSV file."""
    frame, written = table.read_csv(_path(spec, folder), spec)
    decimal = "," if written.separator == ";" else "."
    try:
        found = from_frame(frame, spec, decimal, _path(spec, folder).parent)
    except DataError as error:
        raise DataError(" ".join((f"{error}." if written.notes else f"{error}", *written.notes))) from None
    return replace(found, decimal=decimal, notes=(*written.notes, *found.notes))


def parquet(spec: DataSpec, folder: Path) -> Source:
    """Rows of a Parquet file."""
    path = _path(spec, folder)
    return from_frame(table.read_parquet(path, spec.source), spec, folder=path.parent)


def sklearn(spec: DataSpec, folder: Path) -> Source:  # noqa: ARG001
    """Rows of a set that comes with scikit-learn."""
    wanted = spec.source.removeprefix("sklearn:")
    if wanted not in bundled.SETS:
        raise DataError(f"{spec.source}: unknown set '{wanted}'; {near(wanted, bundled.SETS)}")
    x, y, names = bundled.read(wanted)
    return from_values({"X": x, "y": y}, spec, names)


def npz(spec: DataSpec, folder: Path) -> Source:
    """Rows of an NPZ file."""
    wanted = {key for key in (*_KEYS, spec.group, spec.time, spec.weight) if key is not None}
    path = _path(spec, folder)
    values = archives.arrays_of(path, wanted, spec.source, _TEST)
    if "X" not in values:  # each input by its own name
        values = archives.arrays_of(path, values.keys(), spec.source, _TEST)
    return from_values(values, spec)


def read_raw(spec: DataSpec, folder: Path, reader: str | None) -> Any:
    """What a registered reader returns, or of None the function that `[data] source` names.

    Raises:
        DataError: it raised, or there is nothing to call.
    """
    function = registry.load(reader or spec.source, GROUP, folder)
    if not callable(function):
        raise DataError(
            f"{spec.source}: is {type(function).__name__}, not a function; name a function without arguments"
        )
    try:
        return function(spec, folder) if reader else function()
    except (TunerError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise DataError(f"{spec.source}: the function raised {described(error)}") from error


def _path(spec: DataSpec, folder: Path) -> Path:
    return folder / Path(spec.source).expanduser()
