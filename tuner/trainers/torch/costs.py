"""Costs of using a network: its parameters, its size, how long one sample takes.

Measured only where an objective or a constraint names it: the latency takes some 36 forward passes.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tuner.core.spec import StudySpec
from tuner.trainers.torch.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tuner.trainers.torch.byte_images import ByteImages

    Rows = Tensor | ByteImages

STATIC = "onnx-int8-static"
"""8-bit integers whose ranges are fitted to training rows beforehand."""

RUNTIMES = ("onnx", "onnx-int8", STATIC)
"""The runtimes that a network's size and latency can be told of; without one they are PyTorch's."""

CALIBRATING = 256
"""So many training rows the ranges are fitted to, at most."""

IN_RUNTIME = tuple(f"{name}[{each}]" for name in ("size_bytes", "latency_ms") for each in RUNTIMES)
"""What is told of a network in a runtime."""

NONZERO = "nonzero"
"""How many parameters are not zero, which is counted in every epoch."""

NAMES = ("parameters", "size_bytes", "latency_ms", NONZERO, *IN_RUNTIME)
"""What can be asked for."""

PASSES, WARM = 31, 5
"""The latency is the median of so many passes, after so many that are not counted."""


def asked(spec: StudySpec) -> tuple[str, ...]:
    """Which of them the study's objectives and constraints name."""
    return tuple(name for name in spec.objectives().names if name in NAMES)


def costs(
    names: Sequence[str],
    module: nn.Module,
    x: Tensor,
    recipe: Recipe | None = None,
    train: Rows | None = None,
) -> dict[str, float]:
    """Measure a network.

    Args:
        names: some of `NAMES`.
        module: left as it was, in its mode too.
        x: inputs of which the first sample is used, on the module's device.
        recipe: of the trial; in 8-bit integers, if it says so, is what ``[onnx]`` is told of.
        train: inputs to train on, for ``[onnx-int8-static]``; those used where it is left out.

    Returns:
        By name: `parameters`, how many numbers are learned; `nonzero`, how many of them are not 0;
        `size_bytes`, of these and the buffers that are stored with them; `latency_ms`, the median time to
        predict one sample; with the name of a runtime the same of the network's graph there, with one
        thread.
    """
    found: dict[str, float] = {}
    if "parameters" in names:
        found["parameters"] = float(sum(p.numel() for p in module.parameters()))
    if NONZERO in names:
        found[NONZERO] = float(sum(p.count_nonzero().item() for p in module.parameters()))
    if "size_bytes" in names:
        parts = [part for part in module.state_dict().values() if hasattr(part, "element_size")]
        found["size_bytes"] = float(sum(part.numel() * part.element_size() for part in parts))
    if "latency_ms" in names:
        found["latency_ms"] = _latency(module, x[:1])
    if inside := [name for name in names if name in IN_RUNTIME]:
        is_quantized = recipe is not None and recipe.is_quantized
        found |= _in_runtimes(inside, module, x[:1], is_quantized, x if train is None else train)
    return found


def _in_runtimes(
    names: Sequence[str], module: nn.Module, x: Tensor, is_quantized: bool, train: Rows
) -> dict[str, float]:
    """Sizes and latencies of the network's graphs; those that are timed are timed beside each other."""
    import torch

    from tuner.trainers.torch.onnx_graph import graph_of
    from tuner.trainers.torch.onnx_runtime import latencies, quantized

    sample = x.detach().cpu()
    graphs = {RUNTIMES[0]: graph_of(copy.deepcopy(module).cpu(), sample.repeat(2, *[1] * (x.ndim - 1)))}
    if is_quantized or any(name.endswith(f"[{RUNTIMES[1]}]") for name in names):
        graphs[RUNTIMES[1]] = quantized(graphs[RUNTIMES[0]])
    if any(name.endswith(f"[{STATIC}]") for name in names):
        rows = spread(len(train), CALIBRATING)
        graphs[STATIC] = quantized(graphs[RUNTIMES[0]], train[torch.from_numpy(rows)].numpy(force=True))
    if is_quantized:
        graphs[RUNTIMES[0]] = graphs[RUNTIMES[1]]
    found = {f"size_bytes[{each}]": float(len(graph)) for each, graph in graphs.items()}
    if timed := [each for each in graphs if f"latency_ms[{each}]" in names]:
        told = latencies([graphs[each] for each in timed], sample.numpy())
        found |= {f"latency_ms[{each}]": one.median for each, one in zip(timed, told, strict=True)}
    return {name: found[name] for name in names}


def spread(count: int, most: int) -> NDArray[np.intp]:
    """The places of some of so many rows, evenly spread."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.intp)


def _latency(module: nn.Module, x: Tensor) -> float:
    import torch

    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            return statistics.median([_pass(module, x) for _ in range(WARM + PASSES)][WARM:])
    finally:
        for part, mode in modes.items():
            part.training = mode


def _pass(module: nn.Module, x: Tensor) -> float:
    """Milliseconds until the outputs are there."""
    start = time.perf_counter()
    module(x)
    if not x.is_cpu:
        import torch

        torch.mps.synchronize() if x.is_mps else torch.cuda.synchronize(x.device)
    return (time.perf_counter() - start) * 1e3
