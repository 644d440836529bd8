"""Int8Network: a network as onnxruntime computes it in 8-bit integers, for what is measured and predicted.

onnxruntime rounds all rows of a call by one scale, so a row beside one with a very large number is rounded
otherwise than by itself. Here many rows are computed in one call, and each has its own scale, by operators
that give the integers of that row by itself bit for bit. The graph is made once for each architecture, and
weights are given to it with the rows.

Needs `tuner[onnx]`; imported where a trial's `quantization` asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tuner.trainers.torch.onnx_graph import WRITER, Graph, graph_of
from tuner.trainers.torch.onnx_runtime import has_vnni, quantized, session_of

_PACKED = ("Conv", "GRU", "RNN", "LSTM")
"""Operators whose kernels are others where their weights are no constants."""

_BY_CALL = "DynamicQuantizeLSTM"
"""The operator in whose kernel inputs are rounded by one scale."""

_INTEGERS, _SCALE, _ZERO = "_quantized", "_scale", "_zero_point"
"""What onnxruntime appends to the name of what it has rounded."""

_MANY = 64
"""So many graphs are kept."""


class Int8Network(nn.Module):
    """A network's weights as they are now, rounded; inputs are rounded as they come, each row by itself."""

    def __init__(self, network: nn.Module, x: Tensor) -> None:
        """Take over a network.

        Args:
            network: on the CPU; what has diverged has no integers, and is used as it is.
            x: (N, ...) inputs as it takes them, at least one.

        Raises:
            PluginError: onnx or onnxruntime is not installed.
            TrialError: the network cannot be written as a graph.
        """
        super().__init__()
        self._diverged: nn.Module | None = None
        if not all(each.isfinite().all() for each in network.state_dict().values()):
            self._diverged = network.eval()
            return
        rows = x if len(x) > 1 else x.repeat(2, *[1] * (x.ndim - 1))
        structure, weights, is_bare = _apart(graph_of(network, rows))
        # A graph that holds weights is never asked for again.
        made = _session if is_bare else _session.__wrapped__
        self._session, self._is_by_row = made(structure)
        kinds = {each.name: each.type for each in self._session.get_inputs()}
        self._rows, self._weights = next(iter(kinds)), _rounded(weights, kinds)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Take inputs as the network does; give what it gives, without a way back."""
        given = x.cpu()
        if self._diverged is not None:
            found: Tensor = self._diverged(given)
            return found.to(x.device)
        rows = [given] if self._is_by_row else torch.split(given, 1)
        each = [self._session.run(None, {self._rows: row.numpy(), **self._weights})[0] for row in rows]
        return torch.from_numpy(np.concatenate(each)).to(x.device)


def _apart(graph: bytes) -> tuple[bytes, dict[str, NDArray[Any]], bool]:
    """A graph with zeros for weights, these by their names, and whether it holds none any more.

    Weights of what is packed stay in it, and all of a graph that PyTorch's exporter wrote.
    """
    import onnx

    model = onnx.load_from_string(graph)
    if model.producer_name != WRITER:  # its weights are given other names where they are turned
        return graph, {}, False
    packed = {name for node in model.graph.node if node.op_type in _PACKED for name in node.input}
    weights = {}
    for each in model.graph.initializer:
        if each.data_type == onnx.TensorProto.FLOAT and each.dims and each.name not in packed:
            weights[each.name] = onnx.numpy_helper.to_array(each)
            each.raw_data = bytes(len(each.raw_data))
    return model.SerializeToString(), weights, not packed


def _rounded(weights: Mapping[str, NDArray[Any]], kinds: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """What a graph is given of weights, by name: symmetric int8 of matrices, uint8 of tables of embeddings.

    Args:
        weights: in single precision, by name.
        kinds: the types of the graph's inputs by name.
    """
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.quant_utils import quantize_data

    found = dict(weights)
    for name, array in weights.items():
        if (whole := name + _INTEGERS) in kinds:
            is_signed = kinds[whole] == "tensor(int8)"
            kind = (QuantType.QInt8 if is_signed else QuantType.QUInt8).tensor_type
            zero, scale, found[whole] = quantize_data(array, kind, is_signed, is_signed and not has_vnni())
            found |= {name + _SCALE: np.asarray(scale, np.float32), name + _ZERO: zero}
    return {name: array for name, array in found.items() if name in kinds}


@lru_cache(_MANY)
def _session(structure: bytes) -> tuple[Any, bool]:
    """A graph in 8-bit integers that takes its weights as inputs, too, and whether it rounds row by row."""
    import onnx

    is_ours = onnx.load_from_string(structure).producer_name == WRITER
    model, (_, names, _) = onnx.load_from_string(quantized(structure)), _apart(structure)
    taken = {name + end for name in names for end in ("", _INTEGERS, _SCALE, _ZERO)}
    weights = [each for each in model.graph.initializer if each.name in taken]
    for each in weights:
        info = onnx.helper.make_tensor_value_info(each.name, each.data_type, each.dims)
        model.graph.input.append(info)
        model.graph.initializer.remove(each)
    is_by_row = is_ours and not any(node.op_type == _BY_CALL for node in model.graph.node)
    if is_by_row:
        _round_by_row(model.graph)
    return session_of(model.SerializeToString()), is_by_row


def _round_by_row(graph: Any) -> None:
    """Let what is rounded as it comes have a scale for each row, in a graph whose first axis is the rows'.

    The formula is that of DynamicQuantizeLinear, operator by operator, in single precision.
    """
    from onnx import TensorProto

    known = (*graph.input, *graph.value_info)
    ranks = {each.name: len(each.type.tensor_type.shape.dim) for each in known}
    # Names have a number each; these are beyond all that there are.
    steps = Graph((), arrays=graph.initializer, count=len(graph.node) + len(graph.initializer) + len(known))
    zeros = {}
    zero, one, most = map(steps.number, (0.0, 1.0, 255.0))
    for node in graph.node:
        if node.op_type == "DynamicQuantizeLinear":
            (x,), (integers, scale, zero_point) = node.input, node.output
            flat = steps.node("Flatten", [x], axis=1)
            low = steps.node("Min", [steps.node("ReduceMin", [flat], axes=[1], keepdims=0), zero])
            high = steps.node("Max", [steps.node("ReduceMax", [flat], axes=[1], keepdims=0), zero])
            step = steps.node("Div", [steps.node("Sub", [high, low]), most])
            step = steps.node("Where", [steps.node("Equal", [high, low]), one, step])
            place = steps.node("Sub", [zero, steps.node("Div", [low, step])])
            place = steps.node("Round", [steps.node("Min", [steps.node("Max", [place, zero]), most])])
            place = steps.node("Cast", [place], to=TensorProto.UINT8)
            steps.add("QuantizeLinear", [x, step, place], [integers], axis=0)
            shape = steps.whole([-1, *[1] * (ranks[x] - 1)])
            steps.add("Reshape", [step, shape], [scale])
            place = steps.node("Cast", [place], to=TensorProto.INT32)
            zeros[zero_point] = steps.node("Reshape", [place, shape])
        elif node.op_type == "MatMulInteger" and node.input[2] in zeros:
            x, weights, zero_point, _ = node.input
            whole = steps.node("Cast", [weights], to=TensorProto.INT32)
            sums = steps.node("ReduceSum", [whole, steps.whole([0])], keepdims=0)
            product = steps.node("MatMulInteger", [x, weights])
            steps.add("Sub", [product, steps.node("Mul", [zeros[zero_point], sums])], node.output)
        else:
            steps.nodes.append(node)
    nodes = [*steps.nodes]
    del graph.node[:]
    graph.node.extend(nodes)
