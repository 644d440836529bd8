"""Batch normalization of K rows on a CPU, compiled: each row by itself, whatever its neighbours are.

`norms.normalized` says the same in PyTorch operations, and is what this is held to. Sums are taken in double
precision, so that their order hardly shows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tuner.compiled import njit_cached


@njit_cached
def _forward(
    x: Any, y: Any, shares: Any, weight: Any, bias: Any, means: Any, vars_: Any, tracked: Any, mean: Any,
    root: Any, steps: Any, eps: float, momentum: float,
) -> None:  # fmt: skip
    rows, samples = shares.shape
    channels, (by_row, by_sample, pixels, by_pixel) = mean.shape[1], steps
    total = np.empty(channels)
    for k in range(rows):
        there = 0
        while there < samples and shares[k, there] > 0:
            there += 1
        count = max(there * pixels, 1)
        total[:] = 0
        for b in range(there):
            for s in range(pixels):
                at = k * by_row + b * by_sample + s * by_pixel
                for c in range(channels):
                    total[c] += x[at + c]
        for c in range(channels):
            mean[k, c] = total[c] / count
        total[:] = 0
        for b in range(there):
            for s in range(pixels):
                at = k * by_row + b * by_sample + s * by_pixel
                for c in range(channels):
                    distance = x[at + c] - mean[k, c]
                    total[c] += distance * distance
        for c in range(channels):
            root[k, c] = 1 / np.sqrt(total[c] / count + eps)
        moved = momentum
        if there and len(tracked):
            tracked[k] += 1
            if momentum < 0:
                moved = 1 / tracked[k]
        if there and len(means) and moved > 0:
            for c in range(channels):
                means[k, c] = (1 - moved) * means[k, c] + moved * mean[k, c]
                vars_[k, c] = (1 - moved) * vars_[k, c] + moved * total[c] / max(count - 1, 1)
        for b in range(samples):
            for s in range(pixels):
                at = k * by_row + b * by_sample + s * by_pixel
                if b >= there:
                    y[at : at + channels] = 0
                elif len(weight):
                    for c in range(channels):
                        y[at + c] = (x[at + c] - mean[k, c]) * root[k, c] * weight[k, c] + bias[k, c]
                else:
                    for c in range(channels):
                        y[at + c] = (x[at + c] - mean[k, c]) * root[k, c]


@njit_cached
def _backward(
    x: Any, dy: Any, dx: Any, shares: Any, weight: Any, mean: Any, root: Any, dw: Any, db: Any, steps: Any
) -> None:
    rows, samples = shares.shape
    channels, (by_row, by_sample, pixels, by_pixel) = mean.shape[1], steps
    plain, scaled = np.empty(channels), np.empty(channels)
    first, second, factor = np.empty((3, channels), np.float32)
    for k in range(rows):
        there = 0
        while there < samples and shares[k, there] > 0:
            there += 1
        count = max(there * pixels, 1)
        plain[:] = 0
        scaled[:] = 0
        for b in range(there):
            for s in range(pixels):
                at = k * by_row + b * by_sample + s * by_pixel
                for c in range(channels):
                    plain[c] += dy[at + c]
                    scaled[c] += dy[at + c] * (x[at + c] - mean[k, c])
        for c in range(channels):
            db[k, c] = plain[c]
            dw[k, c] = scaled[c] * root[k, c]
            factor[c] = root[k, c] * weight[k, c] if len(weight) else root[k, c]
            first[c] = plain[c] / count
            second[c] = scaled[c] * root[k, c] * root[k, c] / count
        for b in range(samples):
            for s in range(pixels):
                at = k * by_row + b * by_sample + s * by_pixel
                if b >= there:
                    dx[at : at + channels] = 0
                else:
                    for c in range(channels):
                        pull = first[c] + (x[at + c] - mean[k, c]) * second[c]
                        dx[at + c] = factor[c] * (dy[at + c] - pull)


_NONE, _NOT_COUNTED = np.empty((0, 0), np.float32), np.empty(0, np.int64)


class BatchNormalization(torch.autograd.Function):
    """All rows: ``apply(x, shares, weight, bias, running_mean, running_var, num_batches_tracked, ...)``.

    `x` is contiguous: (K, B, S, C), or (B, S, K, C) where it travels. The running averages and the count move
    on in place; each may be None.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shares: Tensor, weight: Tensor | None, bias: Tensor | None,
        running_mean: Tensor | None, running_var: Tensor | None, tracked: Tensor | None, travels: bool,
        eps: float, momentum: float,
    ) -> Tensor:  # fmt: skip
        """A momentum below 0 averages over all batches."""
        counts = shares.contiguous().numpy()
        rows, y = len(counts), torch.empty_like(x)
        mean, root = torch.empty(2, rows, x.shape[-1])
        own = [_table(t, rows) for t in (weight, bias, running_mean, running_var)]
        own += [_NOT_COUNTED if tracked is None else tracked.view(rows).numpy(), mean.numpy(), root.numpy()]
        ctx.counts, ctx.steps = counts, _steps(x, counts, travels)
        ctx.save_for_backward(x, weight, mean, root)
        arrays = (x.view(-1).numpy(), y.view(-1).numpy(), counts, *own, ctx.steps, eps, momentum)
        _forward(*arrays)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        """The gradients of `x`, of the weight and of the bias."""
        x, weight, mean, root = ctx.saved_tensors
        dx, (dw, db) = torch.empty_like(x), torch.empty(2, *mean.shape)
        given = [t.detach().contiguous().view(-1).numpy() for t in (x, dy, dx)]
        own = [t.numpy() for t in (mean, root, dw, db)]
        arrays = (*given, ctx.counts, _table(weight, len(mean)), *own, ctx.steps)
        _backward(*arrays)
        found = (None, None) if weight is None else (dw.view_as(weight), db.view_as(weight))
        return dx, None, *found, *(None for _ in range(6))


class NormalizationUnderVmap(torch.autograd.Function):
    """One row: `BatchNormalization` for what `vmap` computes, (B, S, C)."""

    @staticmethod
    def forward(*args: Any) -> Tensor:
        """A row by itself, without gradients."""
        found: Tensor = NormalizationUnderVmap.vmap(None, tuple(None for _ in args), *args)[0]
        return found[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing is kept: rows are computed together."""

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """All rows together."""
        rows = 1 if info is None else info.batch_size
        given = [
            t.movedim(at, 0).contiguous() if at is not None
            else t.expand(rows, *t.shape).contiguous() if isinstance(t, Tensor)
            else t
            for t, at in zip(args, in_dims, strict=True)
        ]  # fmt: skip
        apply: Any = BatchNormalization.apply
        return apply(*given), 0


def _table(tensor: Tensor | None, rows: int) -> Any:
    return _NONE if tensor is None else tensor.detach().view(rows, -1).contiguous().numpy()


def _steps(x: Tensor, shares: Any, travels: bool) -> tuple[int, int, int, int]:
    """From row to row and from sample to sample, how many pixels there are, and from one to the next."""
    rows, samples = shares.shape
    channels = x.shape[-1]
    pixels = x.numel() // (rows * samples * channels)
    if travels:
        return channels, pixels * rows * channels, pixels, rows * channels
    return samples * pixels * channels, pixels * channels, pixels, channels
