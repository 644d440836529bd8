"""Arrays and data frames that somebody hands over: shapes, types and values checked.

Called for data in memory, for NPZ files and for what a function returns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.errors import DataError

X = pd.DataFrame | NDArray[Any]
Y = pd.Series | pd.DataFrame | NDArray[Any]

_SHOWN = 20


def pair(x: Any, y: Any, where: str, suffix: str = "") -> tuple[X, Y]:
    """Check inputs and targets that belong together.

    Args:
        x: (N, D) or (N, C, H, W) numbers, or a data frame.
        y: (N,), or (N, T) numbers.
        where: what errors are prefixed with.
        suffix: of the arrays' names in errors, e.g. ``"_validation"``.

    Returns:
        A data frame or finite float32; and a series, or a data frame or an array where T > 1.

    Raises:
        DataError: shapes, types or values that cannot be used.
    """
    x, y = _inputs(x, where, f"X{suffix}"), _targets(y, where, f"y{suffix}")
    if len(x) != len(y):
        raise DataError(
            f"{where}: X{suffix} has {len(x)} rows, but y{suffix} has {len(y)}; give one target per row"
        )
    return x, y


def _inputs(x: Any, where: str, key: str) -> X:
    if isinstance(x, pd.DataFrame):
        return table(x, where)
    array = _array(x, where, key)
    if array.ndim not in (2, 4):
        more = f"; for grey images give {key}[:, None]" if array.ndim == 3 else ""
        raise DataError(
            f"{where}: {key} has shape {array.shape}; give (N, D) for tables or (N, C, H, W) for images{more}"
        )
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
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    _check_finite(array, where, key)
    return array


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


def _check_finite(array: NDArray[Any], where: str, key: str) -> None:
    bad = ~(np.abs(array) <= np.finfo(np.float32).max)
    if bad.any():
        first = ", ".join(str(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"{where}: {key} holds {int(bad.sum())} values that are NaN, infinite or too large for float32, "
            f"the first at [{first}]; fill them in or leave these rows out"
        )
