"""The compiled back end: an epoch of one row, its measurements included, as one program.

What an epoch consists of is drawn up in `row`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tuner.compiled import njit_cached, njit_inline
from tuner.fused.embedding_kernel import differentiate, look_up, transpose_first
from tuner.fused.fast_math import ONE, ZERO, f32, mix_bits, normal_pair, random_bits, u32
from tuner.fused.layout import ACTIVATION, CHUNK, DELTA, FAN_OUT, IN_ROWS, ROWS, STRIDE
from tuner.fused.loss_kernels import derive, derive_taught, total_loss
from tuner.fused.network import backward, forward, transpose_weights
from tuner.fused.recipe import LossKind
from tuner.fused.update import average, update

_CROSS_ENTROPY = int(LossKind.CROSS_ENTROPY)


@njit_inline
def _gather(
    batches: Any, how: Any, parameters: Any, step: Any, number: Any, start: Any, position: Any,
    samples: Any, work: Any,
) -> None:  # fmt: skip
    """Bring a chunk's inputs to the start of the workspace, with noise and mixed; then rows of zeros."""
    stride = how.table[0, IN_ROWS]
    mixed = len(batches.shares) > 0
    share = batches.shares[step] if mixed else f32(1)
    work[: -(-samples // ROWS) * ROWS * stride] = ZERO
    for i in range(samples):
        row = work[i * stride : (i + 1) * stride]
        at = position + i
        _add_sample(batches, number, batches.order[start + at], at, share, row)
        if mixed:
            other = batches.partners[start + at]
            _add_sample(batches, number, batches.order[start + other], other, f32(1) - share, row)
        if len(how.embeddings) > 0:
            look_up(how.embeddings, parameters, batches.x[batches.order[start + at]], row)


@njit_inline
def _add_sample(batches: Any, number: Any, index: Any, at: Any, share: Any, row: Any) -> None:
    """Add a share of a sample; the noise on it belongs to its position in the batch."""
    x = batches.x[index]
    if batches.noise > 0:
        deviation, half = f32(batches.noise), len(x) // 2
        key = random_bits(batches.noise_seed, 2 * number)
        key_two = random_bits(batches.noise_seed, 2 * number + 1)
        low, high, low_x, high_x = row[:half], row[half:], x[:half], x[half:]
        for j in range(half):
            place = u32(at * half + j)
            one, two = normal_pair(mix_bits(u32(place ^ key)), mix_bits(u32(place ^ key_two)))
            low[j] += share * (low_x[j] + deviation * one)
            high[j] += share * (high_x[j] + deviation * two)
        row[batches.features :] = ZERO
    else:
        for j in range(len(x)):
            row[j] += share * x[j]


@njit_inline
def _gather_targets(
    batches: Any, kind: Any, step: Any, start: Any, position: Any, samples: Any,
    delta: Any, width: Any, units: Any,
) -> None:  # fmt: skip
    mixed = len(batches.shares) > 0
    share = batches.shares[step] if mixed else f32(1)
    delta[:] = ZERO
    for i in range(samples):
        row = delta[i * width : i * width + units]
        at = start + position + i
        _add_target(batches, kind, batches.order[at], share, row)
        if mixed:
            _add_target(batches, kind, batches.order[start + batches.partners[at]], f32(1) - share, row)


@njit_inline
def _add_target(batches: Any, kind: Any, index: Any, share: Any, row: Any) -> None:
    if kind == _CROSS_ENTROPY:
        row[batches.labels[index]] += share
    else:
        for j in range(len(row)):
            row[j] += share * batches.values[index, j]


@njit_inline
def _gather_taught(
    batches: Any, step: Any, start: Any, position: Any, samples: Any, lesson: Any, width: Any, units: Any
) -> None:
    """Bring a teacher's outputs for a chunk, mixed as the samples are."""
    mixed = len(batches.shares) > 0
    share = batches.shares[step] if mixed else f32(1)
    lesson[:] = ZERO
    for i in range(samples):
        row, at = lesson[i * width : i * width + units], start + position + i
        for j in range(units):
            row[j] = share * batches.taught[batches.order[at], j]
            if mixed:
                other = batches.order[start + batches.partners[at]]
                row[j] += (f32(1) - share) * batches.taught[other, j]


@njit_inline
def _weigh(
    batches: Any, step: Any, start: Any, position: Any, samples: Any, delta: Any, width: Any, units: Any
) -> None:
    """Multiply derivatives by the samples' weights, which are mixed as the samples are."""
    mixed = len(batches.shares) > 0
    for i in range(samples):
        at = start + position + i
        weight = batches.weights[batches.order[at]]
        if mixed:
            share = batches.shares[step]
            other = batches.weights[batches.order[start + batches.partners[at]]]
            weight = share * weight + (f32(1) - share) * other
        for j in range(i * width, i * width + units):
            delta[j] *= weight


@njit_inline
def _train(
    batches: Any, how: Any, numbers: Any, rates: Any, first: Any, weights: Any, gradient: Any, work: Any
) -> float:
    """Train one epoch in place; the sum of the gradients' norms."""
    norms = 0.0
    table, stride, samples = how.table, how.table[0, IN_ROWS], len(batches.order)
    last = table[len(table) - 1]
    width, units = last[STRIDE], last[FAN_OUT]
    threshold, kept = u32(how.threshold), f32(how.kept)
    for step in range(len(rates)):
        start = step * batches.size
        batch = batches.size if step + 1 < len(rates) else samples - start
        transpose_weights(table, weights.p, work)
        transpose_first(how.embeddings, table, weights.p, work)
        for position in range(0, batch, how.chunk):
            count = min(how.chunk, batch - position)
            _gather(batches, how, weights.p, step, first + step, start, position, count, work)
            forward(
                table, weights.p, work, stride, count, how.activation, threshold, kept,
                how.dropout_seed, first + step, position, True,
            )  # fmt: skip
            size = -(-count // ROWS) * ROWS * width
            outputs = work[last[ACTIVATION] : last[ACTIVATION] + size]
            delta = work[last[DELTA] : last[DELTA] + size]
            _gather_targets(batches, how.kind, step, start, position, count, delta, width, units)
            if batches.distil_weight > 0:
                lesson = batches.lesson[:size]
                _gather_taught(batches, step, start, position, count, lesson, width, units)
                derive_taught(how.kind, batches.temperature, batch, outputs, lesson, units, width, count)
            derive(how.kind, how.smoothing, batch, outputs, delta, units, width, count)
            if batches.distil_weight > 0:
                own = f32(batches.distil_weight)
                for j in range(count * width):
                    delta[j] = (ONE - own) * delta[j] + own * lesson[j]
            if len(batches.weights) > 0:
                _weigh(batches, step, start, position, count, delta, width, units)
            backward(table, weights.p, work, gradient, stride, count, position > 0)
            if len(how.embeddings) > 0:
                rows = batches.order[start + position : start + position + count]
                differentiate(how.embeddings, table, work, gradient, batches.x, rows, position > 0)
        p, g = weights.p[: how.trained], gradient[: how.trained]
        m, v = weights.m[: how.trained], weights.v[: how.trained]
        norm = update(numbers, rates[step], first + step + 1, p, g, m, v)
        average(numbers, first + step + 1, weights.p, weights.a)
        if not norm < np.inf:
            # Clipping has spread it into the padding, which no other step overwrites.
            gradient[:] = ZERO
        norms += norm
    return norms


@njit_inline
def _measure(how: Any, on: Any, parameters: Any, work: Any) -> float:
    """Write the outputs, (N, outputs), in evaluation mode; the mean loss."""
    table, stride = how.table, how.table[0, IN_ROWS]
    last = table[len(table) - 1]
    width, units = last[STRIDE], last[FAN_OUT]
    for start in range(0, len(on.x), CHUNK):
        count = min(CHUNK, len(on.x) - start)
        for i in range(count):
            for j in range(on.x.shape[1]):
                work[i * stride + j] = on.x[start + i, j]
            if len(how.embeddings) > 0:
                row = work[i * stride : (i + 1) * stride]
                row[on.x.shape[1] :] = ZERO
                look_up(how.embeddings, parameters, on.x[start + i], row)
        forward(table, parameters, work, stride, count, how.activation, u32(0), f32(1), 0, 0, 0, False)
        for i in range(count):
            for j in range(units):
                on.outputs[start + i, j] = work[last[ACTIVATION] + i * width + j]
    return total_loss(how.kind, on.outputs, on.labels, on.values, on.weights) / len(on.x)


@njit_cached
def epoch(
    batches: Any, how: Any, numbers: Any, rates: Any, first: Any, weights: Any,
    gradient: Any, work: Any, sample: Any, validation: Any,
) -> tuple[float, float, float]:  # fmt: skip
    """Train one epoch in place, then measure; see `row.Backend`."""
    norms = _train(batches, how, numbers, rates, first, weights, gradient, work)
    judged = weights.a if len(weights.a) > 0 else weights.p
    train_loss = _measure(how, sample, judged, work)
    return norms, train_loss, _measure(how, validation, judged, work)
