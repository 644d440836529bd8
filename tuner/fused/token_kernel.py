"""Embedded tokens of K rows on a CPU, compiled: each row looks its own table up.

`TokenRows` and `TokenMean` say what PyTorch's operations say, and are held to them; these spend most of their
time on derivatives of single tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tuner.compiled import njit_cached


@njit_cached
def _add_rows(slopes: Any, tokens: Any, gradient: Any) -> None:
    """(K, B, T, E) derivatives and (K, B, T) tokens to (K, V, E)."""
    rows, samples, steps = tokens.shape
    for k in range(rows):
        for b in range(samples):
            for t in range(steps):
                total, more = gradient[k, tokens[k, b, t]], slopes[k, b, t]
                for j in range(len(total)):
                    total[j] += more[j]


@njit_cached
def _mean(table: Any, tokens: Any, padding: int, found: Any) -> None:
    """(K, V, E) tables and (K, B, T) tokens to (K, B, E); 0 where there is no token."""
    rows, samples, steps = tokens.shape
    for k in range(rows):
        for b in range(samples):
            total, there = found[k, b], 0
            total[:] = 0
            for t in range(steps):
                if tokens[k, b, t] != padding:
                    there += 1
                    more = table[k, tokens[k, b, t]]
                    for j in range(len(total)):
                        total[j] += more[j]
            for j in range(len(total)):
                total[j] /= max(there, 1)


@njit_cached
def _mean_back(slopes: Any, tokens: Any, padding: int, gradient: Any) -> None:
    """(K, B, E) derivatives, which are changed, and (K, B, T) tokens to (K, V, E)."""
    rows, samples, steps = tokens.shape
    for k in range(rows):
        for b in range(samples):
            there = 0
            for t in range(steps):
                there += tokens[k, b, t] != padding
            share = slopes[k, b]
            for j in range(len(share)):
                share[j] /= max(there, 1)
            for t in range(steps):
                if tokens[k, b, t] != padding:
                    total = gradient[k, tokens[k, b, t]]
                    for j in range(len(total)):
                        total[j] += share[j]


class TokenRows(torch.autograd.Function):
    """(K, V, E) tables and (K, B, T) int32 tokens to (K, B, T, E)."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, tokens: Tensor) -> Tensor:
        """Look tokens up."""
        rows, vocabulary, size = table.shape
        ctx.tokens, ctx.shape = tokens.contiguous(), table.shape
        first = torch.arange(0, rows * vocabulary, vocabulary, dtype=tokens.dtype).view(rows, 1, 1)
        found = table.reshape(-1, size).index_select(0, (tokens + first).flatten())
        return found.view(*tokens.shape, size)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        """The derivatives by the tables."""
        gradient = slopes[0].new_zeros(ctx.shape)
        _add_rows(slopes[0].contiguous().numpy(), ctx.tokens.numpy(), gradient.numpy())
        return gradient, None


class TokenMean(torch.autograd.Function):
    """(K, V, E) tables, (K, B, T) int32 tokens and the one that is none, to the means (K, B, E)."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, tokens: Tensor, padding: int) -> Tensor:
        """Average what tokens are looked up as."""
        ctx.tokens, ctx.shape, ctx.padding = tokens.contiguous(), table.shape, padding
        found = table.new_empty(*tokens.shape[:2], table.shape[2])
        _mean(table.detach().contiguous().numpy(), ctx.tokens.numpy(), padding, found.numpy())
        return found

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        """The derivatives by the tables."""
        gradient = slopes[0].new_zeros(ctx.shape)
        own = slopes[0].clone(memory_format=torch.contiguous_format)
        _mean_back(own.numpy(), ctx.tokens.numpy(), ctx.padding, gradient.numpy())
        return gradient, None, None


def is_compiled(table: Tensor, tokens: Tensor) -> bool:
    """Whether these functions take such a table and such tokens."""
    # An exporter writes down what PyTorch itself computes.
    if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
        return False
    return table.device.type == "cpu" and table.dtype is torch.float32 and tokens.dtype is torch.int32
