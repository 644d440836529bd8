"""Convolution: those of K rows as compiled products where they can be; `layers` uses it.

What it puts out is (K, B, F, H, W), in memory (K, B, H, W, F).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuner.fused import convolution_kernel as kernel
from tuner.fused.layout import LANES


def is_compiled(x: Tensor, weight: Tensor) -> bool:
    """Whether `convolved` takes them."""
    is_single = x.dtype is weight.dtype is torch.float32 and not torch.is_autocast_enabled("cpu")
    return x.device.type == "cpu" and is_single


def padding_of(part: nn.Conv2d) -> tuple[int, int] | None:
    """The zeros that a layer puts around images; None where `convolved` cannot compute it."""
    plain = part.stride == part.dilation == (1, 1) and part.groups == 1
    if not plain or isinstance(part.padding, str):
        return None
    down, right = part.padding
    return (down, right) if down < part.kernel_size[0] and right < part.kernel_size[1] else None


def convolved(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int], kind: int = kernel.PLAIN
) -> Tensor:
    """Convolve (K, B, C, H, W) with (K, F, C, kernel height, kernel width) and add (K, F); None: nothing."""
    apply: Any = _Compiled.apply
    shared = x.shape[0] > 1 and x.stride(0) == 0
    last, filters = (x[:1] if shared else x).movedim(2, -1), weight.shape[1]
    bias = weight.new_zeros(weight.shape[:2]) if bias is None else bias
    if more := -filters % LANES:
        weight, bias = functional.pad(weight, (0, 0, 0, 0, 0, 0, 0, more)), functional.pad(bias, (0, more))
    found: Tensor = apply(last.contiguous(), weight.contiguous(), bias.contiguous(), padding, kind)
    return found.movedim(-1, 2)[:, :, :filters]


class _Compiled(torch.autograd.Function):
    """(K, B, H, W, C) to (K, B, height, width, F)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, padding: tuple[int, int], kind: int
    ) -> Tensor:
        sizes = [
            size + 2 * zeros - kernel_size + 1
            for size, zeros, kernel_size in zip(x.shape[2:4], padding, weight.shape[3:], strict=True)
        ]
        if kind == kernel.LARGEST:
            sizes = [size // 2 for size in sizes]
        out = x.new_empty(len(weight), x.shape[1], *sizes, weight.shape[1])
        own = out.shape if kind == kernel.LARGEST else (*out.shape[:2], 0, 0, 0)
        marks = torch.empty(own, dtype=torch.uint8)
        given = [t.detach().numpy() for t in (x, weight, bias, out, marks)]

        def compute(rows: slice) -> None:
            images, *others = (array if len(array) == 1 else array[rows] for array in given)
            kernel.convolve(images, *others[:2], *padding, kind, *others[2:])  # type: ignore[call-arg]

        _in_threads(compute, len(weight))
        ctx.save_for_backward(x, weight, out, marks)
        ctx.padding, ctx.kind = padding, kind
        return out

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        x, weight, out, marks = ctx.saved_tensors
        dx = x.new_empty(len(weight) if ctx.needs_input_grad[0] else 0, *x.shape[1:])
        dweight, dbias = torch.empty_like(weight), x.new_empty(weight.shape[:2])
        slope = slopes[0].contiguous()
        given = [t.numpy() for t in (x, weight, out, marks, slope, dx, dweight, dbias)]

        def compute(rows: slice) -> None:
            images, weights, *others = (array if len(array) <= 1 else array[rows] for array in given)
            kernel.convolve_back(images, weights, *ctx.padding, ctx.kind, *others)  # type: ignore[call-arg]

        _in_threads(compute, len(weight))
        if len(dx) > len(x):
            dx = dx.sum(0, keepdim=True)
        return dx if len(dx) else None, dweight, dbias, None, None


def _in_threads(compute: Callable[[slice], None], rows: int) -> None:
    """Share rows between PyTorch's threads: none depends on another, nor on which thread computes it."""
    parts = min(torch.get_num_threads(), rows)
    if parts == 1:
        compute(slice(0, rows))
        return
    ends = [rows * part // parts for part in range(parts + 1)]
    list(_pool().map(compute, map(slice, ends, ends[1:])))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="convolutions")
