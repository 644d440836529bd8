"""An epoch of one row in plain PyTorch: the reference for the compiled kernels.

Gradients are autograd's; arrays and random numbers are those of the kernels. `ReferencePool`
trains with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tuner.fused import EpochResult, RowPool
from tuner.fused.layout import (
    BIAS,
    COLUMN,
    FAN_IN,
    FAN_OUT,
    SCALE,
    SHIFT,
    STRIDE,
    WEIGHT,
    Floats,
)
from tuner.fused.recipe import Activation, LossKind, UpdateCoefficients
from tuner.fused.row import Batches, EvaluationData, ForwardSettings, FusedRow, Weights

Words = NDArray[np.uint32]

_ACTIVATIONS: Mapping[Activation, Callable[[Tensor], Tensor]] = {
    Activation.IDENTITY: lambda x: x,
    Activation.SIGMOID: torch.sigmoid,
    Activation.TANH: torch.tanh,
    Activation.RELU: torch.relu,
    Activation.LEAKY_RELU: functional.leaky_relu,
    Activation.GELU: functional.gelu,
    Activation.SILU: functional.silu,
}

_LOSSES: Mapping[LossKind, Callable[..., Tensor]] = {
    LossKind.CROSS_ENTROPY: functional.cross_entropy,
    LossKind.BINARY_CROSS_ENTROPY: functional.binary_cross_entropy_with_logits,
    LossKind.MSE: functional.mse_loss,
    LossKind.MAE: functional.l1_loss,
    LossKind.HUBER: functional.huber_loss,
}


class ReferencePool(RowPool):
    """Rows whose epochs PyTorch computes."""

    def _advanced(self, row: FusedRow) -> EpochResult:
        return row.advance(epoch, self._scratch(row.layout))


def epoch(
    batches: Batches, how: ForwardSettings, numbers: UpdateCoefficients,
    rates: NDArray[np.float64], first: int, weights: Weights, gradient: Floats, work: Floats,
    sample: EvaluationData, validation: EvaluationData,
) -> tuple[float, float, float]:  # fmt: skip
    """Train one epoch in place, then measure; see `row.Backend`."""
    norms, flat = 0.0, torch.from_numpy(weights.p)
    *rest, average = (torch.from_numpy(array) for array in (weights.m, weights.v, weights.a))
    for step, rate in enumerate(rates.tolist()):
        x, y, weight = _batch(batches, how, step, first + step)
        leaf = flat.detach().requires_grad_()
        loss = _loss(how, _outputs(how, leaf, x, first + step), y, weight)
        (g,) = torch.autograd.grad(loss, leaf)
        norms += _update(numbers, rate, first + step + 1, flat, g, *rest)
        if len(average) and first + step == 0:
            average.copy_(flat)
        elif len(average):
            average.mul_(1 - numbers.average_add).add_(numbers.average_add * flat)
    judged = average if len(average) else flat
    return norms, _measure(how, sample, judged), _measure(how, validation, judged)


@torch.no_grad()
def _measure(how: ForwardSettings, on: EvaluationData, flat: Tensor) -> float:
    found = _outputs(how._replace(threshold=0), flat, torch.from_numpy(on.x), 0)
    on.outputs[...] = found.numpy()
    kind = LossKind(how.kind)
    targets = torch.from_numpy(on.labels if kind is LossKind.CROSS_ENTROPY else on.values)
    return float(_loss(how, found, targets, torch.from_numpy(on.weights)))


def _loss(how: ForwardSettings, outputs: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    kind = LossKind(how.kind)
    if not len(weight):
        return _LOSSES[kind](outputs, targets)
    each = _LOSSES[kind](outputs, targets, reduction="none")
    return (each.reshape(len(outputs), -1).mean(1) * weight).mean()


def _batch(batches: Batches, how: ForwardSettings, step: int, number: int) -> tuple[Tensor, Tensor, Tensor]:
    start = step * batches.size
    rows = batches.order[start : start + batches.size]
    x = batches.x[rows]
    if batches.noise:
        noise = normals(words(batches.noise_seed, 2 * number, 2), *x.shape)
        noise[:, batches.features :] = 0
        x = x + np.float32(batches.noise) * noise
    kind, units = LossKind(how.kind), int(how.table[-1][FAN_OUT])
    y = np.eye(units, dtype=np.float32)[batches.labels[rows]] if len(batches.labels) else batches.values[rows]
    weight = batches.weights[rows] if len(batches.weights) else batches.weights
    if len(batches.shares):
        other, share = batches.partners[start : start + len(rows)], batches.shares[step]
        x, y = (share * a + (1 - share) * a[other] for a in (x, y))
        weight = share * weight + (1 - share) * weight[other] if len(weight) else weight
    if kind is LossKind.CROSS_ENTROPY:
        y = y * (1 - how.smoothing) + how.smoothing / units
    elif kind is LossKind.BINARY_CROSS_ENTROPY:
        y = y * (1 - how.smoothing) + how.smoothing / 2
    codes = slice(batches.features, batches.features + len(how.embeddings))
    x[:, codes] = batches.x[rows, codes]
    return torch.from_numpy(x), torch.from_numpy(y.astype(np.float32)), torch.from_numpy(weight)


def _outputs(how: ForwardSettings, flat: Tensor, x: Tensor, step: int) -> Tensor:
    depth = len(how.table) - 1
    if len(how.embeddings):
        numbers = how.embeddings[0][COLUMN]
        parts = [x[:, :numbers]]
        for i, (place, size, _) in enumerate(how.embeddings.tolist()):
            parts.append(flat[place + x[:, numbers + i, None].long() * size + torch.arange(size)])
        x = torch.cat(parts, dim=1)
    for index, layer in enumerate(how.table.tolist()):
        fan_in, units, width = layer[FAN_IN], layer[FAN_OUT], layer[STRIDE]
        block = flat[layer[WEIGHT] : layer[WEIGHT] + fan_in * width].reshape(fan_in, width)
        x = x[:, :fan_in] @ block[:, :units] + flat[layer[BIAS] : layer[BIAS] + units]
        if index == depth:
            break
        if layer[SCALE] >= 0:
            scale, shift = (flat[at : at + units] for at in (layer[SCALE], layer[SHIFT]))
            x = functional.layer_norm(x, (units,), scale, shift)
        x = _ACTIVATIONS[Activation(how.activation)](x)
        if how.threshold:
            place = np.arange(len(x), dtype=np.uint32)[:, None] * np.uint32(width)
            key = words(how.dropout_seed, step * depth + index, 1)
            drawn = scrambled((place + np.arange(units, dtype=np.uint32)) ^ key)
            x = x * torch.from_numpy((drawn >= how.threshold).astype(np.float32) * np.float32(how.kept))
    return x


def _update(
    n: UpdateCoefficients, rate: float, step: int, p: Tensor, g: Tensor, m: Tensor, v: Tensor
) -> float:
    if n.l1:
        g = g + n.l1 * p.sign()
    norm = float(torch.linalg.vector_norm(g))
    if n.clip_norm:
        share = n.clip_norm / (norm + 1e-6)
        g = g if share >= 1 else g * share
    if n.clip_value:
        g = g.clamp(-n.clip_value, n.clip_value)
    g = g + n.l2 * p
    m.mul_(n.first_keep).add_(n.first_add * g)
    change, root = n.plain * g + n.averaged * m, 1.0
    if n.unbiased:
        rate_now, root = rate / (1 - n.first_keep**step), (1 - n.second_keep**step) ** -0.5
    else:
        rate_now = rate
    if n.second:
        v.mul_(n.second_keep).add_(n.second_add * g * g)
        change = change / (root * v.sqrt() + n.floor)
    p.mul_(1 - rate * n.weight_decay).sub_(rate_now * change)
    if n.clip_parameters:
        p.clamp_(-n.clip_parameters, n.clip_parameters)
    return norm


def words(seed: int, first: int, count: int) -> Words:
    """`fast_math.random_bits` of the seed at `count` places from the first on."""
    x = np.arange(first + 1, first + 1 + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = x + np.array([seed], np.uint64) * np.uint64(0xD6E8FEB86659FD93)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x >> np.uint64(32)).astype(np.uint32)


def scrambled(x: Words) -> Words:
    """`fast_math.mix_bits` of arrays."""
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def normals(keys: Words, rows: int, columns: int) -> Floats:
    """(rows, columns) standard normal numbers of the noise stream; columns are even."""
    half = columns // 2
    places = np.arange(rows * half, dtype=np.uint32).reshape(rows, half)
    one, two = (scrambled(places ^ key) >> np.uint32(8) for key in keys)
    radius = np.sqrt(-2 * np.log((one + 0.5) * 2.0**-24))
    angle = 2 * np.pi * (two * 2.0**-24 - 0.5)
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)
