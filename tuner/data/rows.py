"""Rows of a file to predict: inputs alone, where the target may be missing or stand among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tuner import registry
from tuner.core.data_spec import DataSpec
from tuner.data import archives, pictures, source, table
from tuner.data.source import Source
from tuner.errors import DataError


def read_rows(path: Path, where: str) -> Any:
    """Read the inputs of a CSV, Parquet or NPZ file, of a folder, or of what a plugin reads, as a study does.

    Args:
        path: the file.
        where: what errors are prefixed with.

    Returns:
        A data frame with every column of the file, or an array.

    Raises:
        DataError: it cannot be read.
    """
    spec = DataSpec(source=str(path))
    if path.is_dir():
        return pd.DataFrame({pictures.FOLDER_FILE: [str(file) for file in pictures.files_in(path)[0]]})
    found = source.reader(spec)
    if found is None:
        known = ", ".join(sorted(registry.registered(source.GROUP)))
        raise DataError(f"{where}: not a known kind of file; its name must end in one of: {known}")
    if not path.is_file():
        raise DataError(f"{where}: no such file; looked for {path.resolve()}")
    if found in table.ENDINGS:
        return _seen_from(table.read_csv(path, spec.model_copy(update={"source": where}))[0], path)
    if found in ("parquet", "pq"):
        return _seen_from(table.read_parquet(path, where), path)
    if found == "npz":
        values = archives.arrays_of(path, ("X",), where)
        if "X" not in values and len(values.keys() - {"y"}) > 1:
            values = archives.arrays_of(path, values.keys() - {"y"}, where)
            return {name: array for name, array in values.items() if array is not None}
    else:
        values = source.read_raw(spec, Path(), found)
    if isinstance(values, Source):
        return values.x
    if isinstance(values, Mapping):
        if "X" not in values:
            raise DataError(f"{where}: X is missing; found: {', '.join(values) or 'nothing'}")
        return values["X"]
    return values if isinstance(values, pd.DataFrame) else values[0]


def _seen_from(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The rows, which say what names of files in them are seen from."""
    rows.attrs[pictures.FOLDER] = str(path.parent)
    return rows
