"""Layers: the common layers computed for K rows at once, twice as fast as `torch.vmap` computes them.

A network is taken whole or, if its graph holds anything else, not at all; `program` then takes `torch.vmap`.
A layer that is added here has to give the numbers that `torch.vmap` gives.

Vectors are (K, B, D). Images come as (K, B, C, H, W) and travel as (B, K C, H, W), channels last,
so that a convolution of K rows is one with K groups.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from tuner.fused.masks import MaskedDropout

Tensors = Mapping[str, Tensor]
Forward = Callable[[Tensors, Tensor, Sequence[Tensor]], Tensor]

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
        return isinstance(m, MaskedDropout) or super().is_leaf_module(m, module_qualified_name)


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
    for node in nodes:
        _check(node, parts)

    def forward(tensors: Tensors, x: Tensor, masks: Sequence[Tensor]) -> Tensor:
        found: dict[fx.Node, Any] = {}
        waiting = iter(masks)

        def value(node: fx.Node) -> Tensor:
            result: Tensor = found[node]
            return result

        for node in nodes:
            if node.op == "placeholder":
                found[node] = x
            elif node.op == "output":
                break
            elif node.op == "call_module":
                name, inputs = str(node.target), value(node.all_input_nodes[0])
                own = [tensors.get(names.get(f"{name}.{kind}", "")) for kind in ("weight", "bias")]
                found[node] = _layer(parts[name], inputs, own, len(next(iter(tensors.values()))), waiting)
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
        known = type(part) in _RULES or type(part) in _ELEMENTWISE or isinstance(part, MaskedDropout)
        known = known and len(node.args) == 1 and not node.kwargs
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


def _layer(part: Any, x: Tensor, own: Sequence[Any], rows: int, masks: Iterator[Tensor]) -> Tensor:
    if isinstance(part, MaskedDropout):
        return _masked(x, next(masks)) if part.training else x
    rule = _RULES.get(type(part))
    if rule is None:
        result: Tensor = part(x)
        return result
    weight, bias = own
    return rule(part, x, weight, bias, rows)


def _image(x: Tensor) -> Tensor:
    """(K, B, C, H, W) -> (B, K C, H, W); images that travel already stay."""
    if x.ndim == 4:
        return x
    if x.ndim != 5:
        raise UnsupportedLayer(f"an image of shape {tuple(x.shape)}")
    return x.transpose(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)


def _vector(x: Tensor) -> Tensor:
    if x.ndim != 3:
        raise UnsupportedLayer(f"a vector of shape {tuple(x.shape)}")
    return x


def _masked(x: Tensor, mask: Tensor) -> Tensor:
    """The mask is (K, B, ...)."""
    return x * (_image(mask) if x.ndim == 4 else mask)


def _linear(part: nn.Linear, x: Tensor, weight: Any, bias: Any, rows: int) -> Tensor:  # noqa: ARG001
    x = _vector(x)
    return torch.bmm(x, weight.mT) if bias is None else torch.baddbmm(bias[:, None], x, weight.mT)


def _convolution(part: nn.Conv2d, x: Tensor, weight: Any, bias: Any, rows: int) -> Tensor:
    flat = None if bias is None else bias.flatten()
    padding: Any = part.padding
    kernels = weight.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return functional.conv2d(
        _image(x), kernels, flat, part.stride, padding, part.dilation, rows * part.groups
    )


def _pool(part: nn.Module, x: Tensor, weight: Any, bias: Any, rows: int) -> Tensor:  # noqa: ARG001
    result: Tensor = part(_image(x))
    return result


def _flatten(part: nn.Flatten, x: Tensor, weight: Any, bias: Any, rows: int) -> Tensor:  # noqa: ARG001
    if x.ndim != 4:
        return x.flatten(2)
    samples, channels, height, width = x.shape
    return x.reshape(samples, rows, channels // rows * height * width).transpose(0, 1)


def _layer_norm(part: nn.LayerNorm, x: Tensor, weight: Any, bias: Any, rows: int) -> Tensor:  # noqa: ARG001
    x = functional.layer_norm(_vector(x), part.normalized_shape, eps=part.eps)
    x = x if weight is None else x * weight[:, None]
    return x if bias is None else x + bias[:, None]


def _group_norm(part: nn.GroupNorm, x: Tensor, weight: Any, bias: Any, rows: int) -> Tensor:
    factor, shift = (None if t is None else t.flatten() for t in (weight, bias))
    return functional.group_norm(_image(x), rows * part.num_groups, factor, shift, part.eps)


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
