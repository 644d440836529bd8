"""Layers: the common layers computed for K rows at once, twice as fast as `torch.vmap` computes them.

A network is taken whole or, if its graph holds anything else, not at all; `program` then takes `torch.vmap`.
A layer that is added here has to give the numbers that `torch.vmap` gives.

Everything is (K, B, ...). Behind a compiled convolution images (K, B, C, H, W) lie in memory as
(K, B, H, W, C), behind any other as (B, K C, H, W), channels last, so that it is one with K groups.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from tuner.fused.convolution import convolved, is_compiled, padding_of
from tuner.fused.convolution_kernel import LARGEST, PLAIN, POSITIVE
from tuner.fused.masks import MaskedDropout
from tuner.fused.norms import STATE, normalized
from tuner.fused.row_layer import RowLayer

Tensors = Mapping[str, Tensor]
Forward = Callable[[Tensors, Tensor, Sequence[Tensor], Tensor | None], Tensor]

_ELEMENTWISE = (
    nn.Identity, nn.Sigmoid, nn.Tanh, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.ELU, nn.SELU,
    nn.CELU, nn.Mish, nn.Softplus, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.LogSigmoid,
)  # fmt: skip
_FUNCTIONS = frozenset({
    torch.relu, torch.tanh, torch.sigmoid, functional.relu, functional.leaky_relu, functional.gelu,
    functional.silu, functional.elu, operator.add, operator.sub, torch.add,
})  # fmt: skip
_METHODS = frozenset({"relu", "tanh", "sigmoid"})


class UnsupportedLayer(Exception):
    """The graph holds a layer or an operation that has no batched form here."""


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, MaskedDropout | RowLayer) or super().is_leaf_module(m, module_qualified_name)


def batched(module: nn.Module, names: Mapping[str, str]) -> Forward:
    """Turn a network, as its mode is now, into a function of stacked tensors, inputs and masks.

    Args:
        module: the network.
        names: what each of its parameters is called among the tensors; tied ones have one name.

    Raises:
        UnsupportedLayer: it has a layer or an operation without a batched form, or no graph.
    """
    try:
        nodes = list(_Tracer().trace(module).nodes)
    except Exception as error:
        raise UnsupportedLayer(str(error)) from error
    parts = dict(module.named_modules(remove_duplicate=False))
    keys = {}
    for node in nodes:
        _check(node, parts)
        part = parts.get(str(node.target))
        own = part.tensors() if isinstance(part, RowLayer) else STATE
        keys[node] = {kind: names.get(f"{node.target}.{kind}", "") for kind in own}
    joint = {
        node: _behind(node, parts) for node in nodes if isinstance(parts.get(str(node.target)), nn.Conv2d)
    }

    def forward(tensors: Tensors, x: Tensor, masks: Sequence[Tensor], shares: Tensor | None) -> Tensor:
        found: dict[fx.Node, Any] = {}
        waiting = iter(masks)

        def value(node: fx.Node) -> Tensor:
            result: Tensor = found[node]
            return result

        for node in nodes:
            if node in found:  # done with the convolution before it
                continue
            if node.op == "placeholder":
                found[node] = x
            elif node.op == "output":
                break
            elif node.op == "call_module":
                part, inputs = parts[str(node.target)], value(node.all_input_nodes[0])
                own: dict[str, Any] = {kind: tensors.get(key) for kind, key in keys[node].items()}
                rows = len(next(iter(tensors.values())))
                if isinstance(part, RowLayer):
                    given = {kind: tensors[key] for kind, key in keys[node].items()}
                    found[node] = part.rows(given, *(value(each) for each in node.all_input_nodes))
                elif node in joint and (padding := _padding(part, inputs, own["weight"])) is not None:
                    kind, *others = joint[node]
                    found |= dict.fromkeys(others)
                    last = [node, *others][-1]
                    found[last] = convolved(inputs, own["weight"], own["bias"], padding, kind)
                elif isinstance(part, _BatchNorm):
                    found[node] = normalized(part, _normal(part, inputs), own, shares, 1)
                else:
                    found[node] = _layer(part, inputs, (own["weight"], own["bias"]), rows, waiting)
            else:
                args, kwargs = fx.map_arg((node.args, node.kwargs), value)
                call = getattr(Tensor, node.target) if isinstance(node.target, str) else node.target
                found[node] = call(*args, **kwargs)
        result = value(nodes[-1].all_input_nodes[0])
        return result if result.ndim == 3 else result.flatten(2)

    return forward


def _check(node: fx.Node, parts: Mapping[str, nn.Module]) -> None:
    known = node.op in ("placeholder", "output")
    if node.op == "call_module":
        part = parts[str(node.target)]
        known = type(part) in (*_RULES, *_ELEMENTWISE, *_BATCH_NORMS) or isinstance(part, MaskedDropout)
        known = known and len(node.args) == 1 and not node.kwargs
        if isinstance(part, RowLayer):
            known = node.all_input_nodes == [*node.args] and not node.kwargs
        if isinstance(part, nn.Conv2d):
            known = known and part.padding_mode == "zeros"
        if isinstance(part, nn.Flatten):
            known = known and (part.start_dim, part.end_dim) == (1, -1)
    elif node.op == "call_function":
        known = node.target in _FUNCTIONS
    elif node.op == "call_method":
        known = node.target in _METHODS
    if not known:
        raise UnsupportedLayer(f"{node.op} {node.target}")


def _behind(node: fx.Node, parts: Mapping[str, nn.Module]) -> tuple[Any, ...]:
    """What a convolution's kernel does with its sums, and the nodes whose affair that is."""
    found: list[fx.Node] = []
    for wanted in (_is_relu, _is_halving):
        users = [*(found or [node])[-1].users]
        if len(users) != 1 or not wanted(users[0], parts):
            break
        found.append(users[0])
    return ((PLAIN, POSITIVE, LARGEST)[len(found)], *found)


def _is_relu(node: fx.Node, parts: Mapping[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return type(parts[str(node.target)]) is nn.ReLU
    return node.target in (torch.relu, functional.relu, "relu") and not node.kwargs and len(node.args) == 1


def _is_halving(node: fx.Node, parts: Mapping[str, nn.Module]) -> bool:
    part = parts.get(str(node.target)) if node.op == "call_module" else None
    if type(part) is not nn.MaxPool2d or part.ceil_mode or part.return_indices:
        return False
    sizes = (part.kernel_size, part.stride, part.padding, part.dilation)
    wanted = ((2, (2, 2)), (2, (2, 2)), (0, (0, 0)), (1, (1, 1)))
    return all(size in some for size, some in zip(sizes, wanted, strict=True))


def _padding(part: nn.Conv2d, x: Tensor, weight: Tensor) -> tuple[int, int] | None:
    """The zeros around images that the compiled convolution takes; None where it does not take them."""
    return padding_of(part) if x.ndim == 5 and is_compiled(x, weight) else None


def _layer(part: Any, x: Tensor, own: Sequence[Any], rows: int, masks: Iterator[Tensor]) -> Tensor:
    if isinstance(part, MaskedDropout):
        return _masked(x, next(masks)) if part.training else x
    rule = _RULES.get(type(part))
    if rule is None:
        result: Tensor = part(x)
        return result
    weight, bias = own
    return rule(part, x, weight, bias, rows)


def _is_merged(x: Tensor) -> bool:
    """Whether the samples of all rows lie one behind the other, so that they are a batch."""
    return x.ndim == 5 and x.stride(0) == x.shape[1] * x.stride(1)


def _flat(x: Tensor) -> Tensor:
    """(K, B, C, H, W) -> (B, K C, H, W), channels last; a view behind a convolution."""
    if x.ndim != 5:
        raise UnsupportedLayer(f"an image of shape {tuple(x.shape)}")
    return x.transpose(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)


def _apart(x: Tensor, rows: int) -> Tensor:
    """(B, K C, H, W) -> (K, B, C, H, W), the same memory."""
    samples, channels, height, width = x.shape
    return x.view(samples, rows, channels // rows, height, width).transpose(0, 1)


def _normal(part: _BatchNorm, x: Tensor) -> Tensor:
    if x.ndim != (3 if isinstance(part, nn.BatchNorm1d) else 5):
        raise UnsupportedLayer(f"a batch of shape {tuple(x.shape)}")
    return x


def _masked(x: Tensor, mask: Tensor) -> Tensor:
    """The mask is (K, B, ...); it is best laid out as what it is for."""
    if x.ndim != 5:
        return x * mask
    if _is_merged(x):
        return x * mask.movedim(2, -1).contiguous().movedim(-1, 2)
    return x * _apart(_flat(mask), len(x))


def _linear(part: nn.Linear, x: Tensor, weight: Any, bias: Any, rows: int) -> Tensor:  # noqa: ARG001
    inner = x.flatten(1, -2)  # (K, B ..., D)
    found = torch.bmm(inner, weight.mT) if bias is None else torch.baddbmm(bias[:, None], inner, weight.mT)
    return found.view(*x.shape[:-1], -1)


def _convolution(part: nn.Conv2d, x: Tensor, weight: Any, bias: Any, rows: int) -> Tensor:
    flat = None if bias is None else bias.flatten()
    padding: Any = part.padding
    kernels = weight.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    groups = rows * part.groups
    found = functional.conv2d(_flat(x), kernels, flat, part.stride, padding, part.dilation, groups)
    return _apart(found, rows)


def _pool(part: nn.Module, x: Tensor, weight: Any, bias: Any, rows: int) -> Tensor:  # noqa: ARG001
    if _is_merged(x):
        whole: Tensor = part(x.flatten(0, 1))
        return whole.view(*x.shape[:2], *whole.shape[1:])
    result: Tensor = part(_flat(x))
    return _apart(result, rows)


def _flatten(part: nn.Flatten, x: Tensor, weight: Any, bias: Any, rows: int) -> Tensor:  # noqa: ARG001
    return x.flatten(2)


def _layer_norm(part: nn.LayerNorm, x: Tensor, weight: Any, bias: Any, rows: int) -> Tensor:
    x = functional.layer_norm(x, part.normalized_shape, eps=part.eps)
    between = (1,) * (x.ndim - 1 - len(part.normalized_shape))
    x = x if weight is None else x * weight.view(rows, *between, *part.normalized_shape)
    return x if bias is None else x + bias.view(rows, *between, *part.normalized_shape)


def _group_norm(part: nn.GroupNorm, x: Tensor, weight: Any, bias: Any, rows: int) -> Tensor:
    if _is_merged(x):
        found = functional.group_norm(x.flatten(0, 1), part.num_groups, eps=part.eps).view(x.shape)
        found = found if weight is None else found * weight[:, None, :, None, None]
        return found if bias is None else found + bias[:, None, :, None, None]
    factor, shift = (None if t is None else t.flatten() for t in (weight, bias))
    return _apart(functional.group_norm(_flat(x), rows * part.num_groups, factor, shift, part.eps), rows)


_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)

_RULES: Mapping[type[nn.Module], Callable[[Any, Tensor, Any, Any, int], Tensor]] = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.MaxPool2d: _pool,
    nn.AvgPool2d: _pool,
    nn.AdaptiveAvgPool2d: _pool,
    nn.Flatten: _flatten,
    nn.LayerNorm: _layer_norm,
    nn.GroupNorm: _group_norm,
}
"""Layers that need more than their inputs side by side."""
