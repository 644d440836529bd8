"""The losses behind the last layer: their derivatives and their values, compiled.

The formulas are those of `torch.nn.functional`, with which the tests compare. Called by `epoch_kernel` for
each chunk of samples, and by `trainers.torch.fused` to find predicted classes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tuner.compiled import njit_cached, njit_inline
from tuner.fused.fast_math import HALF, ONE, ZERO, exp, f32, sigmoid
from tuner.fused.recipe import LossKind

_CROSS_ENTROPY, _BINARY = int(LossKind.CROSS_ENTROPY), int(LossKind.BINARY_CROSS_ENTROPY)
_MSE, _MAE = int(LossKind.MSE), int(LossKind.MAE)


@njit_inline
def derive(
    kind: Any, smoothing: Any, batch: Any, outputs: Any, delta: Any, units: Any, width: Any, samples: Any
) -> None:
    """Replace targets by the derivatives of the batch's mean loss.

    Args:
        kind: a `LossKind`.
        smoothing: share of a label that is spread over all classes.
        batch: samples of the whole batch.
        outputs: flat outputs of this chunk; they are overwritten.
        delta: flat targets, likewise; padding is zero and stays it.
        units: outputs of a sample.
        width: distance of samples.
        samples: of this chunk.
    """
    if kind == _CROSS_ENTROPY:
        _derive_cross_entropy(f32(smoothing), ONE / f32(batch), outputs, delta, units, width, samples)
        return
    share, s = ONE / f32(batch * units), f32(smoothing)
    for i in range(samples):
        out = outputs[i * width : i * width + units]
        target = delta[i * width : i * width + units]
        for j in range(units):
            y, z = target[j], out[j]
            if kind == _BINARY:
                target[j] = (sigmoid(z) - (y * (ONE - s) + s * HALF)) * share
            else:
                target[j] = _slope(kind, z, y, share)


@njit_inline
def _slope(kind: Any, z: Any, y: Any, share: Any) -> Any:
    """The derivative of a loss of numbers by one of them."""
    d = z - y
    if kind == _MSE:
        return d * (share + share)
    if kind == _MAE:
        return share if z > y else -share if z < y else d
    d = ONE if d > ONE else d
    return (-ONE if d < -ONE else d) * share


@njit_inline
def derive_taught(
    kind: Any, temperature: Any, batch: Any, outputs: Any, taught: Any, units: Any, width: Any, samples: Any
) -> None:
    """Replace a teacher's outputs by the derivatives of the batch's mean loss against them.

    Of classes those of the cross-entropy at a temperature, see `RowRecipe.distil_temperature`, times its
    square. `taught` is overwritten, and the outputs stay as they are; otherwise as `derive`.
    """
    cool = ONE / f32(temperature)
    share = f32(temperature) / f32(batch if kind == _CROSS_ENTROPY else batch * units)
    for i in range(samples):
        out = outputs[i * width : i * width + units]
        target = taught[i * width : i * width + units]
        if kind == _CROSS_ENTROPY:
            highest, most = out[0], target[0]
            for j in range(1, units):
                highest = out[j] if out[j] > highest else highest
                most = target[j] if target[j] > most else most
            total, whole = ZERO, ZERO
            for j in range(units):
                total += exp((out[j] - highest) * cool)
                whole += exp((target[j] - most) * cool)
            for j in range(units):
                mine, its = exp((out[j] - highest) * cool) / total, exp((target[j] - most) * cool) / whole
                target[j] = (mine - its) * share
            continue
        for j in range(units):
            if kind == _BINARY:
                target[j] = (sigmoid(out[j] * cool) - sigmoid(target[j] * cool)) * share
            else:
                target[j] = _slope(kind, out[j], target[j], share * cool)


@njit_inline
def _derive_cross_entropy(
    smoothing: Any, share: Any, outputs: Any, delta: Any, units: Any, width: Any, samples: Any
) -> None:
    for i in range(samples):
        out = outputs[i * width : (i + 1) * width]
        highest = out[0]
        for j in range(1, units):
            highest = out[j] if out[j] > highest else highest
        for j in range(width):
            out[j] -= highest
    for i in range(samples * width):
        outputs[i] = exp(outputs[i])
    spread = smoothing / f32(units)
    for i in range(samples):
        out = outputs[i * width : i * width + units]
        target = delta[i * width : i * width + units]
        total = ZERO
        for j in range(units):
            total += out[j]
        factor = share / total
        for j in range(units):
            target[j] = out[j] * factor - (target[j] * (ONE - smoothing) + spread) * share


@njit_inline
def total_loss(kind: Any, outputs: Any, labels: Any, values: Any, weights: Any) -> float:
    """The sum of the samples' losses, each a mean over its outputs where it has several.

    Args:
        kind: a `LossKind`.
        outputs: (n, units).
        labels: (n,) classes, for cross-entropy.
        values: (n, units) targets, for the other losses.
        weights: (n,) what each sample's loss is multiplied by; empty: nothing is.
    """
    samples, units = outputs.shape
    total, weighted = 0.0, len(weights) > 0
    for i in range(samples):
        if kind == _CROSS_ENTROPY:
            highest = outputs[i, 0]
            for j in range(1, units):
                highest = outputs[i, j] if outputs[i, j] > highest else highest
            mass = ZERO
            for j in range(units):
                mass += exp(outputs[i, j] - highest)
            lost = math.log(mass) - np.float64(outputs[i, labels[i]] - highest)
            total += lost * weights[i] if weighted else lost
            continue
        loss = 0.0
        for j in range(units):
            z, y = np.float64(outputs[i, j]), np.float64(values[i, j])
            d = abs(z - y)
            if kind == _BINARY:
                loss += (z if z > 0.0 else 0.0) - z * y + math.log1p(math.exp(-abs(z)))
            elif kind == _MSE:
                loss += d * d
            elif kind == _MAE:
                loss += d
            else:
                loss += d - 0.5 if d > 1.0 else 0.5 * d * d
        total += loss / units * weights[i] if weighted else loss / units
    return total


@njit_cached
def highest(outputs: Any, classes: Any) -> None:
    """Find the first of each sample's highest outputs, or its first `nan`, as `numpy.argmax` does.

    Args:
        outputs: (n, units).
        classes: (n,) to be filled.
    """
    for i in range(len(outputs)):
        at, most = 0, outputs[i, 0]
        for j in range(1, outputs.shape[1]):
            x = outputs[i, j]
            if x > most or (x != x and most == most):
                at, most = j, x
        classes[i] = at
