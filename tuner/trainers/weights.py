"""Weights that a function hands over: copied, written and read as safetensors.

Arrays or tensors by name, as `TrialContext.keep` takes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

FILE = "model.safetensors"

_KINDS = "biuf"
"""The numpy kinds that safetensors can hold: booleans, whole and real numbers."""


def copied(weights: Any) -> dict[str, Any]:
    """Copy weights, so that later steps do not change them.

    Args:
        weights: a module with `state_dict`, an array or tensor, or mappings and sequences of such.

    Returns:
        Tensors on the CPU and numpy arrays by name; names of nested ones are joined by dots.

    Raises:
        TypeError: something in it is no array of numbers.
    """
    return dict(_leaves(weights, ""))


def write(weights: Mapping[str, Any], folder: Path) -> str:
    """Write what `copied` returned.

    Returns:
        ``"torch"`` or ``"numpy"``: what `read` will give.
    """
    if any(_is_tensor(value) for value in weights.values()):
        import torch
        from safetensors.torch import save_file as save_tensors

        tensors = {n: v if _is_tensor(v) else torch.from_numpy(v) for n, v in weights.items()}
        save_tensors(tensors, folder / FILE)
        return "torch"
    from safetensors.numpy import save_file as save_arrays

    save_arrays(dict(weights), folder / FILE)
    return "numpy"


def read(folder: Path, kind: str) -> dict[str, Any]:
    """Read what `write` wrote, as tensors or as numpy arrays."""
    if kind == "torch":
        from safetensors.torch import load_file as load_tensors

        return dict(load_tensors(folder / FILE))
    from safetensors.numpy import load_file as load_arrays

    return dict(load_arrays(folder / FILE))


def _leaves(weights: Any, name: str) -> Iterator[tuple[str, Any]]:
    if callable(getattr(weights, "state_dict", None)):
        weights = weights.state_dict()
    if isinstance(weights, Mapping):
        for key, value in weights.items():
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
    elif isinstance(weights, list | tuple):
        for index, value in enumerate(weights):
            yield from _leaves(value, f"{name}.{index}" if name else str(index))
    elif _is_tensor(weights):
        yield name or "weights", weights.detach().cpu().clone().contiguous()
    else:
        array = np.array(weights, order="C")
        if array.dtype.kind not in _KINDS:
            what = f"{name}: " if name else ""
            raise TypeError(
                f"{what}a {type(weights).__name__} cannot be kept; give arrays, tensors or a module"
            )
        yield name or "weights", array


def _is_tensor(value: Any) -> bool:
    return callable(getattr(value, "detach", None))
