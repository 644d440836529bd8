"""Convolutions of K rows on a CPU, compiled: products of shifted images, nothing is copied side by side.

Called by `convolution`. An image lies in a padded one, pixel by pixel with its channels together, so that
what a kernel's row of pixels sees of it is one run of numbers, and that of the next pixel begins a pixel
later: for each row of the kernel a whole image is one matrix product. What falls between two lines of the
image is computed too and not taken. In shapes F is filters; sizes are rounded up as `product` needs them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from tuner.compiled import llvm_intrinsic, njit_cached, njit_inline
from tuner.fused.fast_math import ZERO
from tuner.fused.layout import LANES, ROWS
from tuner.fused.matmul_kernel import NOTHING, product

PLAIN, POSITIVE, LARGEST = 0, 1, 2
"""What is made of the sums: nothing, their positive part, and of that the largest of 2 x 2 pixels."""

_NONE = 4
"""The mark of 2 x 2 pixels none of which is positive."""

_SIZE = ir.IntType(64)
_VECTOR, _MARKS = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(ir.IntType(8), LANES)


@njit_inline
def _up(size: Any, to: Any) -> Any:
    return -(-size // to) * to


@njit_inline
def _embed(x: Any, image: Any, line: Any, channels: Any, top: Any, left: Any) -> None:
    """Put (H, W, C) into a padded image of zeros."""
    run = x.shape[1] * x.shape[2]
    for y in range(x.shape[0]):
        start = ((y + top) * line + left) * channels
        if x.shape[2] == channels:
            given, place = x[y].ravel(), image[start : start + run]
            for i in range(run):
                place[i] = given[i]
        else:
            for j in range(x.shape[1]):
                for c in range(x.shape[2]):
                    image[start + j * channels + c] = x[y, j, c]


@llvm_intrinsic
def _largest(
    _: Any, sums: Any, at: Any, down: Any, over: Any, out: Any, marks: Any, to: Any  # noqa: ARG001
) -> Any:  # fmt: skip
    """Of `LANES` filters the largest of 2 x 2 pixels and which it is, the first one of several.

    0 and `_NONE` where it is not positive; NaN stays NaN.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums, at, down, over, out, marks, to = args
        kinds = signature.args
        given = _start(context, builder, sums, kinds[0], at)
        places = [_SIZE(0), over, down, builder.add(down, over)]
        corners = [_load(builder, builder.gep(given, [place]), _VECTOR) for place in places]
        best, mark = corners[0], _splat(_MARKS, 0)
        for i, corner in enumerate(corners[1:]):
            keeps = builder.or_(
                builder.fcmp_ordered(">=", best, corner), builder.fcmp_unordered("uno", best, best)
            )
            best = builder.select(keeps, best, corner)
            mark = builder.select(keeps, mark, _splat(_MARKS, i + 1))
        none = builder.fcmp_ordered("<=", best, _splat(_VECTOR, 0.0))
        best = builder.select(none, _splat(_VECTOR, 0.0), best)
        mark = builder.select(none, _splat(_MARKS, _NONE), mark)
        _store(builder, best, _start(context, builder, out, kinds[4], to))
        _store(builder, mark, _start(context, builder, marks, kinds[5], to))
        return context.get_dummy_value()

    n = types.intp
    return types.void(sums, n, n, n, out, marks, n), generate


@llvm_intrinsic
def _scatter(
    _: Any, given: Any, marks: Any, at: Any, spread: Any, to: Any, down: Any, over: Any  # noqa: ARG001
) -> Any:  # fmt: skip
    """The way back through `_largest`: derivatives at the pixels that were it, 0 at the others."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        given, marks, at, spread, to, down, over = args
        kinds = signature.args
        slope = _load(builder, _start(context, builder, given, kinds[0], at), _VECTOR)
        mark = _load(builder, _start(context, builder, marks, kinds[1], at), _MARKS)
        place = _start(context, builder, spread, kinds[3], to)
        for i, offset in enumerate([_SIZE(0), over, down, builder.add(down, over)]):
            own = builder.icmp_unsigned("==", mark, _splat(_MARKS, i))
            found = builder.select(own, slope, _splat(_VECTOR, 0.0))
            _store(builder, found, builder.gep(place, [offset]))
        return context.get_dummy_value()

    n = types.intp
    return types.void(given, marks, n, spread, n, n, n), generate


def _start(context: Any, builder: Any, array: Any, kind: Any, index: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


def _load(builder: Any, pointer: Any, kind: Any) -> Any:
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=1)


def _store(builder: Any, value: Any, pointer: Any) -> None:
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=1)


def _splat(kind: Any, value: Any) -> Any:
    return ir.Constant(kind, [value] * LANES)


@njit_inline
def _finish(
    sums: Any, line: Any, wide: Any, height: Any, width: Any, kind: Any, out: Any, marks: Any, first: Any
) -> None:  # fmt: skip
    """From sums in a padded image to one without of what is made of them, from `first` on."""
    run = width * wide
    for y in range(height):
        place = first + y * run
        if kind == LARGEST:
            start = 2 * y * line * wide
            for x in range(width):
                for f in range(0, wide, LANES):
                    at = start + 2 * x * wide + f
                    _largest(sums, at, line * wide, wide, out, marks, place + x * wide + f)
            continue
        given, found = sums[y * line * wide : y * line * wide + run], out[place : place + run]
        if kind == POSITIVE:
            for i in range(run):
                found[i] = ZERO if given[i] <= ZERO else given[i]
        else:
            for i in range(run):
                found[i] = given[i]


@njit_cached
def convolve(
    x: Any, weight: Any, bias: Any, down: Any, right: Any, kind: Any, out: Any, marks: Any
) -> None:  # fmt: skip
    """Convolve images.

    Args:
        x: (K, B, H, W, C), or (1, B, ...) where the rows have the same.
        weight: (K, F, C, kernel height, kernel width), F a multiple of `LANES`.
        bias: (K, F).
        down: zeros above and below.
        right: zeros left and right.
        kind: see `PLAIN`.
        out: (K, B, height, width, F), to be filled.
        marks: (K, B, height, width, F), which pixel was `LARGEST`, to be filled.
    """
    rows, filters, channels, tall, broad = weight.shape
    samples, height, width = x.shape[1:4]
    line = width + max(2 * right, broad - 1)
    pixels = (height + 2 * down - tall) * line + width + 2 * right - broad + 1
    wide, count = filters, _up(pixels, ROWS)
    tall_out, broad_out = out.shape[2:4]
    size, flat, marked = tall_out * broad_out * wide, out.reshape(-1), marks.reshape(-1)
    image = np.zeros(((height + 2 * down) * line + broad + 2 * ROWS) * channels + LANES, np.float32)
    packed = np.zeros(tall * broad * channels * wide, np.float32)
    shift, sums = np.zeros(wide, np.float32), np.empty(count * wide, np.float32)
    run = broad * channels
    for k in range(rows):
        own = x[k % len(x)]
        shift[:filters] = bias[k]
        for f in range(filters):
            for c in range(channels):
                for dy in range(tall):
                    for dx in range(broad):
                        packed[((dy * broad + dx) * channels + c) * wide + f] = weight[k, f, c, dy, dx]
        for b in range(samples):
            _embed(own[b], image, line, channels, down, right)
            for dy in range(tall):
                given, step = (sums, wide) if dy else (shift, 0)
                product(
                    count, wide, run, image, dy * line * channels, channels, 1,
                    packed, dy * run * wide, wide, sums, 0, wide, given, 0, step, 1,
                )  # fmt: skip
            _finish(sums, line, wide, tall_out, broad_out, kind, flat, marked, (k * samples + b) * size)


@njit_inline
def _slopes(
    kind: Any, given: Any, out: Any, marks: Any, first: Any, height: Any, width: Any,
    spread: Any, start: Any, line: Any, wide: Any,
) -> None:  # fmt: skip
    """Derivatives by the sums, put into a padded image of zeros."""
    run = width * wide
    for y in range(height):
        at = first + y * run
        if kind == LARGEST:
            to = start + 2 * y * line * wide
            for x in range(width):
                for f in range(0, wide, LANES):
                    _scatter(
                        given, marks, at + x * wide + f, spread, to + 2 * x * wide + f, line * wide, wide
                    )
            continue
        to = start + y * line * wide
        slope, shown, place = given[at : at + run], out[at : at + run], spread[to : to + run]
        if kind == POSITIVE:
            for i in range(run):
                place[i] = ZERO if shown[i] <= ZERO else slope[i]
        else:
            for i in range(run):
                place[i] = slope[i]


@njit_cached
def convolve_back(
    x: Any, weight: Any, down: Any, right: Any, kind: Any, out: Any, marks: Any, given: Any,
    dx: Any, dweight: Any, dbias: Any,
) -> None:  # fmt: skip
    """The way back through `convolve`, of what it was given and has filled in.

    `given` holds (K, B, height, width, F) derivatives by `out`; those by the inputs, (K, B, H, W, C), by the
    weights and by the biases are filled in. Where the first are not wanted `dx` has no rows.
    """
    rows, filters, channels, tall, broad = weight.shape
    samples, height, width = x.shape[1:4]
    line = width + max(2 * right, broad - 1)
    pixels = (height + 2 * down - tall) * line + width + 2 * right - broad + 1
    wide, few, count = filters, _up(channels, LANES), _up((height - 1) * line + width, ROWS)
    tall_out, broad_out = out.shape[2:4]
    size, slopes = tall_out * broad_out * wide, given.reshape(-1)
    flat, marked = out.reshape(-1), marks.reshape(-1)
    run, slope_run = broad * channels, broad * wide
    image = np.zeros(((height + 2 * down) * line + broad + 2 * ROWS) * channels + LANES, np.float32)
    spread = np.zeros(((height + tall) * line + broad + 2 * ROWS) * wide, np.float32)
    start = ((tall - 1 - down) * line + broad - 1 - right) * wide
    packed = np.zeros(tall * slope_run * few, np.float32)
    block = _up(run, ROWS) * wide
    total, back = np.empty(tall * block, np.float32), np.empty(count * few, np.float32)
    for k in range(rows):
        if len(dx):
            for f in range(filters):
                for c in range(channels):
                    for dy in range(tall):
                        for i in range(broad):
                            at = ((dy * broad + i) * wide + f) * few + c
                            packed[at] = weight[k, f, c, tall - 1 - dy, broad - 1 - i]
        total[:] = ZERO
        dbias[k] = ZERO
        for b in range(samples):
            _embed(x[k % len(x), b], image, line, channels, down, right)
            first = (k * samples + b) * size
            _slopes(kind, slopes, flat, marked, first, tall_out, broad_out, spread, start, line, wide)
            for i in range(start, start + pixels * wide, wide):
                place, sums = spread[i : i + wide], dbias[k]
                for f in range(wide):
                    sums[f] += place[f]
            for dy in range(tall):
                product(
                    _up(run, ROWS), wide, pixels, image, dy * line * channels, 1, channels,
                    spread, start, wide, total, dy * block, wide, total, dy * block, wide, 1,
                )  # fmt: skip
            if len(dx):
                for dy in range(tall):
                    before, step = (back, few) if dy else (NOTHING, 0)
                    product(
                        count, few, slope_run, spread, dy * line * wide, wide, 1,
                        packed, dy * slope_run * few, few, back, 0, few, before, 0, step, min(step, 1),
                    )  # fmt: skip
                for y in range(height):
                    for j in range(width):
                        at = (y * line + j) * few
                        for c in range(channels):
                            dx[k, b, y, j, c] = back[at + c]
        for f in range(filters):
            for c in range(channels):
                for dy in range(tall):
                    for i in range(broad):
                        at = dy * block + (i * channels + c) * wide + f
                        dweight[k, f, c, dy, i] = total[at]
