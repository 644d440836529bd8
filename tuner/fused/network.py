"""Forward and backward through a multilayer perceptron, chunk by chunk, compiled.

Called by `epoch_kernel`. Weights, gradients and workspace are flat arrays that lie where `layout` says.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tuner.compiled import njit_inline, njit_reassoc
from tuner.fused.fast_math import ONE, ZERO, f32, mix_bits, normal_cdf_pdf, random_bits, sigmoid, tanh, u32
from tuner.fused.layout import (
    ACTIVATION,
    BATCH_MEAN,
    BATCH_NORMAL,
    BATCH_NUMBERS,
    BATCH_SCALE,
    BATCH_SHIFT,
    BATCH_VARIANCE,
    BIAS,
    COLUMNS,
    DELTA,
    FAN_IN,
    FAN_OUT,
    IN_ROWS,
    INVERSE_STD,
    NORMAL,
    ROWS,
    SCALE,
    SHIFT,
    SLOPE,
    STRIDE,
    TRANSPOSED,
    WEIGHT,
)
from tuner.fused.matmul_kernel import NOTHING, product, transpose
from tuner.fused.recipe import Activation

NORM_EPSILON = f32(1e-5)
"""What normalization adds to the variance, as `torch.nn.LayerNorm` and `torch.nn.BatchNorm1d`."""

MOMENTUM = f32(0.1)
"""How far running averages follow a batch, as those of `torch.nn.BatchNorm1d`."""

LEAK = f32(0.01)
"""The slope of leaky_relu below zero, as `torch.nn.LeakyReLU`."""

_SIGMOID, _TANH, _RELU = int(Activation.SIGMOID), int(Activation.TANH), int(Activation.RELU)
_LEAKY, _GELU, _SILU = int(Activation.LEAKY_RELU), int(Activation.GELU), int(Activation.SILU)


@njit_inline
def forward(
    table: Any, parameters: Any, work: Any, stride: Any, samples: Any,
    activation: Any, threshold: Any, kept: Any, seed: Any, step: Any, position: Any, training: Any,
) -> None:  # fmt: skip
    """Compute every layer's outputs, and the slopes of the hidden ones.

    Args:
        table: `Layout.table`.
        parameters: the flat parameters.
        work: the workspace; inputs at its start.
        stride: of the inputs.
        samples: how many, at most `Layout.chunk`.
        activation: an `Activation`.
        threshold: words below it drop their activation; 0 drops none.
        kept: what kept activations are multiplied by.
        seed: of the dropout stream.
        step: counted from 0.
        position: of the first sample in its batch.
        training: whether batches are normalized by their own statistics, which the running averages follow.
    """
    rows = -(-samples // ROWS) * ROWS
    source = 0
    last = len(table) - 1
    for index in range(last + 1):
        layer = table[index]
        width = layer[STRIDE]
        size = rows * width
        out = work[layer[ACTIVATION] : layer[ACTIVATION] + size]
        product(
            rows, layer[COLUMNS], layer[FAN_IN], work, source, stride, 1,
            parameters, layer[WEIGHT], width, work, layer[ACTIVATION], width,
            parameters, layer[BIAS], 0, 1,
        )  # fmt: skip
        if index < last:
            slope = work[layer[SLOPE] : layer[SLOPE] + size]
            if layer[BATCH_SCALE] >= 0:
                _normalize_batch(layer, parameters, work, rows, samples, training)
            if layer[SCALE] >= 0:
                _normalize(layer, parameters, work, rows)
            _activate(activation, out, slope)
            if threshold > 0:
                _dropout(
                    out, slope, threshold, kept, random_bits(seed, step * last + index), position * width
                )
            if activation == _SIGMOID:
                # The only activation that is not zero at zero.
                for i in range(rows):
                    out[i * width + layer[FAN_OUT] : (i + 1) * width] = ZERO
        source, stride = layer[ACTIVATION], width


@njit_inline
def transpose_weights(table: Any, parameters: Any, work: Any) -> None:
    """Transpose the matrices that `backward` goes through."""
    for index in range(1, len(table)):
        layer = table[index]
        width, before = layer[STRIDE], table[index - 1][STRIDE]
        transpose(
            layer[IN_ROWS], layer[COLUMNS], parameters, layer[WEIGHT], width, work, layer[TRANSPOSED], before
        )


@njit_inline
def backward(
    table: Any, parameters: Any, work: Any, gradient: Any, stride: Any, samples: Any, added: Any
) -> None:
    """Compute the gradient of a chunk, from the outputs' derivatives in the last layer's delta.

    Args:
        table: `Layout.table`.
        parameters: the flat parameters.
        work: the workspace, as `forward` and `transpose_weights` left it.
        gradient: the flat gradient.
        stride: of the inputs.
        samples: how many.
        added: whether to add to the gradient or to replace it.
    """
    rows = -(-samples // ROWS) * ROWS
    for index in range(len(table) - 1, -1, -1):
        layer = table[index]
        width = layer[STRIDE]
        if index > 0:
            before = table[index - 1]
            source, source_row = before[ACTIVATION], before[STRIDE]
        else:
            before = layer
            source, source_row = 0, stride
        bias = gradient[layer[BIAS] : layer[BIAS] + layer[FAN_OUT]]
        if added:
            product(
                layer[IN_ROWS], layer[COLUMNS], samples, work, source, 1, source_row,
                work, layer[DELTA], width, gradient, layer[WEIGHT], width,
                gradient, layer[WEIGHT], width, 1,
            )  # fmt: skip
        else:
            product(
                layer[IN_ROWS], layer[COLUMNS], samples, work, source, 1, source_row,
                work, layer[DELTA], width, gradient, layer[WEIGHT], width, NOTHING, 0, 0, 0,
            )  # fmt: skip
            bias[:] = ZERO
        _add_rows(work, layer[DELTA], width, samples, bias)
        if index > 0:
            size = rows * before[STRIDE]
            delta = work[before[DELTA] : before[DELTA] + size]
            product(
                rows, before[COLUMNS], layer[FAN_OUT], work, layer[DELTA], width, 1,
                work, layer[TRANSPOSED], before[STRIDE], work, before[DELTA], before[STRIDE],
                NOTHING, 0, 0, 0,
            )  # fmt: skip
            slope = work[before[SLOPE] : before[SLOPE] + size]
            for i in range(size):
                delta[i] *= slope[i]
            if before[SCALE] >= 0:
                _normalize_back(before, parameters, work, gradient, samples, added)
            if before[BATCH_SCALE] >= 0:
                _normalize_batch_back(before, parameters, work, gradient, samples)


@njit_inline
def _add_rows(work: Any, start: Any, width: Any, rows: Any, total: Any) -> None:
    for i in range(rows):
        row = work[start + i * width : start + i * width + len(total)]
        for j in range(len(total)):
            total[j] += row[j]


@njit_inline
def _activate(kind: Any, a: Any, slope: Any) -> None:
    """Replace numbers by their activation and note its slope there; `nan` stays `nan`."""
    n = len(a)
    if kind == _RELU:
        for i in range(n):
            z = a[i]
            a[i] = ZERO if z < ZERO else z
            slope[i] = ONE if z > ZERO else ZERO
    elif kind == _TANH:
        for i in range(n):
            y = tanh(a[i])
            a[i] = y
            slope[i] = ONE - y * y
    elif kind == _GELU:
        for i in range(n):
            z = a[i]
            share, density = normal_cdf_pdf(z)
            a[i] = z * share
            slope[i] = share + z * density
    elif kind == _SILU:
        for i in range(n):
            z = a[i]
            share = sigmoid(z)
            y = z * share
            a[i] = y
            slope[i] = share + y * (ONE - share)
    elif kind == _LEAKY:
        for i in range(n):
            z = a[i]
            a[i] = LEAK * z if z < ZERO else z
            slope[i] = ONE if z > ZERO else LEAK
    elif kind == _SIGMOID:
        for i in range(n):
            y = sigmoid(a[i])
            a[i] = y
            slope[i] = y * (ONE - y)
    else:
        slope[:] = ONE


@njit_inline
def _dropout(a: Any, slope: Any, threshold: Any, kept: Any, key: Any, start: Any) -> None:
    for i in range(len(a)):
        share = ZERO if mix_bits(u32(u32(start + i) ^ key)) < threshold else kept
        a[i] *= share
        slope[i] *= share


@njit_reassoc
def _sum(x: Any) -> Any:
    total = ZERO
    for i in range(len(x)):
        total += x[i]
    return total


@njit_reassoc
def _sum_squares_around(x: Any, mean: Any) -> Any:
    total = ZERO
    for i in range(len(x)):
        total += (x[i] - mean) * (x[i] - mean)
    return total


@njit_reassoc
def _dot(x: Any, y: Any) -> Any:
    total = ZERO
    for i in range(len(x)):
        total += x[i] * y[i]
    return total


@njit_inline
def _normalize(layer: Any, parameters: Any, work: Any, rows: Any) -> None:
    """Layer normalization (Ba et al. 2016) of each sample."""
    width, units = layer[STRIDE], layer[FAN_OUT]
    scale = parameters[layer[SCALE] : layer[SCALE] + width]
    shift = parameters[layer[SHIFT] : layer[SHIFT] + width]
    for i in range(rows):
        z = work[layer[ACTIVATION] + i * width : layer[ACTIVATION] + (i + 1) * width]
        normal = work[layer[NORMAL] + i * width : layer[NORMAL] + (i + 1) * width]
        mean = _sum(z[:units]) / f32(units)
        spread = ONE / f32(np.sqrt(_sum_squares_around(z[:units], mean) / f32(units) + NORM_EPSILON))
        work[layer[INVERSE_STD] + i] = spread
        for j in range(width):
            normal[j] = (z[j] - mean) * spread
            z[j] = normal[j] * scale[j] + shift[j]


@njit_inline
def _normalize_back(layer: Any, parameters: Any, work: Any, gradient: Any, samples: Any, added: Any) -> None:
    """Turn the derivatives behind a normalization into those before it."""
    width, units = layer[STRIDE], layer[FAN_OUT]
    scale = parameters[layer[SCALE] : layer[SCALE] + units]
    scale_gradient = gradient[layer[SCALE] : layer[SCALE] + units]
    shift_gradient = gradient[layer[SHIFT] : layer[SHIFT] + units]
    if not added:
        scale_gradient[:] = ZERO
        shift_gradient[:] = ZERO
    for i in range(samples):
        delta = work[layer[DELTA] + i * width : layer[DELTA] + i * width + units]
        normal = work[layer[NORMAL] + i * width : layer[NORMAL] + i * width + units]
        for j in range(units):
            scale_gradient[j] += delta[j] * normal[j]
            shift_gradient[j] += delta[j]
            delta[j] *= scale[j]
        mean = _sum(delta) / f32(units)
        along = _dot(delta, normal) / f32(units)
        spread = work[layer[INVERSE_STD] + i]
        for j in range(units):
            delta[j] = spread * (delta[j] - mean - normal[j] * along)


@njit_inline
def _normalize_batch(layer: Any, parameters: Any, work: Any, rows: Any, samples: Any, training: Any) -> None:
    """Batch normalization (Ioffe and Szegedy 2015), each unit by itself."""
    width, units = layer[STRIDE], layer[FAN_OUT]
    scale = parameters[layer[BATCH_SCALE] : layer[BATCH_SCALE] + width]
    shift = parameters[layer[BATCH_SHIFT] : layer[BATCH_SHIFT] + width]
    mean = parameters[layer[BATCH_MEAN] : layer[BATCH_MEAN] + width]
    variance = parameters[layer[BATCH_VARIANCE] : layer[BATCH_VARIANCE] + width]
    numbers = work[layer[BATCH_NUMBERS] : layer[BATCH_NUMBERS] + 4 * width]
    spread, center = numbers[:width], numbers[width : 2 * width]
    if training:
        center[:] = ZERO
        _add_rows(work, layer[ACTIVATION], width, samples, center)
        for j in range(width):
            center[j] /= f32(samples)
        spread[:] = ZERO
        for i in range(samples):
            z = work[layer[ACTIVATION] + i * width : layer[ACTIVATION] + (i + 1) * width]
            for j in range(width):
                spread[j] += (z[j] - center[j]) * (z[j] - center[j])
        more = f32(samples) / f32(max(samples - 1, 1))
        for j in range(width):
            spread[j] /= f32(samples)
        for j in range(units):
            mean[j] += MOMENTUM * (center[j] - mean[j])
            variance[j] += MOMENTUM * (spread[j] * more - variance[j])
    else:
        center[:] = mean
        spread[:] = variance
    for j in range(width):
        spread[j] = ONE / f32(np.sqrt(spread[j] + NORM_EPSILON))
    for i in range(rows):
        z = work[layer[ACTIVATION] + i * width : layer[ACTIVATION] + (i + 1) * width]
        normal = work[layer[BATCH_NORMAL] + i * width : layer[BATCH_NORMAL] + (i + 1) * width]
        for j in range(width):
            normal[j] = (z[j] - center[j]) * spread[j]
        for j in range(width):
            z[j] = normal[j] * scale[j] + shift[j]


@njit_inline
def _normalize_batch_back(layer: Any, parameters: Any, work: Any, gradient: Any, samples: Any) -> None:
    """Turn the derivatives behind the normalization of a whole batch into those before it."""
    width, units = layer[STRIDE], layer[FAN_OUT]
    scale = parameters[layer[BATCH_SCALE] : layer[BATCH_SCALE] + width]
    scale_gradient = gradient[layer[BATCH_SCALE] : layer[BATCH_SCALE] + units]
    shift_gradient = gradient[layer[BATCH_SHIFT] : layer[BATCH_SHIFT] + units]
    numbers = work[layer[BATCH_NUMBERS] : layer[BATCH_NUMBERS] + 4 * width]
    spread, factor = numbers[:width], numbers[width : 2 * width]
    mean, along = numbers[2 * width : 3 * width], numbers[3 * width :]
    mean[:] = ZERO
    along[:] = ZERO
    _add_rows(work, layer[DELTA], width, samples, mean)
    for i in range(samples):
        delta = work[layer[DELTA] + i * width : layer[DELTA] + (i + 1) * width]
        normal = work[layer[BATCH_NORMAL] + i * width : layer[BATCH_NORMAL] + (i + 1) * width]
        for j in range(width):
            along[j] += delta[j] * normal[j]
    scale_gradient[:] = along[:units]
    shift_gradient[:] = mean[:units]
    for j in range(width):
        factor[j] = spread[j] * scale[j]
        mean[j] /= f32(samples)
        along[j] /= f32(samples)
    for i in range(samples):
        delta = work[layer[DELTA] + i * width : layer[DELTA] + (i + 1) * width]
        normal = work[layer[BATCH_NORMAL] + i * width : layer[BATCH_NORMAL] + (i + 1) * width]
        for j in range(width):
            normal[j] = delta[j] - mean[j] - normal[j] * along[j]
        for j in range(width):
            delta[j] = factor[j] * normal[j]
