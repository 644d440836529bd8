"""Rows as they stand in the source: what an exported model is compared on, or fitted to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tuner.core.data_spec import DataSpec
from tuner.data import given, targets
from tuner.data.arrays import X
from tuner.data.fingerprint_check import stored_roles
from tuner.data.load import divided, inputs, target_of
from tuner.data.resampling import rows_of


def split_rows(
    spec: DataSpec, folder: Path, memory: Any = None, fingerprint: bytes | None = None, train: bool = False
) -> tuple[X, NDArray[Any]]:
    """Raw inputs of the validation split and their truth, as `Model.losses` takes them; none of the test.

    Args:
        spec: `[data]`.
        folder: what relative paths and ``./file.py`` references start from.
        memory: the data, where it was passed from Python.
        fingerprint: the stored one, see `Dataset.fingerprint`.
        train: of the training split instead.

    Raises:
        DataError: the data cannot be read.
    """
    found = given.read(spec, folder, memory)
    read = target_of(found, spec)
    if found.validation is not None and not train:
        x, y = found.validation
        values = targets.again(read, y)
        return inputs(found, x, spec), targets.names_of(values, read.labels) if read.labels else values
    parts = divided(found, read, spec, stored_roles(fingerprint))
    chosen = parts.train if train or not len(parts.validation) else parts.validation
    truth = read.values[chosen]
    rows = rows_of(inputs(found, found.x, spec), read.rows[chosen])
    return rows, targets.names_of(truth, read.labels) if read.labels else truth
