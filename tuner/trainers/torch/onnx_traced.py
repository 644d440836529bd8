"""Graphs of networks that PyTorch's exporter writes down: once for each kind, with weights filled in later.

An export takes seconds. A network of the same layers has the same graph, most often with other sizes too, so
what is known is tried first: it is taken where it computes what the network does.
Needs `tuner[onnx]`; imported where a graph is asked for.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tuner.trainers.torch.onnx_runtime import session_of

_MANY, _ROWS = 64, 16
"""So many graphs are kept; on so many rows one is compared with a network."""

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
    layers = tuple((name, type(layer)) for name, layer in network.named_modules())
    kind = (layers, tuple(weights), tuple(x.shape[1:]), x.dtype, names)
    own = (kind, tuple(tuple(each.shape) for each in weights.values()))
    for key in (own, kind):
        if key in _KNOWN and _computes(found := _filled(_KNOWN[key], weights), network, x):
            break
    else:
        if len(_KNOWN) >= _MANY:
            _KNOWN.clear()
        _KNOWN[own] = _KNOWN[kind] = _exported(network, x, names)
        found = _filled(_KNOWN[own], weights)
    graph: bytes = optimizer.optimize(found).SerializeToString()
    return graph


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
    """Whether a graph gives what a network does."""
    rows = x.repeat(_ROWS // len(x), *[1] * (x.ndim - 1))
    if x.is_floating_point():
        rows = rows + torch.randn(rows.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(rows).numpy()
    try:
        session = session_of(graph.SerializeToString())
        (found,) = session.run(None, {session.get_inputs()[0].name: rows.numpy()})
    # A graph of other sizes may fail in any way.
    except Exception:  # noqa: BLE001
        return False
    scale = float(np.nanmax(np.abs(expected), initial=1e-6))
    return found.shape == expected.shape and np.allclose(found, expected, 1e-3, 1e-4 * scale, equal_nan=True)
