"""Ties: weights that two parts of a network share.

One parameter under two names is trained as one in every engine. What two parameters share is their memory
alone, and each engine moves the weights that it trains, which would part them without a word.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from tuner.errors import TrialError


def tie(module: nn.Module) -> None:
    """Make parameters that are the same memory the same parameter, as ``b.data = a.data`` means them to be.

    Buffers made by `expand` get memory of their own, for `load_state_dict` cannot write to them.

    Raises:
        TrialError: what is trained shares memory with a tensor that cannot be the same parameter.
    """
    alike: dict[int, list[tuple[str, Tensor]]] = defaultdict(list)
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if is_lazy(tensor) or tensor.layout is not torch.strided:
            continue
        alike[tensor.untyped_storage().data_ptr()].append((name, tensor))
        steps = zip(tensor.shape, tensor.stride(), strict=True)
        if not isinstance(tensor, nn.Parameter) and any(n > 1 and not step for n, step in steps):
            _replace(module, tensor, tensor.clone(memory_format=torch.contiguous_format))
    for place, found in alike.items():
        for (first, one), (second, two) in combinations(found if place else (), 2):
            if not (one.requires_grad or two.requires_grad) or one is two or not _overlap(one, two):
                continue
            if not (isinstance(two, nn.Parameter) and _layout(one) == _layout(two)):
                raise TrialError(
                    f"{first} and {second} share memory, so that a step of one would move the other; "
                    "make them one parameter, decoder.weight = encoder.weight, or give one a copy"
                )
            _replace(module, two, one)


def _layout(tensor: Tensor) -> tuple[object, ...]:
    place = (tensor.shape, tensor.stride(), tensor.storage_offset())
    return *place, tensor.dtype, tensor.requires_grad


def _overlap(one: Tensor, two: Tensor) -> bool:
    """Whether an element of one is one of the other's, for tensors of the same storage."""
    if one.dtype != two.dtype:
        return True
    (start, stop), (begin, end) = _reach(one), _reach(two)
    if stop <= begin or end <= start:
        return False
    taken = torch.zeros(max(stop, end), dtype=torch.bool)
    taken.as_strided(one.shape, one.stride(), one.storage_offset()).fill_(True)
    return bool(taken.as_strided(two.shape, two.stride(), two.storage_offset()).any())


def _reach(tensor: Tensor) -> tuple[int, int]:
    """The first of its elements in its storage, and where the last one is over."""
    start = int(tensor.storage_offset())
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    return start, start + bool(tensor.numel()) * (1 + sum((n - 1) * step for n, step in steps))


def _replace(module: nn.Module, old: Tensor, new: Tensor) -> None:
    for part in module.modules():
        for named in (part.named_parameters, part.named_buffers):
            for name, tensor in list(named(recurse=False, remove_duplicate=False)):
                if tensor is old:
                    setattr(part, name, new)
