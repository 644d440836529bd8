"""Data that is passed from Python, of whatever library, as data frames and arrays.

Libraries are recognized by the modules of their classes and by what their objects offer; none is imported
for it. `opened` is called once, where the data comes in; everything behind it takes what it returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tuner.core.data_spec import DataSpec
from tuner.data import source
from tuner.data.source import Source
from tuner.errors import DataError

FORMS = (
    "give a data frame (pandas, polars, pyarrow, datasets.Dataset) with target=, a tuple (X, y), "
    "a dictionary with X and y, or with several inputs by name and y, a Bunch of scikit-learn, a torch "
    "Dataset of pairs (x, y), or the name of a source, e.g. 'table.csv'"
)

_LABELS = ("label", "labels", "target", "y")
"""The names under which samples that are dictionaries have their target."""

_SPLITS = {"train": "", "validation": "_validation", "test": "_test"}
"""Splits of a dictionary of tables, and the ends of the arrays' names that they become."""


class Arrays(dict[str, Any]):
    """Arrays and frames by the names of an NPZ file; the target is already apart."""


def opened(given: Any, target: str | None = None) -> pd.DataFrame | Arrays:
    """Data in memory as one data frame, or as arrays.

    Args:
        given: any of `FORMS` but a source; what this returns is returned as it is.
        target: the column to predict.

    Raises:
        DataError: it is none of these, or holds what no column can.
    """
    if isinstance(given, Arrays):
        return given
    if isinstance(given, Mapping):
        return _of_mapping(given, target)
    if (frame := _frame(given)) is not None:
        return frame
    is_pair = isinstance(given, tuple | list) and len(given) == 2
    # Two dictionaries are two rows.
    if is_pair and hasattr(given[0], "__len__") and not isinstance(given[1], Mapping):
        return _apart({"X": given[0], "y": given[1]}, target)
    if isinstance(given, list) and given and all(isinstance(each, Mapping) for each in given):
        return _checked(pd.DataFrame(given))
    if _is_of(given, "torch.utils.data"):
        return _of_torch(given, target)
    raise DataError(f"data: cannot use {_kind(given)}; {FORMS}")


def read(spec: DataSpec, folder: Path, memory: Any = None) -> Source:
    """The rows of a source, or those that were passed from Python.

    Raises:
        DataError: the data cannot be used.
        PluginError: the reference to a function leads nowhere.
    """
    if memory is None:
        return source.read(spec, folder)
    found = opened(memory, next(iter(spec.targets), None))
    if isinstance(found, pd.DataFrame):
        return source.from_frame(found, spec)
    if len(spec.targets) > 1:
        raise DataError("data: several columns to predict have to stand in one data frame; give one")
    return source.from_values(found, spec.model_copy(update={"target": None}))


def _apart(arrays: Mapping[str, Any], target: str | None) -> Arrays:
    """Arrays that were given apart from the target.

    Raises:
        DataError: a target is named, too.
    """
    if target is not None:
        raise DataError(
            f"data: target: '{target}' cannot be chosen, as y comes with the data; leave target out"
        )
    return Arrays({key: _array(value) for key, value in arrays.items()})


def rows_of(given: Any) -> Any:
    """Rows for a model: a data frame of any library as one of pandas, named by text; all else as it is."""
    if isinstance(given, np.ndarray):
        return given
    if isinstance(given, list) and given and all(isinstance(each, Mapping) for each in given):
        given = pd.DataFrame(given)
    frame = _frame(given)
    if frame is None or all(isinstance(name, str) for name in frame.columns):
        return given if frame is None else frame
    return frame.set_axis([str(name) for name in frame.columns], axis=1)


def _frame(given: Any) -> pd.DataFrame | None:
    """A data frame of any library as one of pandas; None of anything else."""
    if isinstance(given, pd.DataFrame):
        return _checked(given)
    if _is_of(given, "polars.lazyframe"):
        given = given.collect()
    if not hasattr(given, "to_pandas"):
        return None
    frame = given.to_pandas()
    if not isinstance(frame, pd.DataFrame):
        return None
    features = getattr(given, "features", None)
    for name, feature in (features if isinstance(features, Mapping) else {}).items():
        # Numbers of classes (datasets.ClassLabel): -1 is a row without a label.
        if type(feature).__name__ == "ClassLabel" and name in frame:
            known = pd.CategoricalDtype(list(range(feature.num_classes)))
            frame[name] = frame[name].astype(known)
    return _checked(frame)


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame, if each of its cells holds one value.

    Raises:
        DataError: a column holds lists, arrays or dictionaries.
    """
    for name, column in frame.items():
        if not pd.api.types.is_object_dtype(column.dtype):
            continue
        first = next((value for value in column if value is not None), None)
        if isinstance(first, list | tuple | set | Mapping | np.ndarray):
            raise DataError(
                f"data: column '{name}' holds {_kind(first)} in a cell; give one value per cell, "
                "or arrays: data=(X, y)"
            )
    return frame


def _array(values: Any) -> Any:
    """One side of a pair, or several by name: of any library as pandas or NumPy has it; lists as they are."""
    if isinstance(values, Mapping):
        return {key: _array(each) for key, each in values.items()}
    if isinstance(values, pd.DataFrame | pd.Series | np.ndarray):
        return values
    if hasattr(values, "to_pandas"):
        return values.to_pandas()
    if hasattr(values, "toarray"):  # sparse
        return values.toarray()
    if hasattr(values, "detach"):  # a tensor, which may be on another device
        return values.detach().cpu().numpy()
    return values


def _of_mapping(given: Mapping[str, Any], target: str | None) -> pd.DataFrame | Arrays:
    """A dictionary of arrays, of columns or of splits; a Bunch."""
    keys = {str(key) for key in given}
    if {"X", "y"} <= keys or ("y" in keys and target is None):
        return _apart({str(key): value for key, value in given.items()}, target)
    if {"data", "target"} <= keys and target != "data":
        return _of_bunch(given, target)
    if "train" in keys and keys <= _SPLITS.keys() and target is not None:
        return _of_splits({str(key): value for key, value in given.items()}, target)
    if target is not None and target in keys:
        try:
            return _checked(pd.DataFrame(dict(given)))
        except ValueError as error:
            raise DataError(f"data: the dictionary is no table: {error}; {FORMS}") from error
    raise DataError(f"data: cannot use a dictionary with the keys {', '.join(sorted(keys)[:20])}; {FORMS}")


def _of_bunch(given: Mapping[str, Any], target: str | None) -> pd.DataFrame | Arrays:
    """What scikit-learn's loaders return; classes are the numbers in its target, as in its own models."""
    x, y = _array(given["data"]), _array(given["target"])
    names, classes = given.get("feature_names"), given.get("target_names")
    if not isinstance(x, pd.DataFrame) and names is not None and np.shape(x)[1:] == (len(names),):
        x = pd.DataFrame(np.asarray(x), columns=[str(name) for name in names])
    whole = np.ndim(y) == 1 and np.asarray(y).dtype.kind in "iu"
    if whole and classes is not None and len(classes) > 1 and len(classes) == np.max(y) + 1:
        y = pd.Series(pd.Categorical(y, categories=range(len(classes))))
    if target is None:
        return Arrays(X=x, y=y)
    if isinstance(frame := given.get("frame"), pd.DataFrame):
        return _checked(frame)
    if not isinstance(x, pd.DataFrame):
        raise DataError("data: the columns of the Bunch have no names; leave target out")
    name = y.name if isinstance(y, pd.Series) and y.name is not None else "target"
    return _checked(x.assign(**{str(name): np.asarray(y)}))


def _of_splits(given: Mapping[str, Any], target: str) -> Arrays:
    """Tables by the names of their splits, e.g. a datasets.DatasetDict."""
    found = Arrays()
    for split, end in _SPLITS.items():
        if split not in given:
            continue
        frame = _frame(given[split])
        if frame is None:
            raise DataError(f"data: '{split}' is {_kind(given[split])}; give a data frame for each split")
        if target not in frame.columns:
            known = ", ".join(map(str, frame.columns))
            raise DataError(f"data: '{split}' has no column '{target}'; found: {known}")
        found.update({f"X{end}": frame.drop(columns=[target]), f"y{end}": frame[target]})
    return found


def _of_torch(given: Any, target: str | None) -> pd.DataFrame | Arrays:
    """A torch Dataset, each of its samples read once."""
    kind = _kind(given)
    if hasattr(given, "dataset") and hasattr(given, "batch_size"):
        raise DataError(f"data: {kind} gives batches; give what it loads from: data=loader.dataset")
    tensors = getattr(given, "tensors", None)
    if isinstance(tensors, tuple) and len(tensors) == 2:
        return _apart({"X": tensors[0], "y": tensors[1]}, target)
    if not hasattr(given, "__len__") or not hasattr(given, "__getitem__"):
        raise DataError(f"data: {kind} has no length; give a Dataset with __len__ and __getitem__")
    samples = [given[i] for i in range(len(given))]
    if not samples:
        raise DataError(f"data: {kind} is empty; give a Dataset with samples")
    if isinstance(samples[0], Mapping):
        return _of_tables(samples, target, kind)
    if not isinstance(samples[0], tuple | list) or len(samples[0]) != 2:
        raise DataError(f"data: {kind} gives {_kind(samples[0])} as a sample; give pairs (x, y)")
    x, y = (_stacked([each[i] for each in samples], kind) for i in range(2))
    return _apart({"X": x, "y": y}, target)


def _of_tables(samples: Sequence[Mapping[str, Any]], target: str | None, kind: str) -> pd.DataFrame | Arrays:
    """Samples that are dictionaries: rows of a table, or an input and a target each."""
    first = samples[0]
    if all(np.ndim(_plain(value)) == 0 for value in first.values()):
        return _checked(pd.DataFrame([{k: _scalar(v) for k, v in each.items()} for each in samples]))
    label = target if target is not None else next((name for name in _LABELS if name in first), None)
    others = [name for name in first if name != label]
    if label is None or label not in first or len(others) != 1:
        raise DataError(
            f"data: {kind} gives samples with the keys {', '.join(map(str, first))}; give one input and one "
            "target each, and name the target: target="
        )
    x, y = ([each[name] for each in samples] for name in (others[0], label))
    return Arrays(X=_stacked(x, kind), y=_stacked(y, kind))


def _stacked(values: Sequence[Any], kind: str) -> Any:
    """One array of all samples; a number each becomes a column."""
    arrays = [_plain(value) for value in values]
    if arrays[0].ndim in (1, 2) and {each.shape[1:] for each in arrays} == {arrays[0].shape[1:]}:
        return arrays if len({len(each) for each in arrays}) > 1 else np.stack(arrays)
    odd = next((i for i, each in enumerate(arrays) if each.shape != arrays[0].shape), None)
    if odd is not None:
        raise DataError(
            f"data: the samples of {kind} differ in shape: {arrays[0].shape}, but {arrays[odd].shape} at "
            f"{odd}; bring them to one shape"
        )
    return np.stack(arrays)


def _plain(value: Any) -> Any:
    """A sample's input or target as an array; pictures with their channels first."""
    array = np.asarray(_array(value))
    if _is_of(value, "PIL"):
        array = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
    return array


def _scalar(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _is_of(given: Any, module: str) -> bool:
    """Whether an object is of a class from a module or package, or derives from one."""
    homes = (each.__module__ for each in type(given).__mro__)
    return any(home == module or home.startswith(f"{module}.") for home in homes)


def _kind(given: Any) -> str:
    name = type(given).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
