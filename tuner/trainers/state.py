"""The state of a trial as a `Snapshot` has it: arrays by name, and facts as JSON has them.

Takes apart trees of arrays, tensors, numbers and files, and puts them together again, bit for bit.
Checkpoints that are on disk are read by it: what it wrote before has to be read for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.trial import Reading

Base = Callable[[], Path]
"""Gives a folder, when files are first met."""

_HELD = {
    *("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("bool", "float16", "float32", "float64", "complex64"),
}
"""The types that safetensors holds for numpy; tensors of another one are held as bytes."""


def freeze(tree: Any, base: Base | None = None) -> tuple[dict[str, NDArray[Any]], Any]:
    """Copy a state, so that what is trained on does not change it.

    Args:
        tree: mappings, lists and tuples of arrays, tensors of any device, whole and real numbers,
            text and None; what has a `state_dict` stands for it, and the path of a file or a folder for what
            lies there.
        base: gives the folder in which files are written again; what lies there keeps its place in it.

    Returns:
        The arrays by their places in the tree, and the rest.

    Raises:
        TypeError: there is something else in it; says where.
    """
    arrays: dict[str, NDArray[Any]] = {}
    return arrays, _frozen(tree, "", arrays, base)


def thaw(arrays: Mapping[str, NDArray[Any]], facts: Any, base: Base | None = None) -> Any:
    """Build the tree that `freeze` took apart, from copies; mappings become dicts.

    Args:
        arrays: what `freeze` returned, or what a file gave back of it.
        facts: likewise.
        base: gives the folder in which files are written again; asked if there are any.
    """
    if isinstance(facts, list):
        return [thaw(arrays, part, base) for part in facts]
    if not isinstance(facts, dict):
        return facts
    ((kind, content),) = facts.items()
    if kind == "table":
        return {key: thaw(arrays, part, base) for key, part in content}
    if kind == "tuple":
        return tuple(thaw(arrays, part, base) for part in content)
    if kind == "array":
        return np.array(arrays[content])
    if kind == "turned":
        return np.array(arrays[content]).T
    if kind == "files":
        if base is None:
            raise ValueError("its state has files, which this trainer does not take")
        return _unpacked(arrays, content, base())
    import torch

    name, dtype, shape = content
    tensor = torch.tensor(arrays[name])
    return tensor if dtype is None else tensor.view(getattr(torch, dtype)).reshape(shape)


def reading_table(reading: Reading | None) -> dict[str, Any] | None:
    """A reading as a table."""
    if reading is None:
        return None
    return {name: getattr(reading, name) for name in Reading.__dataclass_fields__}


def reading_of(table: Mapping[str, Any] | None) -> Reading | None:
    """The reading that `reading_table` made a table of."""
    return None if table is None else Reading(**table)


def _frozen(tree: Any, place: str, arrays: dict[str, NDArray[Any]], base: Base | None) -> Any:
    if tree is None or isinstance(tree, bool | str):
        return tree
    if isinstance(tree, np.generic):
        tree = tree.item()
    if isinstance(tree, int | float):
        return tree
    if isinstance(tree, Path):
        return {"files": _packed(tree, place, arrays, base)}
    if isinstance(tree, np.ndarray):
        if tree.dtype.name not in _HELD:
            raise TypeError(f"{place or 'it'}: an array of {tree.dtype} cannot be kept; give one of numbers")
        # The order of an array's numbers in memory may decide how they are added up.
        turned = tree.flags.f_contiguous and not tree.flags.c_contiguous
        copy = np.array(tree.T if turned else tree, tree.dtype.newbyteorder("="), order="C")
        return {"turned" if turned else "array": _added(arrays, place, copy)}
    if callable(getattr(tree, "detach", None)):
        return {"tensor": _tensor(tree, place, arrays)}
    if callable(getattr(tree, "state_dict", None)):
        tree = tree.state_dict()
    inner = f"{place}/" if place else ""
    if isinstance(tree, Mapping):
        for key in tree:
            if not isinstance(key, str | int):
                raise TypeError(f"{inner}{key!r}: names are text or whole numbers")
        return {"table": [[key, _frozen(part, f"{inner}{key}", arrays, base)] for key, part in tree.items()]}
    if isinstance(tree, list | tuple):
        parts = [_frozen(part, f"{inner}{index}", arrays, base) for index, part in enumerate(tree)]
        return parts if isinstance(tree, list) else {"tuple": parts}
    raise TypeError(
        f"{place or 'it'}: a {type(tree).__name__} cannot be kept; "
        "give arrays, tensors, numbers, text or paths"
    )


def _tensor(tensor: Any, place: str, arrays: dict[str, NDArray[Any]]) -> list[Any]:
    """Name, type and shape; the last two only of a tensor that is held as bytes."""
    import torch

    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype in _HELD:
        return [_added(arrays, place, np.array(tensor.numpy(force=True), order="C")), None, None]
    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return [_added(arrays, place, flat.numpy().copy()), dtype, list(tensor.shape)]


def _packed(path: Path, place: str, arrays: dict[str, NDArray[Any]], base: Base | None) -> list[Any]:
    """Where it lies, and the names and contents of its files; the one of a file is empty."""
    path = path.absolute()
    if not path.exists():
        raise TypeError(f"{place or 'it'}: {path} is not there")
    top = base() if base is not None else path.parent
    where = path.relative_to(top).as_posix() if path.is_relative_to(top) else path.name
    found = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    files = []
    for each in found:
        name = "" if each == path else each.relative_to(path).as_posix()
        content = np.frombuffer(each.read_bytes(), np.uint8)
        files.append([name, _added(arrays, f"{place}/{name}".strip("/"), content)])
    return [where, files]


def _unpacked(arrays: Mapping[str, NDArray[Any]], content: list[Any], base: Path) -> Path:
    where, files = content
    path: Path = base / where
    if [name for name, _ in files] != [""]:
        path.mkdir(parents=True, exist_ok=True)
    for name, array in files:
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(arrays[array].tobytes())
    return path


def _added(arrays: dict[str, NDArray[Any]], place: str, array: NDArray[Any]) -> str:
    name = place or "state"
    while name in arrays:  # "a/b", and b in a
        name += "'"
    arrays[name] = array
    return name
