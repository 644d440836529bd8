"""Columns: what trials hold, as numpy arrays.

`nan` and `""` stand for "none". Which columns there are, and what is made of them, is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuner.core.space import Choice, SearchSpace
from tuner.core.trial import Params

LARGEST = 1e100
"""Numbers beyond are taken for "none": no axis holds them, and sums and squares of the others are finite."""


def numbers(values: ArrayLike | Sequence[float | None]) -> NDArray[np.float64]:
    """A column of numbers, `nan` for None and for what is not finite or beyond `LARGEST`."""
    found = np.asarray(values, dtype=np.float64)
    if len(found) and max(found.max(), -found.min()) < LARGEST:
        return found
    return np.where(np.abs(found) < LARGEST, found, np.nan)


def param_columns(space: SearchSpace, params: Sequence[Params]) -> dict[str, NDArray[Any]]:
    """Each searched parameter as a column (N,).

    Returns:
        Numbers as floats, `nan` where not active; choices as text, `""` where not active.
    """
    columns: dict[str, NDArray[Any]] = {}
    for name, parameter in space:
        if isinstance(parameter, Choice):
            texts = ["" if each.get(name) is None else str(each[name]) for each in params]
            columns[name] = np.array(texts, dtype=object)
        else:
            columns[name] = np.array([each.get(name, math.nan) for each in params], dtype=np.float64)
    return columns


def moments(texts: Sequence[str | None]) -> NDArray[np.float64]:
    """UTC times as ISO 8601 has them, in seconds since 1970; `nan` for none."""
    return np.array([_moment(text) if text else math.nan for text in texts], dtype=np.float64)


def _moment(text: str) -> float:
    read = datetime.fromisoformat(text)
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
