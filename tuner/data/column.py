"""The values of one raw column as the names of classes; `reading` sees how a column of inputs is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.data.number_forms import word

_WORDS = {"true": 1.0, "false": 0.0}


def numbers(texts: Iterable[Any]) -> NDArray[np.float64]:
    """Plain numbers among texts, ``true`` and ``false`` as 1 and 0; NaN elsewhere; (N,)."""
    raw = pd.Series(list(texts), dtype=object)
    values = np.array(pd.to_numeric(raw, errors="coerce"), np.float64)
    rest = np.isnan(values)
    values[rest] = [_WORDS.get(str(text).strip().lower(), np.nan) for text in raw[rest]]
    return values


def text(column: pd.Series[Any]) -> NDArray[np.object_]:
    """Every value as the text that names it; (N,)."""
    codes, each = distinct(column)
    return np.array([*map(word, each.astype(object)), None], dtype=object)[codes]


def distinct(column: pd.Series[Any]) -> tuple[NDArray[np.intp], pd.Series[Any]]:
    """The different values of a column in the order in which they come, missing ones too, and which each is.

    Of text alone, as other values may be equal and written differently: 1, 1.0 and true. There each row has
    a value of its own.

    Returns:
        (N,) places among the different values, and these.
    """
    if not isinstance(column.dtype, pd.StringDtype):
        return np.arange(len(column)), column
    codes, found = pd.factorize(column, use_na_sentinel=False)
    return codes, pd.Series(found, dtype=column.dtype, name=column.name)
