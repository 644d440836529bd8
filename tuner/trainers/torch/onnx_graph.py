"""A network as an ONNX graph: scaled inputs in, logits or standardized targets out.

The shipped networks are written down directly, batch normalization folded into the layer before it, in
milliseconds; any other network goes through PyTorch's exporter, which takes seconds.
Needs `tuner[onnx]`; imported where a graph is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from tuner.errors import PluginError, TrialError, described
from tuner.trainers.torch import onnx_steps
from tuner.trainers.torch.embedding import CategoryEmbedding
from tuner.trainers.torch.networks.convolution import Residual
from tuner.trainers.torch.onnx_traced import traced

INPUT, OUTPUT = "rows", "outputs"
"""The names of the graph's input and output; their first dimension is free."""

WRITER = "tuner"
"""The producer of graphs that are written down here."""

_OPSET, _IR = 17, 8

_PLAIN = {
    nn.Identity: ("Identity", {}),
    nn.Sigmoid: ("Sigmoid", {}),
    nn.Tanh: ("Tanh", {}),
    nn.ReLU: ("Relu", {}),
    nn.LeakyReLU: ("LeakyRelu", {"alpha": 0.01}),
}

_WRITTEN: Mapping[type[nn.Module], Mapping[str, Any]] = {
    **{kind: {} for kind in _PLAIN},
    nn.Linear: {},
    nn.BatchNorm1d: {},
    nn.BatchNorm2d: {},
    nn.LayerNorm: {},
    nn.SiLU: {},
    nn.Dropout: {},
    CategoryEmbedding: {},
    nn.LeakyReLU: {"negative_slope": 0.01},
    nn.GELU: {"approximate": "none"},
    nn.Conv2d: {"stride": (1, 1), "dilation": (1, 1), "groups": 1, "padding_mode": "zeros"},
    nn.GroupNorm: {"num_groups": 1},
    nn.MaxPool2d: {"padding": 0, "dilation": 1, "ceil_mode": False},
    nn.AvgPool2d: {"padding": 0, "ceil_mode": False, "divisor_override": None},
    nn.Flatten: {"start_dim": 1, "end_dim": -1},
}
"""The layers that are written down, and how they have to be set; all others are PyTorch's affair."""


def graph_of(network: nn.Module, x: Tensor) -> bytes:
    """Write a network down.

    Args:
        network: on the CPU; left as it was, in its mode too.
        x: (N, ...) scaled inputs, or tokens, which say what shape a row has; N at least 2.

    Returns:
        The serialized model.

    Raises:
        PluginError: onnx is not installed.
        TrialError: the network cannot be written as a graph.
    """
    try:
        import onnx
    except ImportError as error:
        raise PluginError(f"ONNX: {error.name} is not installed; pip install 'tuner[onnx]'") from error
    was = network.training
    network.eval()
    try:
        graph = Graph(tuple(x.shape[1:]))
        if type(network) is nn.Sequential and _is_written(network):
            return graph.written(graph.through(network, INPUT), x)
        last = onnx_steps.write(graph, network, INPUT)
        return traced(network, x, (INPUT, OUTPUT)) if last is None else graph.written(last, x)
    except Exception as error:
        raise TrialError(f"the network cannot be written as an ONNX graph: {described(error)}") from error
    finally:
        network.train(was)
        del onnx


def _is_written(layer: nn.Module) -> bool:
    """Whether `Graph.layer` says all that a layer does."""
    if type(layer) in (nn.Sequential, Residual):
        return all(map(_is_written, layer.children()))
    wanted = _WRITTEN.get(type(layer))
    if wanted is None or any(t is None for t in (*layer._parameters.values(), *layer._buffers.values())):
        return False
    if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d) and layer.stride != layer.kernel_size:
        return False
    if isinstance(layer, nn.LayerNorm) and len(layer.normalized_shape) > 1:
        return False
    if isinstance(layer, nn.Conv2d) and isinstance(layer.padding, str):
        return False
    return all(getattr(layer, name) == value for name, value in wanted.items())


@dataclass
class Graph:
    """A graph that grows layer by layer.

    Attributes:
        shape: of what the next layer takes, without the first dimension.
    """

    shape: tuple[int, ...]
    nodes: list[Any] = field(default_factory=list)
    arrays: list[Any] = field(default_factory=list)
    count: int = 0

    def written(self, last: str, x: Tensor) -> bytes:
        """The model, whose outputs are these."""
        from onnx import TensorProto, helper

        kind = TensorProto.FLOAT if x.is_floating_point() else TensorProto.INT32
        given = helper.make_tensor_value_info(INPUT, kind, ["n", *self.shape])
        self.nodes.append(helper.make_node("Identity", [last], [OUTPUT]))
        told = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", None])
        graph = helper.make_graph(self.nodes, "network", [given], [told], self.arrays)
        opsets = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR, producer_name=WRITER)
        found: bytes = model.SerializeToString()
        return found

    def through(self, layers: nn.Sequential, x: str) -> str:
        """Append layers, batch normalization folded in where it can be."""
        parts, at = [*layers], 0
        while at < len(parts):
            layer, follower = parts[at], parts[at + 1] if at + 1 < len(parts) else None
            if isinstance(layer, nn.Linear | nn.Conv2d) and isinstance(
                follower, nn.BatchNorm1d | nn.BatchNorm2d
            ):
                layer, at = _folded(layer, follower), at + 1
            x = self.layer(layer, x)
            at += 1
        return x

    def layer(self, layer: nn.Module, x: str) -> str:
        """Append one layer."""
        match layer:
            case nn.Sequential():
                return self.through(layer, x)
            case Residual():
                return self.node("Add", [self.through(layer.body, x), self.layer(layer.shortcut, x)])
            case nn.Linear():
                product = self.node("MatMul", [x, self.array(layer.weight.T)])
                return self.node("Add", [product, self.array(layer.bias)])
            case nn.Conv2d():
                pads = [*layer.padding, *layer.padding]
                return self.node("Conv", [x, self.array(layer.weight), self.array(layer.bias)], pads=pads)
            case nn.BatchNorm1d() | nn.BatchNorm2d():
                arrays = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
                return self.node("BatchNormalization", [x, *map(self.array, arrays)], epsilon=layer.eps)
            case nn.LayerNorm():
                own = (self.array(layer.weight), self.array(layer.bias))
                return self.node("LayerNormalization", [x, *own], epsilon=layer.eps)
            case nn.GroupNorm():
                return self.group_norm(layer, x)
            case nn.GELU():
                share = self.node("Erf", [self.node("Mul", [x, self.number(0.5**0.5)])])
                half = self.node("Mul", [x, self.number(0.5)])
                return self.node("Mul", [half, self.node("Add", [share, self.number(1.0)])])
            case nn.SiLU():
                return self.node("Mul", [x, self.node("Sigmoid", [x])])
            case nn.MaxPool2d() | nn.AvgPool2d():
                size = layer.kernel_size
                shape = [size, size] if isinstance(size, int) else list(size)
                kind = "MaxPool" if isinstance(layer, nn.MaxPool2d) else "AveragePool"
                return self.node(kind, [x], kernel_shape=shape, strides=shape)
            case nn.Flatten():
                return self.node("Flatten", [x], axis=1)
            case nn.Dropout():
                return x
            case CategoryEmbedding():
                return self.embedding(layer, x)
            case _:
                kind, attributes = _PLAIN[type(layer)]
                return self.node(kind, [x], **attributes)

    def group_norm(self, layer: nn.GroupNorm, x: str) -> str:
        """One group: over channels and pixels."""
        axes = [1, 2, 3]
        centered = self.node("Sub", [x, self.node("ReduceMean", [x], axes=axes)])
        spread = self.node("ReduceMean", [self.node("Mul", [centered, centered])], axes=axes)
        root = self.node("Sqrt", [self.node("Add", [spread, self.number(layer.eps)])])
        weight, bias = (self.array(each[:, None, None]) for each in (layer.weight, layer.bias))
        return self.node("Add", [self.node("Mul", [self.node("Div", [centered, root]), weight]), bias])

    def embedding(self, layer: CategoryEmbedding, x: str) -> str:
        """Numbers, and what is learned of each code."""
        numbers = self.shape[0] - len(layer.tables)
        parts = [self.node("Gather", [x, self.whole(list(range(numbers)))], axis=1)] if numbers else []
        for i, table in enumerate(layer.tables):
            column = self.node("Gather", [x, self.whole(numbers + i)], axis=1)  # (N,)
            codes = self.node("Cast", [column], to=7)
            parts.append(self.node("Gather", [self.array(cast("Tensor", table.weight)), codes], axis=0))
        return self.node("Concat", parts, axis=1)

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append an operator of one output."""
        return self.nodes_of(kind, inputs, 1, **attributes)[0]

    def nodes_of(self, kind: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """Append an operator of several outputs."""
        self.count += 1
        names = [f"v{self.count}_{i}" for i in range(outputs)]
        self.add(kind, inputs, names, **attributes)
        return names

    def add(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        """Append an operator whose outputs have names."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, [*inputs], [*outputs], **attributes))

    def array(self, values: Tensor | None) -> str:
        """Weights as a constant."""
        assert values is not None  # noqa: S101 - shipped layers have all of theirs
        return self.constant(values.detach().cpu().contiguous().numpy())

    def number(self, value: float) -> str:
        """One number, single precision."""
        return self.constant(np.asarray(value, np.float32))

    def whole(self, values: Any) -> str:
        """Whole numbers: axes, shapes, places."""
        return self.constant(np.asarray(values, np.int64))

    def constant(self, values: NDArray[Any]) -> str:
        """An array that the graph holds."""
        from onnx import numpy_helper

        self.count += 1
        self.arrays.append(numpy_helper.from_array(values, f"w{self.count}"))
        return f"w{self.count}"


def _folded(layer: nn.Linear | nn.Conv2d, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.Module:
    """A layer that computes what it and the normalization behind it do in evaluation mode."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

    if isinstance(layer, nn.Conv2d):
        return fuse_conv_bn_eval(layer.eval(), norm.eval())
    return fuse_linear_bn_eval(layer.eval(), norm.eval())
