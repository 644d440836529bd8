"""The shipped networks of sequences as nodes of an ONNX graph; see `onnx_graph`.

Recurrent layers become the runtime's own operators, which a kernel of the runtime computes step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from tuner.core.dataset import PADDING
from tuner.fused.recurrence import Recurrence
from tuner.trainers.torch.networks.bag import Bag
from tuner.trainers.torch.networks.convolution import Conv1d
from tuner.trainers.torch.networks.recurrent import Rnn
from tuner.trainers.torch.networks.several import Several
from tuner.trainers.torch.networks.steps import FAR, Attention, Positions, StepPooling, Steps
from tuner.trainers.torch.networks.transformer import EncoderLayer, Transformer

if TYPE_CHECKING:
    from tuner.trainers.torch.onnx_graph import Graph

_GATES = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2), "rnn": (0,)}
"""In which order ONNX has PyTorch's gates."""

_INT32, _INT64, _FLOAT = 6, 7, 1


def write(graph: Graph, network: nn.Module, x: str) -> str | None:
    """Append a network; None where it is none of these."""
    match network:
        case Bag():
            embedded = graph.node("Gather", [graph.array(network.mean.weight), x], axis=0)
            return graph.through(network.head, _mean(graph, embedded, _presence(graph, x)))
        case Conv1d():
            return _convolved(graph, network, x)
        case Rnn():
            return _recurrent(graph, network, x)
        case Transformer():
            return _attentive(graph, network, x)
        case Several():
            return _side_by_side(graph, network, x)
    return None


def _side_by_side(graph: Graph, network: Several, x: str) -> str:
    whole, found = graph.shape, []
    each: Any = zip(network.inputs, network.networks, strict=True)
    for layer, own in each:
        graph.shape, edges = layer.part.shape, (layer.start, layer.start + layer.part.size)
        given = graph.node("Slice", [x, *(graph.whole([edge]) for edge in edges), graph.whole([1])])
        given = graph.node("Reshape", [given, graph.whole([-1, *graph.shape])])
        if layer.part.vocabulary:
            given = graph.node("Cast", [given], to=_INT32)
        last = graph.through(own, given) if isinstance(own, nn.Sequential) else write(graph, own, given)
        assert last is not None  # noqa: S101 - shipped networks are written down
        found.append(last)
    graph.shape = whole
    return graph.through(network.head, graph.node("Concat", found, axis=-1))


def _convolved(graph: Graph, network: Conv1d, x: str) -> str:
    there, x = _steps(graph, network.steps, x)
    layers: Any = zip(network.convolutions, network.behind, strict=True)
    for layer, rest in layers:
        kernel, arrays = layer.weight.shape[2], [graph.array(layer.weight), graph.array(layer.bias)]
        given = graph.node("Transpose", [_times(graph, x, there)], perm=[0, 2, 1])
        found = graph.node("Conv", [given, *arrays], pads=[kernel // 2, (kernel - 1) // 2])
        x = graph.through(rest, graph.node("Transpose", [found], perm=[0, 2, 1]))
    return graph.through(network.head, _pooled(graph, network.pooling, x, there))


def _attentive(graph: Graph, network: Transformer, x: str) -> str:
    there, x = _steps(graph, network.steps, x)
    x, width = graph.layer(network.project, x), network.norm.normalized_shape[0]
    waves = Positions().rows({}, torch.zeros(1, 1, graph.shape[0], width))
    x = graph.node("Add", [x, graph.array(waves[0])])
    for layer in network.layers:
        x = _encoded(graph, layer, x, there)
    x = _pooled(graph, network.pooling, graph.layer(network.norm, x), there)
    return graph.layer(network.head, x)


def _steps(graph: Graph, steps: Steps, x: str) -> tuple[str | None, str]:
    """Which steps are there, (B, T, 1), None where all are; and what they are, (B, T, size)."""
    if steps.there.tokens:
        return _presence(graph, x), graph.node("Gather", [graph.array(steps.values.weight), x], axis=0)  # type: ignore[arg-type]
    if not steps.there.masked:
        return None, x
    last = graph.node("Slice", [x, *map(graph.whole, ([-1], [2**31], [2]))])
    there = graph.node("Cast", [graph.node("Greater", [last, graph.number(0.0)])], to=_FLOAT)
    return there, graph.node("Slice", [x, *map(graph.whole, ([0], [-1], [2]))])


def _presence(graph: Graph, x: str) -> str:
    """Of tokens, (B, T, 1)."""
    none = graph.node("Equal", [x, graph.constant(np.asarray(PADDING, np.int32))])
    there = graph.node("Cast", [graph.node("Not", [none])], to=_FLOAT)
    return graph.node("Unsqueeze", [there, graph.whole([2])])


def _times(graph: Graph, x: str, there: str | None) -> str:
    return x if there is None else graph.node("Mul", [x, there])


def _mean(graph: Graph, x: str, there: str | None) -> str:
    if there is None:
        return graph.node("ReduceMean", [x], axes=[1], keepdims=0)
    total = graph.node("ReduceSum", [_times(graph, x, there), graph.whole([1])], keepdims=0)
    count = graph.node("ReduceSum", [there, graph.whole([1])], keepdims=0)
    return graph.node("Div", [total, graph.node("Max", [count, graph.number(1.0)])])


def _pooled(graph: Graph, pooling: StepPooling, x: str, there: str | None) -> str:
    if pooling.kind == "mean":
        return _mean(graph, x, there)
    if there is not None:
        is_there = graph.node("Greater", [there, graph.number(0.0)])
        x = graph.node("Where", [is_there, x, graph.number(-np.inf)])
    return graph.node("ReduceMax", [x], axes=[1], keepdims=0)


def _recurrent(graph: Graph, network: Rnn, x: str) -> str:
    there, x = _steps(graph, network.steps, x)
    lengths = ""
    if there is not None:
        count = graph.node("ReduceSum", [there, graph.whole([1, 2])], keepdims=0)
        lengths = graph.node("Cast", [count], to=_INT32)
    x = graph.node("Transpose", [x], perm=[1, 0, 2])  # (T, B, I), in all layers
    ends = x
    layers: Any = zip(network.layers, network.behind, strict=True)
    for units, behind in layers:
        each = [_unit(graph, unit, x, lengths) for unit in units]
        x, ends = (_joined(graph, side) for side in zip(*each, strict=True))
        x, ends = (graph.through(behind, side) for side in (x, ends))
    if network.is_last:
        return graph.through(network.head, ends)
    x = graph.node("Transpose", [x], perm=[1, 0, 2])
    return graph.through(network.head, _pooled(graph, network.pooling, x, there))  # type: ignore[arg-type]


def _joined(graph: Graph, sides: Any) -> str:
    return graph.node("Concat", list(sides), axis=-1) if len(sides) > 1 else str(sides[0])


def _unit(graph: Graph, unit: Recurrence, x: str, lengths: str) -> tuple[str, str]:
    """The states of all steps, (T, B, H), and the last one, (B, H)."""
    order = _GATES[unit.cell]
    biases = torch.cat([_sorted(each, order) for each in (unit.bias_ih, unit.bias_hh)])
    arrays = [*(_sorted(each, order) for each in (unit.weight_ih, unit.weight_hh)), biases]
    given = [x, *(graph.array(each[None]) for each in arrays), lengths]
    own: dict[str, Any] = {"linear_before_reset": 1} if unit.cell == "gru" else {}
    own |= {"direction": "reverse" if unit.backwards else "forward", "hidden_size": unit.weight_hh.shape[1]}
    states, last = graph.nodes_of(unit.cell.upper(), given, 2, **own)
    one = graph.whole([1])
    return graph.node("Squeeze", [states, one]), graph.node("Squeeze", [last, graph.whole([0])])


def _sorted(weight: Tensor, order: tuple[int, ...]) -> Tensor:
    parts = weight.detach().chunk(len(order))
    return torch.cat([parts[gate] for gate in order])


def _encoded(graph: Graph, layer: Any, x: str, there: str | None) -> str:
    of: EncoderLayer = layer
    x = graph.node("Add", [x, _attended(graph, of.attention, graph.layer(of.first, x), there)])
    return graph.node("Add", [x, graph.through(of.inner, graph.layer(of.second, x))])


def _attended(graph: Graph, layer: Attention, x: str, there: str | None) -> str:
    width, heads = layer.out_proj_weight.shape[0], layer.heads
    parts = []
    for weight, bias in zip(layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3), strict=True):
        flat = _product(graph, x, weight, bias)
        apart = graph.node("Reshape", [flat, graph.whole([0, 0, heads, width // heads])])
        parts.append(apart)
    query, value = (graph.node("Transpose", [parts[i]], perm=[0, 2, 1, 3]) for i in (0, 2))
    key = graph.node("Transpose", [parts[1]], perm=[0, 2, 3, 1])
    scores = graph.node("Mul", [graph.node("MatMul", [query, key]), graph.number((width / heads) ** -0.5)])
    if there is not None:
        away = graph.node("Mul", [graph.node("Sub", [there, graph.number(1.0)]), graph.number(FAR)])
        away = graph.node("Transpose", [graph.node("Unsqueeze", [away, graph.whole([1])])], perm=[0, 1, 3, 2])
        scores = graph.node("Add", [scores, away])
    found = graph.node("MatMul", [graph.node("Softmax", [scores], axis=-1), value])
    found = graph.node("Transpose", [found], perm=[0, 2, 1, 3])
    found = graph.node("Reshape", [found, graph.whole([0, 0, width])])
    return _product(graph, found, layer.out_proj_weight, layer.out_proj_bias)


def _product(graph: Graph, x: str, weight: Tensor, bias: Tensor) -> str:
    return graph.node("Add", [graph.node("MatMul", [x, graph.array(weight.T)]), graph.array(bias)])
