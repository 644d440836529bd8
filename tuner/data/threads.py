"""Work on the columns of large tables, on all cores: numpy and Arrow hold no interpreter lock meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_BLOCK = 1 << 14

_MANY = 50_000
"""From so many rows on, a column is more work than a thread."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(function: Callable[[Item], Result], columns: Iterable[Item], rows: int) -> list[Result]:
    """What a function returns for each column of so many rows; it is called for several at a time."""
    if rows < _MANY:
        return list(map(function, columns))
    with ThreadPoolExecutor(pa.cpu_count()) as pool:
        return list(pool.map(function, columns))


def chosen(x: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[Any]:
    """Some rows of an array, in this order."""
    found = np.empty((len(rows), *x.shape[1:]), x.dtype)

    def take(start: int) -> None:
        block = slice(start, start + _BLOCK)
        np.take(x, rows[block], axis=0, out=found[block], mode="clip")  # other modes fill a copy of it

    each(take, range(0, len(rows), _BLOCK), len(rows))
    return found
