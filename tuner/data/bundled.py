"""The sets that come with scikit-learn.

The digits, which the first study of every user reads, are read from scikit-learn's own file: importing
`sklearn.datasets` takes 1.1 s of CPU. The other sets are loaded by scikit-learn.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SETS = ("breast_cancer", "diabetes", "digits", "digits-images", "iris", "wine")
"""Their names; `digits-images` are the digits as (1, 8, 8) images."""

_SIDE = 8


def read(name: str) -> tuple[NDArray[Any], NDArray[Any], tuple[str, ...]]:
    """Inputs, (N, D) or (N, C, H, W); one target per row; the columns' names, none of images."""
    if name == "digits-images":
        x, y, _ = _digits()
        return x.reshape(-1, 1, _SIDE, _SIDE), y, ()
    return _digits() if name == "digits" else _loaded(name)


def _loaded(name: str) -> tuple[NDArray[Any], NDArray[Any], tuple[str, ...]]:
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")()
    y = found.target
    if "target_names" in found:
        y = np.asarray(found.target_names)[y]
    return found.data, y, tuple(map(str, found.feature_names))


def _digits() -> tuple[NDArray[Any], NDArray[Any], tuple[str, ...]]:
    """What `sklearn.datasets.load_digits` reads."""
    package = find_spec("sklearn")
    folders = package.submodule_search_locations if package is not None else None
    path = Path(*(folders or [""])[:1], "datasets", "data", "digits.csv.gz")
    if not path.is_file():
        return _loaded("digits")
    rows = np.loadtxt(path, delimiter=",")
    names = tuple(f"pixel_{i}_{j}" for i in range(_SIDE) for j in range(_SIDE))
    return rows[:, :-1], rows[:, -1].astype(int), names
