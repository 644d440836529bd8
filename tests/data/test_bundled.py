from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn import datasets

from tuner.data import bundled

LOADERS: Mapping[str, Any] = {
    "breast_cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
}


@pytest.mark.parametrize("name", LOADERS)
def test_each_set_is_what_scikit_learn_loads(name: str) -> None:
    x, y, names = bundled.read(name)
    found = LOADERS[name]()
    np.testing.assert_array_equal(x, found.data)
    assert names == tuple(map(str, found.feature_names))
    truth = np.asarray(found.target_names)[found.target] if "target_names" in found else found.target
    np.testing.assert_array_equal(y, truth)
    assert y.dtype == truth.dtype


def test_digits_as_images_are_scikit_learns_images() -> None:
    x, y, names = bundled.read("digits-images")
    found = datasets.load_digits()
    np.testing.assert_array_equal(x, found.images[:, None])
    np.testing.assert_array_equal(y, found.target)
    assert names == ()


def test_digits_come_from_scikit_learn_itself_where_their_file_lies_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    direct = bundled.read("digits")
    elsewhere = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(bundled, "find_spec", lambda _: elsewhere)
    x, y, names = bundled.read("digits")
    np.testing.assert_array_equal(x, direct[0])
    np.testing.assert_array_equal(y, direct[1])
    assert names == direct[2]
