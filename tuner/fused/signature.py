"""Signature: what a network's program depends on, the values of its weights and its dropout rates aside.

Equal signatures do not prove that two networks compute the same, for not all that `forward` uses is an
attribute: `Program.computes` compares outputs. Called for every trial that is placed: it has to be quick.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Hashable, Iterator
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tuner.fused.masks import DROPOUTS

_NOT_ATTRIBUTES = frozenset({"_parameters", "_buffers", "_modules", "training"})

_PLAIN = (
    bool, int, float, complex, str, bytes, type(None), type, enum.Enum, torch.dtype, torch.device,
    torch.Size, BuiltinFunctionType,
)  # fmt: skip


def signature(module: nn.Module) -> Hashable:
    """Module tree, attributes, and the tensors' names, shapes and types, as one value to compare."""
    return tuple(_parts(module)), tuple(_tensors(module))


def _parts(module: nn.Module) -> Iterator[Hashable]:
    for name, part in module.named_modules(remove_duplicate=False):
        dropped = _NOT_ATTRIBUTES | {"p"} if isinstance(part, DROPOUTS) else _NOT_ATTRIBUTES
        attributes = {key: value for key, value in vars(part).items() if key not in dropped}
        yield name, type(part), _frozen(attributes)


def _tensors(module: nn.Module) -> Iterator[Hashable]:
    seen: dict[int, int] = {}  # tied tensors share a number
    for kind in (module.named_parameters, module.named_buffers):
        for name, tensor in kind(remove_duplicate=False):
            number = seen.setdefault(id(tensor), len(seen))
            yield name, number, tensor.shape, tensor.dtype, tensor.requires_grad


def _frozen(value: Any) -> Hashable:
    if isinstance(value, _PLAIN):
        return type(value), value
    if isinstance(value, list | tuple):
        return type(value), tuple(map(_frozen, value))
    if isinstance(value, dict):
        return type(value), tuple((_frozen(key), _frozen(each)) for key, each in value.items())
    if isinstance(value, set | frozenset):
        return type(value), frozenset(map(_frozen, value))
    if isinstance(value, Tensor):
        return _frozen(value.numpy(force=True))
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return value.shape, value.dtype, value.tobytes()
    if isinstance(value, functools.partial):
        return _frozen((value.func, value.args, value.keywords))
    if isinstance(value, FunctionType):
        cells = tuple(cell.cell_contents for cell in value.__closure__ or ())
        return value.__code__, _frozen((value.__defaults__, value.__kwdefaults__, cells))
    return type(value), id(value)  # like nothing but itself
