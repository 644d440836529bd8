"""Datasets of what was passed from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Dataset, FingerprintCheck
from tuner.data import load


def from_memory(
    memory: Any, spec: DataSpec, *, resampling: bool = False, check: FingerprintCheck | None = None
) -> Dataset:
    """See `tuner.data.load`."""
    return load(spec, Path(), memory, resampling=resampling, check=check)


def from_arrays(
    x: Any, y: Any, spec: DataSpec, *, resampling: bool = False, check: FingerprintCheck | None = None
) -> Dataset:
    """The same of inputs and targets."""
    return from_memory((x, y), spec, resampling=resampling, check=check)
