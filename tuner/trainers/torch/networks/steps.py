"""Steps: layers over the steps of sequences, series and texts alike, some of which are not there.

None lets what stands behind the end of a sequence into its outputs. Each says what it makes of K rows, see
`RowLayer`; in shapes T is steps. Which steps are there, (B, T, 1), is 1 or 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.nn import init as torch_init

from tuner.core.dataset import PADDING, InputKind
from tuner.fused.row_layer import Draw, RowLayer
from tuner.fused.token_kernel import TokenMean, TokenRows, is_compiled
from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.first_weights import EMBEDDING_DEVIATION


class Steps(nn.Module):
    """What a sequence's steps are: ``values`` (B, T, size), and which are ``there`` (B, T, 1)."""

    def __init__(self, context: NetworkContext, token_size: int) -> None:
        super().__init__()
        tokens = context.kind is InputKind.TOKENS
        self.there = Presence(tokens, context.masked)
        self.size = token_size if tokens else context.input_shape[1] - context.masked
        self.values: RowLayer = (
            TokenEmbedding(context.vocabulary, token_size) if tokens else Values(context.masked)
        )


class Presence(RowLayer):
    """Which steps are there, by what stands behind the end of tokens or the last feature of series."""

    def __init__(self, tokens: bool, masked: bool) -> None:
        super().__init__()
        self.tokens, self.masked = tokens, masked

    def rows(self, _: Mapping[str, Tensor], /, *inputs: Tensor) -> Tensor:
        """(K, B, T) tokens, or (K, B, T, F)."""
        (x,) = inputs
        if self.tokens:
            return (x != PADDING).float().unsqueeze(-1)
        return (x[..., -1:] > 0).to(x.dtype) if self.masked else torch.ones_like(x[..., -1:])


class Values(RowLayer):
    """The features of a series' steps, without the one that says which are there."""

    def __init__(self, masked: bool) -> None:
        super().__init__()
        self.masked = masked

    def rows(self, _: Mapping[str, Tensor], /, *inputs: Tensor) -> Tensor:
        """(K, B, T, F)."""
        (x,) = inputs
        return x[..., :-1] if self.masked else x


class TokenEmbedding(RowLayer):
    """What a network learns of each token."""

    def __init__(self, vocabulary: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(vocabulary, size))

    def rows(self, own: Mapping[str, Tensor], /, *inputs: Tensor) -> Tensor:
        """(K, B, T)."""
        (x,), table = inputs, own["weight"]
        if is_compiled(table, x):
            look_up: Any = TokenRows.apply
            compiled: Tensor = look_up(table, x)
            return compiled
        rows, vocabulary, size = table.shape
        first = torch.arange(0, rows * vocabulary, vocabulary, device=x.device).view(rows, 1, 1)
        return functional.embedding(x.long() + first, table.reshape(-1, size))

    def initialize(self, _: Draw, generator: Generator, /) -> None:
        """Draw first embeddings, whatever the recipe draws weights from."""
        torch_init.normal_(self.weight, std=EMBEDDING_DEVIATION, generator=generator)


class MeanEmbedding(TokenEmbedding):
    """The mean of what a network learns of each token of a text, (B, T) to (B, size); 0 of an empty one."""

    def rows(self, own: Mapping[str, Tensor], /, *inputs: Tensor) -> Tensor:
        """(K, B, T)."""
        (x,), table = inputs, own["weight"]
        if is_compiled(table, x):
            average: Any = TokenMean.apply
            compiled: Tensor = average(table, x, PADDING)
            return compiled
        there = (x != PADDING).to(table.dtype).unsqueeze(-1)
        return (super().rows(own, x) * there).sum(2) / there.sum(2).clamp(min=1)


class StepConvolution(RowLayer):
    """`nn.Conv1d` over steps, of which there are as many behind it: (B, T, I) to (B, T, width)."""

    def __init__(self, inputs: int, width: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, inputs, kernel))
        self.bias = nn.Parameter(torch.zeros(width))
        torch_init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def rows(self, own: Mapping[str, Tensor], /, *inputs: Tensor) -> Tensor:
        """(K, B, T, I) and which are there."""
        (x, there), weight = inputs, own["weight"]
        steps, kernel = x.shape[2], weight.shape[3]
        x = functional.pad(x * there, (0, 0, kernel // 2, (kernel - 1) // 2))
        windows = torch.cat([x[:, :, i : i + steps] for i in range(kernel)], dim=3)  # (K, B, T, kernel I)
        matrix = weight.permute(0, 3, 2, 1).flatten(1, 2)  # (K, kernel I, width)
        found = torch.baddbmm(own["bias"][:, None], windows.flatten(1, 2), matrix)
        return found.view(*windows.shape[:3], -1)

    def initialize(self, draw: Draw, _: Generator, /) -> None:
        """Draw first weights."""
        draw(self.weight)
        torch_init.zeros_(self.bias)


class Attention(RowLayer):
    """`nn.MultiheadAttention` of steps to those steps that are there: (B, T, width) likewise."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj_weight = nn.Parameter(torch.empty(width, width))
        self.out_proj_bias = nn.Parameter(torch.zeros(width))
        for weight in (self.in_proj_weight, self.out_proj_weight):
            torch_init.xavier_uniform_(weight)

    def rows(self, own: Mapping[str, Tensor], /, *inputs: Tensor) -> Tensor:
        """(K, B, T, width) and which are there."""
        x, there = inputs
        rows, samples, steps, width = x.shape
        x = x.flatten(1, 2)
        joint = torch.baddbmm(own["in_proj_bias"][:, None], x, own["in_proj_weight"].mT)
        parts = joint.view(rows * samples, steps, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # (K B, heads, T, width / heads)
        # No infinities: a sequence without steps attends to all of what it has not, in vain.
        away = (there - 1).view(rows * samples, 1, 1, steps) * FAR
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=away)
        found = found.transpose(1, 2).reshape(rows, samples * steps, width)
        found = torch.baddbmm(own["out_proj_bias"][:, None], found, own["out_proj_weight"].mT)
        return found.view(rows, samples, steps, width)

    def initialize(self, draw: Draw, _: Generator, /) -> None:
        """Draw first weights; those of queries, keys and values each as a matrix of its own."""
        for weight in (*self.in_proj_weight.data.chunk(3), self.out_proj_weight):
            draw(weight)
        torch_init.zeros_(self.in_proj_bias)
        torch_init.zeros_(self.out_proj_bias)


FAR = 1e9
"""What is taken from the score of a step that is not there."""


class Positions(RowLayer):
    """Adds to each step where it stands, as sines and cosines (Vaswani et al. 2017, section 3.5)."""

    def rows(self, _: Mapping[str, Tensor], /, *inputs: Tensor) -> Tensor:
        """(K, B, T, width)."""
        (x,) = inputs
        steps, width = x.shape[2:]
        rate = 10_000 ** (-torch.arange(0, width, 2, device=x.device) / width)
        angles = torch.arange(steps, device=x.device)[:, None] * rate
        waves = torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]
        return x + waves.to(x.dtype)


class StepPooling(RowLayer):
    """The mean or the largest of each number over the steps that are there; 0 where none is."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def rows(self, _: Mapping[str, Tensor], /, *inputs: Tensor) -> Tensor:
        """(K, B, T, D) and which are there, to (K, B, D)."""
        x, there = inputs
        if self.kind == "mean":
            return (x * there).sum(2) / there.sum(2).clamp(min=1)
        largest = torch.where(there > 0, x, -math.inf).amax(2)
        return torch.where(there.amax(2) > 0, largest, 0)


class LastStates(RowLayer):
    """The states of a recurrence at the end of its way: at the last step, or at the first one backwards."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def rows(self, _: Mapping[str, Tensor], /, *inputs: Tensor) -> Tensor:
        """(K, B, T, width), or (K, B, T, 2 width) of both directions, to (K, B, ...)."""
        (x,) = inputs
        if x.shape[3] == self.width:
            return x[:, :, -1]
        return torch.cat([x[:, :, -1, : self.width], x[:, :, 0, self.width :]], dim=2)


class Joined(RowLayer):
    """What several layers made of the same, side by side."""

    def rows(self, _: Mapping[str, Tensor], /, *inputs: Tensor) -> Any:
        """(K, B, ..., D) each."""
        return torch.cat(inputs, dim=-1)
