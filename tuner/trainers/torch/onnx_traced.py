"""Graphs of networks that PyTorch's exporter writes down: once for each kind, with weights filled in later.

An export takes seconds. A network of the same layers, set alike, has the same graph, most often with other
sizes too, so what is known is tried first: it is taken where it computes what the network does. Rows cannot
show every difference (a limit that none of them reaches), so whatever the layers hold has to be equal, too.
Needs `tuner[onnx]`; imported where a graph is asked for.
"""

from __future__ import annotations

import hashlib
import io
import logging
import warnings
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum
from types import BuiltinFunctionType, FunctionType, NoneType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tuner.trainers.torch.onnx_runtime import session_of

_MANY, _ROWS, _SPREADS = 64, 16, (0, 1, 10, 100)
"""So many graphs are kept; on so many rows one is compared with a network, and on as many with such noise."""

_PLAIN = (NoneType, bool, int, float, complex, str, bytes, torch.dtype, torch.device)
"""Values that are equal where they are written alike."""

_STATE = ("_parameters", "_modules")
"""What a layer holds and the names in a network tell."""

_SIZES = frozenset(
    {"in_features", "out_features", "in_channels", "out_channels", "num_features", "num_channels"}
    | {"num_embeddings", "embedding_dim", "input_size", "hidden_size", "normalized_shape", "embed_dim"}
    | {"kdim", "vdim", "head_dim", "_flat_weights", "_flat_weight_refs"}
)
"""What PyTorch's own layers hold that follows from their weights."""

_KNOWN: dict[Hashable, bytes] = {}
"""Graphs by the kinds of their networks: the last one of each, and one for each set of sizes."""


def traced(network: nn.Module, x: Tensor, names: tuple[str, str]) -> bytes:
    """Write a network down.

    Args:
        network: on the CPU, in evaluation mode.
        x: (N, ...) inputs as it takes them, N at least 2.
        names: of the graph's input and of its output.
    """
    from onnxscript import optimizer

    weights = {name: each for name, each in network.state_dict().items() if isinstance(each, Tensor)}
    try:
        layers = tuple(_held(network, weights))
    except (TypeError, RuntimeError):
        found = _filled(_exported(network, x[:2], names), weights)
    else:
        kind = (layers, tuple(x.shape[1:]), x.dtype, names)
        own = (kind, tuple(tuple(each.shape) for each in weights.values()))
        for known in filter(None, map(_KNOWN.get, (own, kind))):
            if _computes(found := _filled(known, weights), network, x):
                break
        else:
            graph = _exported(network, x[:2], names)
            if len(_KNOWN) >= _MANY:
                _KNOWN.clear()
            _KNOWN[own] = _KNOWN[kind] = graph
            found = _filled(graph, weights)
    written: bytes = optimizer.optimize(found).SerializeToString()
    return written


def _held(network: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[Hashable]:
    """What the layers of a network are and hold, but for the numbers and the sizes of its weights.

    Raises:
        TypeError: something that they hold cannot be compared.
        RuntimeError: it is a tensor without numbers in one place, or refers to itself.
    """
    modules = list(network.named_modules(remove_duplicate=False))
    places: dict[Hashable, str] = {id(layer): name for name, layer in modules}
    for name, each in weights.items():  # a weight that has two names is told by its first one
        yield name, each.dtype, each.ndim, places.setdefault(_place(each), name)
    for name, layer in modules:
        is_torchs = type(layer).__module__.startswith("torch.nn.")
        follows = _SIZES if is_torchs and any(each is not None for each in layer._parameters.values()) else ()
        own = {key: each for key, each in vars(layer).items() if key not in (*_STATE, *follows)}
        yield name, type(layer), _comparable(own, places)


def _place(tensor: Tensor) -> Hashable:
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride()


def _comparable(value: Any, places: Mapping[Hashable, str]) -> Hashable:
    """A value that equals another one where the two do the same in a network."""

    def all_of(values: Iterable[Any]) -> tuple[Hashable, ...]:
        return tuple(_comparable(each, places) for each in values)

    match value:
        case Tensor() if _place(value) in places:
            return places[_place(value)]
        case nn.Module() if id(value) in places:
            return places[id(value)]
        case Tensor():
            return Tensor, _comparable(value.numpy(force=True), places)
        case np.ndarray() | np.generic() if not value.dtype.hasobject:
            return type(value), value.dtype, value.shape, hashlib.sha256(value.tobytes()).digest()
        case Mapping():
            return type(value), tuple(value), all_of(value.values())
        case list() | tuple():
            return type(value), all_of(value)
        case set() | frozenset():
            return type(value), frozenset(all_of(value))
        case type() | Enum() | FunctionType() | BuiltinFunctionType():
            return value
        case _ if is_dataclass(value):
            return type(value), all_of(getattr(value, each.name) for each in fields(value))
        case _ if type(value) in _PLAIN:
            return type(value), value
    raise TypeError(f"{value!r} is not compared")


def _exported(network: nn.Module, x: Tensor, names: tuple[str, str]) -> bytes:
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            free = ({0: torch.export.Dim("n", min=1, max=2**20)},)
            program: Any = torch.onnx.export(
                network, (x,), input_names=names[:1], output_names=names[1:], dynamo=True,
                dynamic_shapes=free, verbose=False, optimize=False,
            )  # fmt: skip
            file = io.BytesIO()
            program.save(file)
    finally:
        logging.getLogger("torch.onnx").setLevel(level)
    return file.getvalue()


def _filled(graph: bytes, weights: Mapping[str, Tensor]) -> Any:
    """A graph with a network's weights, which it has under their names in the `state_dict`."""
    import onnx

    model = onnx.load_from_string(graph)
    for each in model.graph.initializer:
        if each.name in weights:
            array = weights[each.name].numpy(force=True)
            each.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(array), each.name))
    del model.graph.value_info[:]  # these are sizes of the network that was exported
    return model


def _computes(graph: Any, network: nn.Module, x: Tensor) -> bool:
    """Whether a graph gives what a network does: on rows that there are, and on others of a wide range."""
    real = x[torch.arange(_ROWS) % len(x)]
    generator = torch.Generator().manual_seed(0)
    if x.is_floating_point():
        spreads = torch.tensor(_SPREADS).repeat(_ROWS // len(_SPREADS)).view(-1, *[1] * (x.ndim - 1))
        drawn = real + spreads * torch.randn(real.shape, generator=generator)
    else:
        tables = [each.num_embeddings for each in network.modules() if isinstance(each, nn.Embedding)]
        high = max(min(tables, default=0), int(x.max()) + 1)
        drawn = torch.randint(0, high, real.shape, generator=generator, dtype=x.dtype)
    with torch.no_grad():
        pairs = [(real, network(real).numpy())]
        with suppress(Exception):  # it takes no such rows, as where a column is the place in a table
            pairs.append((drawn, network(drawn).numpy()))
    try:
        session = session_of(graph.SerializeToString())
        name = session.get_inputs()[0].name
        return all(_is_near(session.run(None, {name: rows.numpy()})[0], expected) for rows, expected in pairs)
    # A graph of other sizes may fail in any way.
    except Exception:  # noqa: BLE001
        return False


def _is_near(found: NDArray[Any], expected: NDArray[Any]) -> bool:
    """Whether each row is the same but for rounding."""
    if found.shape != expected.shape:
        return False
    finite = np.abs(np.where(np.isfinite(expected), expected, 0)).reshape(len(expected), -1)
    scale = finite.max(axis=1, initial=1e-6).reshape(-1, *[1] * (expected.ndim - 1))
    return np.allclose(found, expected, 1e-3, 1e-4 * scale, equal_nan=True)
