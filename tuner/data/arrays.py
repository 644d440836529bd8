"""Arrays and data frames that somebody hands over: shapes, types and values checked.

Called for data in memory, for NPZ files and for what a function returns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import chain
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from tuner.core.dataset import InputKind
from tuner.data.model_inputs import channels_first, ends, packed, padded
from tuner.errors import DataError, near


@dataclass(frozen=True)
class Sequences:
    """Runs of rows of a table, one row for each step; may be chosen from like an array.

    Attributes:
        frame: the rows, those of a run one after the other.
        starts: (N,) where each sequence begins.
        lengths: (N,) how many steps it has; sequences may share steps.
        how: how they were made, see `sequences.of_rows`.
    """

    frame: pd.DataFrame
    starts: NDArray[np.intp]
    lengths: NDArray[np.intp]
    how: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, rows: Any) -> Sequences:
        return replace(self, starts=self.starts[rows], lengths=self.lengths[rows])

    def rows(self) -> NDArray[np.intp]:
        """The rows of the table that any of them has, ascending."""
        begins, ends = (
            np.bincount(at, minlength=len(self.frame) + 1) for at in (self.starts, self.starts + self.lengths)
        )
        return np.flatnonzero((begins - ends)[:-1].cumsum())


@dataclass(frozen=True)
class InputParts:
    """Several inputs of each row by their names, side by side; may be chosen from like an array.

    Attributes:
        parts: columns of a table, texts or numbers each, as `inputs` gives them.
    """

    parts: Mapping[str, Any]

    @classmethod
    def of(cls, given: Mapping[str, Any], where: str, key: str, kinds: Mapping[str, str]) -> InputParts:
        """Check inputs, and bring each to the shape of its kind.

        Args:
            given: see `inputs`, each.
            where: what errors are prefixed with.
            key: what they are called in errors.
            kinds: of inputs by their names; one that is called as a kind is of it.

        Raises:
            DataError: shapes, types or values that cannot be used, or a name that stands twice.
        """
        parts = {}
        for name, x in given.items():
            kind = kinds.get(name, name if name in _AXES else None)
            if kind in (None, TABLE) and is_column(x):
                x = np.asarray(x)[:, None]
            parts[name] = inputs(x, where, f"{key}['{name}']", kind)
        counts = {name: len(part) for name, part in parts.items()}
        if len(set(counts.values())) != 1:
            told = ", ".join(f"{name} {count}" for name, count in counts.items()) or "no input at all"
            raise DataError(f"{where}: {key} has inputs of different lengths: {told}; give one value per row")
        tables = [part.columns for part in parts.values() if isinstance(part, pd.DataFrame)]
        names = Counter([*parts, *chain.from_iterable(tables)])
        if twice := sorted(str(name) for name, count in names.items() if count > 1):
            raise DataError(f"{where}: {key}: two inputs or columns are called {twice[0]}; rename one")
        return cls({name: x.rename(name) if isinstance(x, pd.Series) else x for name, x in parts.items()})

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    def __getitem__(self, rows: Any) -> InputParts:
        chosen = {name: x.iloc[rows] if hasattr(x, "iloc") else x[rows] for name, x in self.parts.items()}
        return InputParts(chosen)

    def without(self, names: Collection[str]) -> InputParts:
        """The inputs that are left when those of these names are gone, and the columns of tables."""
        kept: dict[str, Any] = {}
        for name, x in self.parts.items():
            if isinstance(x, pd.DataFrame):
                x = x[[column for column in x.columns if column not in names]]
            if name not in names and (not isinstance(x, pd.DataFrame) or x.shape[1]):
                kept[name] = x
        return InputParts(kept)


def is_column(x: Any) -> bool:
    """Whether this is one number for each row."""
    if isinstance(x, list | tuple):
        return bool(x) and all(isinstance(value, Real) for value in x)
    return isinstance(x, np.ndarray | pd.Series) and x.ndim == 1 and is_numeric_dtype(x.dtype)


def by_name(rows: Any, names: Sequence[str]) -> Any:
    """Rows to predict by the names of a model's inputs; of a dictionary what is none of them is the table.

    Raises:
        DataError: these are no columns of one table.
    """
    given = rows.parts if isinstance(rows, InputParts) else rows
    if not isinstance(given, Mapping) or TABLE in given or TABLE not in names:
        return given
    own = {name: given[name] for name in names if name in given}
    if len(own) == len(given):
        return given
    flat = {name: each for name, each in given.items() if name not in own or getattr(each, "ndim", 1) == 1}
    try:
        return own | {TABLE: pd.DataFrame(flat)}
    except ValueError as error:
        raise DataError(f"rows: the columns beside {', '.join(own)} are no table: {error}") from error


def part_of(rows: Any, name: str) -> Any:
    """One of several inputs among rows that come by name; all of them where they come as columns."""
    return rows[name] if isinstance(rows, Mapping) and name in rows else rows


def frame_of(x: Any) -> pd.DataFrame | None:
    """The columns by name that there are in inputs; None where there are none."""
    if isinstance(x, Sequences):
        return x.frame
    if isinstance(x, InputParts):
        return next((part for part in x.parts.values() if isinstance(part, pd.DataFrame)), None)
    return x if isinstance(x, pd.DataFrame) else None


X = pd.DataFrame | pd.Series | NDArray[Any] | Sequences | InputParts
"""Raw inputs: columns of a table, texts, sequences of rows, several of these side by side, or numbers:
float32 (N, D) of tables, float32 or uint8 (N, C, H, W) of images, float32 (N, T, F) of series, NaN in every
feature behind the end of a shorter one, int32 (N, T) of tokens."""


Y = pd.Series | pd.DataFrame | NDArray[Any]

TEXT, TABLE = "text", "table"
"""The name of texts that came without one, and of the columns beside which other inputs stand."""

SHAPES = "(N, D) for tables, (N, T, F) for series, (N, T) for tokens or (N, C, H, W) for images"
_AXES = {"table": (2,), "tokens": (2,), "series": (2, 3), "image": (3, 4)}
_SHOWN = 20


def pair(x: Any, y: Any, where: str, suffix: str = "", kind: str | None = None) -> tuple[X, Y]:
    """Check inputs and targets that belong together.

    Args:
        x: see `inputs`.
        y: (N,), or (N, T) numbers.
        where: what errors are prefixed with.
        suffix: of the arrays' names in errors, e.g. ``"_validation"``.
        kind: see `inputs`.

    Returns:
        The inputs; and a series, or a data frame or an array where T > 1.

    Raises:
        DataError: shapes, types or values that cannot be used.
    """
    x, y = inputs(x, where, f"X{suffix}", kind), _targets(y, where, f"y{suffix}")
    if len(x) != len(y):
        raise DataError(
            f"{where}: X{suffix} has {len(x)} rows, but y{suffix} has {len(y)}; give one target per row"
        )
    return x, y


def inputs(x: Any, where: str, key: str, kind: str | None = None) -> X:
    """Check inputs, and bring them to the shape of their kind.

    Args:
        x: a data frame, texts, or numbers; arrays of different lengths in a list.
        where: what errors are prefixed with.
        key: what they are called in errors.
        kind: `[data] kind`. None: four axes are images, three are series of numbers, or of uint8 grey images,
            and two a table; in a list of different lengths whole numbers are tokens.

    Raises:
        DataError: shapes, types or values that cannot be used.
    """
    if isinstance(x, InputParts):
        return x
    if isinstance(x, pd.DataFrame):
        return table(x, where)
    if isinstance(x, pd.Series) and kind in (None, "tokens") and not is_numeric_dtype(x.dtype):
        return x.reset_index(drop=True).rename(x.name if isinstance(x.name, str) else TEXT)
    if _is_ragged(x):
        x, kind = _padded(x, where, key, kind)
    array = _array(x, where, key)
    if array.ndim == 1 and kind in (None, "tokens") and _are_texts(array):
        return pd.Series(array.astype(object), name=TEXT)
    if kind is None:
        of_three = "image" if array.dtype == np.uint8 else "series"
        kind = {4: "image", 3: of_three}.get(array.ndim, "table")
    if array.ndim not in _AXES[kind]:
        raise DataError(f"{where}: {key} has shape {array.shape}, which is no {kind}; give {SHAPES}")
    if 0 in array.shape:
        raise DataError(
            f"{where}: {key} has shape {array.shape}, so there is nothing in it; give rows and columns"
        )
    if array.dtype.kind not in "biuf":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{where}: {key} holds text or objects where numbers belong ({error}); "
                "give numbers, or a data frame, CSV or Parquet for tables with text"
            ) from error
    if kind == "tokens":
        return _tokens(array, where, key)
    if kind == "image":
        array = channels_first(array)
    elif kind == "series" and array.ndim == 2:
        array = array[:, :, None]
    if kind != "image" or array.dtype != np.uint8:
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
    _check_finite(array, where, key, kind == "series")
    return array


def kinds_of(x: X) -> frozenset[InputKind]:
    """What the inputs of a row are, each of several; texts are tokens."""
    return frozenset(map(kind_of, x.parts.values() if isinstance(x, InputParts) else [x]))


def kind_of(x: X) -> InputKind:
    """What the inputs of a row are."""
    if isinstance(x, pd.Series) or (isinstance(x, np.ndarray) and x.dtype == np.int32):
        return InputKind.TOKENS
    if isinstance(x, Sequences):
        return InputKind.SERIES
    if isinstance(x, InputParts):
        return InputKind.SEVERAL
    return InputKind.TABLE if isinstance(x, pd.DataFrame) else InputKind.of(x.shape[1:])


def are_alike(x: X, other: X) -> bool:
    """Whether both are of one kind and shape, the number of rows apart, and that of steps."""
    if isinstance(x, InputParts) and isinstance(other, InputParts):
        same = x.parts.keys() == other.parts.keys()
        return same and all(are_alike(part, other.parts[name]) for name, part in x.parts.items())
    if not isinstance(x, np.ndarray) or not isinstance(other, np.ndarray):
        return type(x) is type(other)
    from_axis = 2 if x.ndim == 3 or x.dtype == np.int32 else 1
    return x.ndim == other.ndim and x.shape[from_axis:] == other.shape[from_axis:]


def _are_texts(array: NDArray[Any]) -> bool:
    return array.dtype.kind in "UT" or (
        array.dtype.kind == "O" and any(isinstance(value, str) for value in array[:_SHOWN])
    )


def _is_ragged(x: Any) -> bool:
    """Whether these are rows of different lengths."""
    if not isinstance(x, list | tuple) and getattr(x, "dtype", None) != np.object_:
        return False
    if not len(x) or any(isinstance(each, str) or not hasattr(each, "__len__") for each in x):
        return False
    return len({len(each) for each in x}) > 1


def _padded(x: Any, where: str, key: str, kind: str | None) -> tuple[NDArray[Any], str]:
    """Rows of different lengths as one array, and their kind."""
    rows = [_array(each, where, f"{key}[{i}]") for i, each in enumerate(x)]
    full = [each for each in rows if len(each)]
    axes = {each.ndim for each in full}
    if axes not in ({1}, {2}) or len({each.shape[1:] for each in full}) > 1:
        raise DataError(
            f"{where}: {key} holds rows of different shapes; give (T,) or (T, F) each, F the same"
        )
    if kind is None:
        kind = "tokens" if axes == {1} and all(each.dtype.kind in "biu" for each in full) else "series"
    if kind not in ("tokens", "series"):
        raise DataError(f"{where}: {key} holds rows of different lengths, which are no {kind}; give {SHAPES}")
    return padded(rows, 0 if kind == "tokens" else np.nan), kind


def _tokens(array: NDArray[Any], where: str, key: str) -> NDArray[np.int32]:
    """Tokens, those of each row side by side from the first place on, and all `PADDING` behind them."""
    with np.errstate(invalid="ignore"):
        whole = array.astype(np.int64)
    bad = (whole != array) | (whole < 0) | (whole > np.iinfo(np.int32).max)
    if bad.any():
        first = tuple(np.argwhere(bad)[0])
        raise DataError(
            f"{where}: {key} holds {int(bad.sum())} values that are no tokens, the first {array[first]} at "
            f"[{', '.join(map(str, first))}]; give whole numbers from 0 up, 0 for nothing"
        )
    return packed(whole).astype(np.int32)


def _targets(y: Any, where: str, key: str) -> Y:
    if isinstance(y, pd.Series):
        return y.reset_index(drop=True)
    if isinstance(y, pd.DataFrame) and y.shape[1] > 1:
        return table(y, where)
    array = _array(y, where, key)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or 0 in array.shape[1:]:
        raise DataError(f"{where}: {key} has shape {array.shape}; give (N,) or (N, T)")
    if array.dtype.kind == "f":
        _check_finite(array, where, key)
    elif array.ndim == 2 and array.dtype.kind not in "biu":
        raise DataError(f"{where}: {key} has shape {array.shape} and holds no numbers; give (N,) classes")
    return array if array.ndim == 2 else pd.Series(array.astype(str) if array.dtype.kind == "S" else array)


def _array(values: Any, where: str, key: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        told = " ".join(str(error).split())
        raise DataError(f"{where}: {key} is no array: {told}; give rows of equal length") from error
    if array.dtype.kind == "c":
        raise DataError(f"{where}: {key} holds complex numbers; give real ones")
    return array


def table(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """A data frame with text for column names and rows numbered from 0.

    Raises:
        DataError: a name stands twice, or there are no rows.
    """
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1).reset_index(drop=True)
    doubled = sorted(set(frame.columns[frame.columns.duplicated()]))
    if doubled:
        raise DataError(f"{where}: columns with the same name: {', '.join(doubled[:_SHOWN])}; rename them")
    if not len(frame):
        raise DataError(f"{where}: has no rows; give a table with rows")
    return frame


def check_columns(frame: pd.DataFrame, named: Mapping[str, str | None], where: str) -> None:
    """Check that a table has the columns that `[data]` names, by the keys that name them.

    Raises:
        DataError: it lacks one.
    """
    for key, name in named.items():
        if name is not None and name not in frame.columns:
            raise no_column(name, list(frame.columns), f"{where}: {key}")


def no_column(name: str, known: Sequence[str], where: str) -> DataError:
    """What is raised where there is no column of this name; says the near ones."""
    close = known if len(known) <= _SHOWN else get_close_matches(name, known, 8, 0.0)
    return DataError(f"{where}: no column '{name}'; {near(name, close)}")


def _check_finite(array: NDArray[Any], where: str, key: str, is_series: bool = False) -> None:
    if array.dtype.kind not in "f":
        return
    bad = ~(np.abs(array) <= np.finfo(np.float32).max)
    if is_series and bad.any():
        steps = ends(array)
        if not steps.all():
            raise DataError(
                f"{where}: {key} holds a row without any step, {int(np.argmin(steps))}; leave such rows out"
            )
        bad &= (np.arange(array.shape[1]) < steps[:, None])[:, :, None]
    if bad.any():
        first = ", ".join(str(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"{where}: {key} holds {int(bad.sum())} values that are NaN, infinite or too large for float32, "
            f"the first at [{first}]; fill them in or leave these rows out"
        )
