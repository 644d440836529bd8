"""Outline: what a study for some data follows from, without encoding more than some of the rows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.core.data_spec import DataSpec
from tuner.core.dataset import InputKind, Task
from tuner.data import arrays, encoding, given
from tuner.data.arrays import X
from tuner.data.fitting import MOST_CATEGORIES
from tuner.data.load import divided, inputs, options_of, target_of
from tuner.data.source import Source
from tuner.data.split import Parts
from tuner.data.target import Target
from tuner.errors import DataError

SEEN_CELLS = 500_000
"""So many values tell whether a table has columns with many categories."""


@dataclass(frozen=True)
class Outline:
    """What a study for some data follows from.

    Attributes:
        kind: what the inputs of a row are.
        kinds: the same, or of several inputs what each of them is.
        has_codes: whether a column has so many categories that it has codes.
        found: what was read, so that `load.load` need not read it again.
        target: what is predicted.
        parts: the splits.
    """

    kind: InputKind
    kinds: frozenset[InputKind]
    has_codes: bool
    found: Source
    target: Target
    parts: Parts

    @property
    def rows(self) -> int:
        """How many rows there are to train on."""
        return len(self.parts.train)

    @property
    def task(self) -> Task:
        """What is to be done."""
        return self.target.task


def outline(spec: DataSpec, folder: Path, memory: Any = None) -> Outline:
    """What a study for these data follows from; encodes no more than some of the rows.

    Args and errors: as those of `load.load`.
    """
    found = given.read(spec, folder, memory)
    read = target_of(found, spec)
    parts = divided(found, read, spec)
    x = inputs(found, found.x, spec)
    has_codes = _has_codes(found, x, read.rows[parts.train], spec)
    return Outline(arrays.kind_of(x), arrays.kinds_of(x), has_codes, found, read, parts)


def _has_codes(found: Source, x: X, rows: NDArray[np.intp], spec: DataSpec) -> bool:
    if not isinstance(x, pd.DataFrame):
        return False
    step = max(1, len(rows) * x.shape[1] // SEEN_CELLS)
    rows = rows[::step]
    cells = x.iloc[rows[:20]].to_numpy(object, na_value=None)  # type: ignore[arg-type]
    first = dict(zip(x.columns, cells.T, strict=True))
    some = x[[name for name in first if name in spec.columns or not _are_numbers(first[name])]].iloc[rows]
    many = [name for name in some.columns if some[name].nunique() > MOST_CATEGORIES]
    try:
        how, _ = encoding.fit(some[many], found.where, options_of(found, spec))
    except DataError:  # of so few rows, or such as `load` raises of all of them
        return False
    return any("embedding" in table for table in how["columns"])


def _are_numbers(values: NDArray[np.object_]) -> bool:
    """Whether these values, None apart, are numbers, and no codes such as 01067."""
    texts = [str(value) for value in values if value is not None]
    with suppress(ValueError):
        return all(
            np.isfinite(float(text)) and not (text[0] == "0" and text[1:2].isdigit()) for text in texts
        )
    return False
