"""Units of a network of one's own that are left out: those that torch-pruning finds to depend on each other.

A network is built as ever and loses units then. What is left is told by the shapes of its tensors alone, so
that `fit` builds it again from its weights, without torch-pruning.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from tuner.errors import PluginError, TrialError, described


def prune(network: nn.Module, x: Tensor, share: float) -> None:
    """Leave out those units of each layer whose weights, and what reads them, have the smallest norms.

    Layers whose units are added to each other lose the same ones, and what has groups or heads loses as many
    of each. The outputs stay. The choice is torch-pruning's `MagnitudeImportance` (Fang et al. 2023).

    Args:
        network: on the CPU; changed.
        x: (N, ...) inputs as it takes them, N at least 2.
        share: of the units of each layer; one unit stays.

    Raises:
        PluginError: torch-pruning is not installed.
        TrialError: no units of it can be left out.
    """
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            before, small = _shape(network, x), copy.deepcopy(network)
            _leave_out(small, x, share)
            weights = small.state_dict()
            fit(network, {name: each.shape for name, each in weights.items()})
            network.load_state_dict(weights)
            if (after := _shape(network, x)) != before:
                raise TrialError(f"its outputs would have the shape {after}, not {before}")
    except PluginError:
        raise
    except Exception as error:
        raise TrialError(
            f"torch-pruning cannot leave out units of this network ({described(error)}); "
            'set space.fixed.pruned = 0, or space.fixed.pruning = "weights"'
        ) from error


def fit(network: nn.Module, shapes: Mapping[str, Sequence[int]]) -> None:
    """Give a network's tensors other shapes, and its layers the sizes that follow; weights are not kept.

    Args:
        network: whose layers read their sizes from attributes when they compute, as PyTorch's own do.
        shapes: of the tensors of its `state_dict`, by name.
    """
    for path, layer in network.named_modules():
        changed = False
        for named, wrap in ((layer.named_parameters, _like), (layer.named_buffers, _plain)):
            for name, tensor in list(named(recurse=False)):
                shape = shapes.get(f"{path}.{name}" if path else name)
                # What is lazy yet takes its shape from the weights.
                if shape is not None and not is_lazy(tensor) and tuple(shape) != tuple(tensor.shape):
                    setattr(layer, name, wrap(tensor.new_zeros(tuple(shape)), tensor))
                    changed = True
        if changed:
            _resize(layer)


def _like(tensor: Tensor, old: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, old.requires_grad)


def _plain(tensor: Tensor, _: Tensor) -> Tensor:
    return tensor


def _resize(layer: Any) -> None:
    """Set the sizes of a layer that follow from its tensors."""
    match layer:
        case nn.modules.conv._ConvNd():
            is_depthwise = layer.groups == layer.out_channels
            out, into = layer.weight.shape[:2][:: -1 if layer.transposed else 1]
            layer.groups = out if is_depthwise and layer.groups > 1 else layer.groups
            layer.out_channels, layer.in_channels = out, into * layer.groups
            if layer.transposed:
                layer.out_channels, layer.in_channels = out * layer.groups, into
        case nn.Linear():
            layer.out_features, layer.in_features = layer.weight.shape
        case nn.modules.batchnorm._NormBase():
            layer.num_features = len(layer.running_mean if layer.weight is None else layer.weight)
        case nn.GroupNorm():
            layer.num_channels = len(layer.weight)
        case nn.LayerNorm():
            layer.normalized_shape = tuple(layer.weight.shape)
        case nn.PReLU():
            layer.num_parameters = len(layer.weight)
        case nn.Embedding():
            layer.num_embeddings, layer.embedding_dim = layer.weight.shape
        case nn.MultiheadAttention():
            layer.embed_dim = layer.kdim = layer.vdim = layer.in_proj_weight.shape[1]
            layer.head_dim = layer.embed_dim // layer.num_heads


def _shape(network: nn.Module, x: Tensor) -> tuple[int, ...]:
    was = {part: part.training for part in network.modules()}
    network.eval()
    with torch.no_grad():
        outputs: Tensor = network(x)
    for part, mode in was.items():
        part.training = mode
    return tuple(outputs.shape)


_ROOTS = (nn.modules.conv._ConvNd, nn.Linear, nn.Embedding)
"""Layers whose units are left out; others lose what follows from these."""


def _leave_out(network: nn.Module, x: Tensor, share: float) -> None:
    try:
        import torch_pruning
    except ImportError as error:
        raise PluginError(
            "torch-pruning is not installed; pip install 'tuner[pruning]', or set space.fixed.pruned = 0"
        ) from error
    every = dict(network.named_parameters(remove_duplicate=False))
    if len(set(map(id, every.values()))) < len(every):
        raise TrialError("layers of it share their weights")
    for parameter in every.values():
        parameter.requires_grad_()  # it follows the gradients' way
    graph = torch_pruning.DependencyGraph()
    # Without a function of its own it takes a tensor's rows for several inputs.
    graph.build_dependency(network, x, forward_fn=lambda module, rows: module(rows), verbose=False)
    importance, chosen, found = torch_pruning.importance.MagnitudeImportance(p=2), [], 0
    for group in graph.get_all_groups(root_module_types=_ROOTS):
        is_out = [graph.is_out_channel_pruning_fn(dep.handler) for dep, _ in group]
        ends = [dep.target for (dep, _), out in zip(group, is_out, strict=True) if out]
        sizes = importance(group)
        if sizes is None or any(not end.outputs for end in ends):  # these are the network's outputs
            continue
        found += 1
        parts = max(_parts(dep.target.module) for dep, _ in group)
        means = sizes.view(parts, -1).mean(0)
        left = max(1, round(len(means) * (1 - share)))
        gone = torch.argsort(-means, stable=True)[left:]
        if len(gone):
            indices = torch.cat([gone + part * len(means) for part in range(parts)]).sort().values
            chosen.append((group[0].dep.target.module, group[0].dep.handler, indices.tolist()))
    if not found:
        raise TrialError("none of its layers has units of its own")
    for layer, function, places in chosen:
        graph.get_pruning_group(layer, function, places).prune()


def _parts(layer: Any) -> int:
    """How many groups or heads a layer's units, or those that it reads, are in; each loses as many."""
    match layer:
        case nn.MultiheadAttention():
            return int(layer.num_heads)
        case nn.GroupNorm():
            return int(layer.num_groups)
        case nn.modules.conv._ConvNd() if not layer.groups == layer.out_channels == layer.in_channels:
            return int(layer.groups)
    return 1
