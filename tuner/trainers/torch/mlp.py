"""The shipped `mlp`, layer by layer.

`networks.mlp` builds it for sessions, `fused` trains it in rows, and `PlainMlp` computes a kept one; the last
two without PyTorch. A layer's place is its index in the `nn.Sequential` that models on disk are stored as.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tuner.data.scaling import Scaling
from tuner.errors import TrialError
from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.recipe import Recipe

Floats = NDArray[np.float32]

EPSILON = 1e-5
"""What `nn.LayerNorm` and `nn.BatchNorm1d` add to the variance."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer with so many inputs and outputs.

    Attributes:
        tables: of embeddings: how many categories, and how many numbers each becomes, of each code.
    """

    kind: Literal["flatten", "embedding", "linear", "batch_norm", "norm", "activation", "dropout"]
    inputs: int
    outputs: int
    tables: tuple[tuple[int, int], ...] = ()


def layers(recipe: Recipe, context: NetworkContext) -> tuple[Layer, ...]:
    """`depth` hidden layers of `width` units; a linear model at depth 0. Images are flattened.

    Where inputs are codes of categories, their embeddings take their places.
    """
    size, found = math.prod(context.input_shape), list[Layer]()
    if len(context.input_shape) > 1:
        found.append(Layer("flatten", size, size))
    if context.categories:
        sizes = sizes_of(context.categories, recipe.embedding_size)
        tables = tuple(zip(context.categories, sizes, strict=True))
        found.append(Layer("embedding", size, size - len(tables) + sum(sizes), tables))
        size = found[-1].outputs
    for width in recipe.widths:
        found.append(Layer("linear", size, width))
        size = width
        found += [Layer("batch_norm", size, size)] if recipe.batch_norm else []
        found += [Layer("norm", size, size)] if recipe.layer_norm else []
        found.append(Layer("activation", size, size))
        found += [Layer("dropout", size, size)] if recipe.dropout else []
    return (*found, Layer("linear", size, context.outputs))


def sizes_of(categories: Sequence[int], size: int) -> tuple[int, ...]:
    """The size of each embedding: `size`, but no more than half as many numbers as there are categories."""
    return tuple(min(size, (count + 1) // 2) for count in categories)


@dataclass(frozen=True, slots=True)
class NamedTensor:
    """A tensor of an `mlp`.

    Attributes:
        row_name: what `fused.Layout` calls it.
        shape: as `torch.nn` has it.
    """

    row_name: str
    shape: tuple[int, ...]

    @property
    def is_drawn(self) -> bool:
        """Whether its first values are random."""
        return len(self.shape) > 1


def tensors(network: Sequence[Layer]) -> dict[str, NamedTensor]:
    """The tensors of a network by their names in its `state_dict`, in the order in which they are drawn."""
    found: dict[str, NamedTensor] = {}
    linear = -1
    for place, layer in enumerate(network):
        for index, shape in enumerate(layer.tables):
            found[f"{place}.tables.{index}.weight"] = NamedTensor(f"embedding.{index}", shape)
        if layer.kind == "linear":
            linear += 1
            found[f"{place}.weight"] = NamedTensor(f"{linear}.weight", (layer.outputs, layer.inputs))
            found[f"{place}.bias"] = NamedTensor(f"{linear}.bias", (layer.outputs,))
        elif layer.kind == "batch_norm":
            for name, row_name in BATCH_NORM.items():
                units = () if name == "num_batches_tracked" else (layer.outputs,)
                found[f"{place}.{name}"] = NamedTensor(f"{linear}.{row_name}", units)
        elif layer.kind == "norm":
            found[f"{place}.weight"] = NamedTensor(f"{linear}.scale", (layer.outputs,))
            found[f"{place}.bias"] = NamedTensor(f"{linear}.shift", (layer.outputs,))
    return found


BATCH_NORM = {
    "weight": "batch_scale",
    "bias": "batch_shift",
    "running_mean": "mean",
    "running_var": "variance",
    "num_batches_tracked": "batches",
}
"""The tensors of a batch normalization, and what rows call them."""


def _gelu(x: Floats) -> Floats:
    from scipy.special import erf  # 17 MB, which other networks do without

    found: Floats = x * (np.float32(0.5) * (1 + erf(x * np.float32(math.sqrt(0.5)))))
    return found


def _sigmoid(x: Floats) -> Floats:
    half: Floats = np.tanh(x * np.float32(0.5))
    return half * np.float32(0.5) + np.float32(0.5)


ACTIVATIONS: Mapping[str, Callable[[Floats], Floats]] = {
    "identity": lambda x: x,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, x * np.float32(0.01)),
    "gelu": _gelu,
    "silu": lambda x: x * _sigmoid(x),
}


@dataclass(frozen=True)
class PlainMlp:
    """A kept network behind its scaling, computed by numpy: as `ScaledNetwork` in evaluation mode.

    Products are computed in double precision: in single precision their last bits depend, on some machines,
    on how many rows are predicted together.
    """

    layers: tuple[Layer, ...]
    activation: Callable[[Floats], Floats]
    weights: Mapping[str, Floats]
    scaling: Scaling

    @classmethod
    def of(cls, context: NetworkContext, weights: Mapping[str, Floats], scaling: Scaling) -> PlainMlp:
        """Take a network's weights by their names in its `state_dict`.

        Raises:
            TrialError: they are not those of this network.
        """
        recipe = Recipe.of(context.params)
        network = layers(recipe, context)
        wanted = {name: tensor.shape for name, tensor in tensors(network).items()}
        if wanted != {name: array.shape for name, array in weights.items()}:
            raise TrialError("its weights are not those of the network that is described")
        return cls(network, ACTIVATIONS[recipe.activation], weights, scaling)

    @property
    def size_bytes(self) -> int:
        """Of its parameters."""
        averages = [*BATCH_NORM][2:]
        parameters = (array for name, array in self.weights.items() if name.split(".")[-1] not in averages)
        return sum(array.nbytes for array in parameters)

    def outputs(self, x: NDArray[Any]) -> Floats:
        """Encoded, unscaled inputs in, as `Split.x` has them; logits or standardized targets out."""
        found = self.scaling.apply(x)
        for place, layer in enumerate(self.layers):
            found = self._through(layer, place, found)
        return found

    def _through(self, layer: Layer, place: int, x: Floats) -> Floats:
        match layer.kind:
            case "flatten":
                return x.reshape(len(x), -1)
            case "embedding":
                return self._embedded(layer, place, x)
            case "linear":
                product = x.astype(np.float64) @ self.weights[f"{place}.weight"].T
                return (product + self.weights[f"{place}.bias"]).astype(np.float32)
            case "batch_norm":
                weight, bias, mean, variance = (self.weights[f"{place}.{name}"] for name in [*BATCH_NORM][:4])
                factor = weight / np.sqrt(variance + np.float32(EPSILON))
                shifted: Floats = x * factor + (bias - mean * factor)
                return shifted
            case "norm":
                centered: Floats = x - x.mean(axis=1, keepdims=True)
                spread = np.sqrt((centered**2).mean(axis=1, keepdims=True) + np.float32(EPSILON))
                normal: Floats = centered / spread
                return normal * self.weights[f"{place}.weight"] + self.weights[f"{place}.bias"]
            case "activation":
                return self.activation(x)
            case _:
                return x

    def _embedded(self, layer: Layer, place: int, x: Floats) -> Floats:
        numbers = x.shape[1] - len(layer.tables)
        tables = (self.weights[f"{place}.tables.{index}.weight"] for index in range(len(layer.tables)))
        looked_up = [table[x[:, numbers + i].astype(np.intp)] for i, table in enumerate(tables)]
        return np.concatenate([x[:, :numbers], *looked_up], axis=1)
