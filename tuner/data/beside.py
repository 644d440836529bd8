"""Several inputs of a source: columns that are more than a column, and arrays by names of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tuner.core.data_spec import DataSpec
from tuner.data import arrays, pictures
from tuner.data.arrays import TABLE, InputParts, X
from tuner.errors import DataError

_ENDS = ("_validation", "_test")


def apart(frame: pd.DataFrame, spec: DataSpec, folder: Path) -> tuple[X, tuple[str, ...]]:
    """Columns; texts and pictures among them by themselves, where the study says so; and what was done.

    Raises:
        DataError: a column is not there or has the name of all others, or a picture cannot be read.
    """
    if not (aside := spec.aside):
        return frame, ()
    if TABLE in frame.columns:
        raise DataError(
            f"{spec.source}: columns.{TABLE}: so the other columns are called together; rename this one"
        )
    arrays.check_columns(frame, {f"columns.{name}": name for name in aside}, spec.source)
    parts: dict[str, Any] = {TABLE: frame.drop(columns=list(aside))}
    notes: tuple[str, ...] = ()
    for name, kind in aside.items():
        parts[name] = frame[name]
        if kind == "image":
            files = pictures.named(frame[name], folder, spec.source)
            parts[name], told = pictures.read(files, spec, spec.source)
            notes += told
    return InputParts(parts).without(()), notes


def gathered(values: Mapping[str, Any], spec: DataSpec, keys: Collection[str]) -> Mapping[str, Any]:
    """Arrays by name, where each input has its own beside y, with all of them as X.

    Args:
        values: by the names that an NPZ file has; others than those of inputs stay as they are.
        spec: `[data]`.
        keys: the names that are no inputs.

    Raises:
        DataError: inputs that cannot be used, or do not go together.
    """
    kinds, found = spec.aside, dict(values)
    if "X" not in values and "y" in values:
        beside = {*keys, spec.group, spec.time, spec.weight}
        names = [name for name in values if name not in beside and not _is_split(name, values)]
        if len(names) < 2 or all(arrays.is_column(values[name]) for name in names):
            return values  # columns of numbers are one table, which is given as X
        for end in ("", *_ENDS):
            if own := {name: found.pop(f"{name}{end}") for name in names if f"{name}{end}" in found}:
                found[f"X{end}"] = own
    for key in ("X", "X_validation", "X_test"):
        if isinstance(found.get(key), Mapping):
            found[key] = InputParts.of(found[key], spec.source, key, kinds)
    return found


def _is_split(name: str, names: Collection[str]) -> bool:
    """Whether an array is a split of another one."""
    return any(name.endswith(end) and name.removesuffix(end) in names for end in _ENDS)
