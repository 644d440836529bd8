"""Work on the columns of large tables, on all cores: numpy and Arrow hold no interpreter lock meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pyarrow as pa

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
