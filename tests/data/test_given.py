from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from scipy import sparse
from sklearn import datasets
from sklearn.utils import Bunch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from tuner.core.data_spec import DataSpec
from tuner.data import given as from_python
from tuner.data.given import opened, rows_of
from tuner.data.source import Source
from tuner.errors import DataError

FRAME = pd.DataFrame({"a": [1.5, 2.5, 3.5], "b": ["u", "v", None], "y": [0, 1, 1]})


class Samples(Dataset[Any]):
    """A map-style dataset over a list."""

    def __init__(self, samples: list[Any]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        return self.samples[index]


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(())


def read(given: Any, target: str | None = None) -> Source:
    return from_python.read(DataSpec(source="memory", target=target), Path(), given)


@pytest.mark.parametrize(
    "make",
    [
        lambda frame: frame,
        pa.Table.from_pandas,
        pa.RecordBatch.from_pandas,
        lambda frame: {name: frame[name] for name in frame},
        lambda frame: frame.to_dict("records"),
    ],
)
def test_tables_of_any_kind_give_the_same_rows(make: Callable[[pd.DataFrame], Any]) -> None:
    found = read(make(FRAME), "y")
    assert isinstance(found.x, pd.DataFrame)
    assert list(found.x) == ["a", "b"]
    assert found.x["a"].tolist() == [1.5, 2.5, 3.5]
    assert found.x["b"].isna().tolist() == [False, False, True]
    assert list(found.y) == [0, 1, 1]


@pytest.mark.parametrize("is_lazy", [False, True])
def test_a_frame_of_polars_gives_the_same_rows(is_lazy: bool) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.from_pandas(FRAME)
    found = read(frame.lazy() if is_lazy else frame, "y")
    assert isinstance(found.x, pd.DataFrame)
    assert found.x["a"].tolist() == [1.5, 2.5, 3.5]
    assert list(found.y) == [0, 1, 1]
    assert isinstance(rows_of(frame), pd.DataFrame)


def test_a_hugging_face_dataset_says_that_its_numbers_are_classes() -> None:
    huggingface = pytest.importorskip("datasets")
    label = huggingface.ClassLabel(names=["no", "yes"])
    features = huggingface.Features({"a": huggingface.Value("float32"), "y": label})
    table = huggingface.Dataset.from_dict({"a": [1.0, 2.0, 3.0], "y": [0, 1, -1]}, features=features)
    found = read(table, "y")
    assert isinstance(found.y, pd.Series)
    assert isinstance(found.y.dtype, pd.CategoricalDtype)
    assert found.y.isna().tolist() == [False, False, True]
    splits = huggingface.DatasetDict(train=table, validation=table, test=table)
    divided = read(opened(splits, "y"), "y")
    assert divided.has_test
    assert divided.validation is not None


@pytest.mark.parametrize("as_frame", [False, True])
@pytest.mark.parametrize("target", [None, "target"])
def test_a_bunch_keeps_its_names_and_its_numbers(as_frame: bool, target: str | None) -> None:
    iris = datasets.load_iris(as_frame=as_frame)
    found = read(iris, target)
    assert isinstance(found.x, pd.DataFrame)
    assert list(found.x) == datasets.load_iris().feature_names
    assert np.array_equal(found.x.to_numpy(), datasets.load_iris().data)
    assert np.array_equal(np.asarray(found.y, int), datasets.load_iris().target)


def test_a_bunch_of_many_classes_has_a_target_of_classes() -> None:
    many = Bunch(data=np.ones((40, 2)), target=np.arange(40) % 30, target_names=np.array(["p"] * 30))
    found = read(many)
    assert isinstance(found.y, pd.Series)
    assert isinstance(found.y.dtype, pd.CategoricalDtype)


def test_pairs_may_be_of_any_library() -> None:
    x, y = np.eye(4, dtype=np.float32), [0, 1, 0, 1]
    pairs: list[Any] = [
        (x, y),
        [x.tolist(), y],
        (torch.tensor(x, requires_grad=True), torch.tensor(y)),
        (sparse.csr_matrix(x), np.array(y)),
        (pd.DataFrame(x), pd.Series(y)),
        (pa.table({str(i): x[:, i] for i in range(4)}), pa.chunked_array([y])),
        {"X": x, "y": y},
        TensorDataset(torch.tensor(x), torch.tensor(y)),
        Samples([(torch.tensor(row), label) for row, label in zip(x, y, strict=True)]),
        Subset(TensorDataset(torch.tensor(x), torch.tensor(y)), range(4)),
        Samples([{"input": row, "label": label} for row, label in zip(x, y, strict=True)]),
    ]
    for pair in pairs:
        found = read(pair)
        assert np.array_equal(np.asarray(found.x), x), type(pair)
        assert list(found.y) == y, type(pair)


def test_samples_that_are_pictures_have_their_channels_first() -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    found = read(Samples([(image.fromarray(pixels), 0), (image.fromarray(pixels), 1)]))
    assert np.asarray(found.x).shape == (2, 3, 4, 5)


def test_samples_that_are_rows_make_a_table() -> None:
    rows = [{"a": torch.tensor(1.0), "b": "u", "y": 0}, {"a": torch.tensor(2.0), "b": "v", "y": 1}]
    found = read(Samples(rows), "y")
    assert isinstance(found.x, pd.DataFrame)
    assert found.x["a"].tolist() == [1.0, 2.0]


def test_tables_by_split_bring_their_validation_and_test_rows() -> None:
    found = read({"train": FRAME, "validation": pa.Table.from_pandas(FRAME), "test": FRAME}, "y")
    assert found.has_test
    assert found.validation is not None
    assert list(found.validation[1]) == [0, 1, 1]


def test_samples_that_are_dictionaries_may_name_their_target() -> None:
    samples = Samples([{"p": np.ones(2), "kind": 0}, {"p": np.zeros(2), "kind": 1}])
    assert list(read(opened(samples, "kind"), "kind").y) == [0, 1]


def test_what_is_opened_once_stays_as_it_is() -> None:
    pair = opened((np.eye(3), [0, 1, 0]))
    assert opened(pair) == pair
    assert opened(FRAME) is FRAME


@pytest.mark.parametrize(
    ("given", "target", "said"),
    [
        ({1, 2}, None, "cannot use a set; give a data frame"),
        (np.eye(3), None, "cannot use a ndarray; give a data frame"),
        (FRAME, None, "target is not given; name the column to predict, one of: a, b, y"),
        (FRAME, "z", "no column 'z'"),
        ((np.eye(3), [0, 1, 0]), "y", "'y' cannot be chosen, as y comes with the data"),
        ({"a": [1], "b": [2]}, None, "a dictionary with the keys a, b"),
        ({"a": [1], "y": [2, 3]}, "y", "the dictionary is no table"),
        (pd.DataFrame({"a": [[1, 2], [3]], "y": [0, 1]}), "y", "column 'a' holds a list in a cell"),
        ({"train": FRAME, "test": FRAME[["a"]]}, "y", "'test' has no column 'y'; found: a"),
        (Samples([]), None, "a Samples is empty"),
        (Samples([1, 2]), None, "gives an int as a sample; give pairs"),
        (
            Samples([(np.ones(2), 0), (np.ones((3, 2)), 1)]),
            None,
            r"differ in shape: \(2,\), but \(3, 2\) at 1",
        ),
        (Samples([{"p": np.ones(2), "q": np.ones(2), "y": 0}]), "y", "the keys p, q, y; give one input"),
        (Endless(), None, "has no length"),
        (DataLoader(Samples([(1, 2)])), None, "data=loader.dataset"),
    ],
)
def test_what_is_not_understood_is_told_with_what_is(given: Any, target: str | None, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(given, target)
