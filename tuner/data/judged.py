"""Rows as they stand in the source: what an exported model is compared on, or fitted to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tuner.core.data_spec import DataSpec
from tuner.data import given, source, targets
from tuner.data.arrays import X
from tuner.data.fingerprint_check import stored_roles
from tuner.data.load import divided, inputs, options_of
from tuner.data.resampling import rows_of


def split_rows(
    spec: DataSpec, folder: Path, memory: Any = None, fingerprint: bytes | None = None, train: bool = False
) -> X:
    """Raw inputs of the validation split, as `Model.predict` takes them; never a row of the test.

    Args:
        spec: `[data]`.
        folder: what relative paths and ``./file.py`` references start from.
        memory: the data, where it was passed from Python.
        fingerprint: the stored one, see `Dataset.fingerprint`.
        train: of the training split instead.

    Raises:
        DataError: the data cannot be read.
    """
    found = source.read(spec, folder) if memory is None else given.source_of(memory, spec)
    if found.validation is not None and not train:
        return inputs(found, found.validation[0], spec)
    read = targets.read(found.y, spec.task, found.where, options_of(found, spec))
    parts = divided(found, read, spec, stored_roles(fingerprint))
    chosen = parts.train if train or not len(parts.validation) else parts.validation
    return rows_of(inputs(found, found.x, spec), read.rows[chosen])
