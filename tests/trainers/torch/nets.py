"""Networks of a user's own, each with something of its kind."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuner.core.trial import Params
from tuner.trainers.torch import NetworkContext


class Residual(nn.Module):
    """Of common layers and functions."""

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__()
        width = int(params.get("width", 8))
        self.inner = nn.Linear(context.input_shape[0], width)
        self.norm = nn.LayerNorm(width)
        self.second = nn.Linear(width, width, bias=False)
        self.dropout = nn.Dropout(float(params.get("dropout", 0.2)))
        self.head = nn.Linear(width, context.outputs)

    def forward(self, x: Tensor) -> Any:
        x = functional.relu(self.norm(self.inner(x)))
        return self.head(self.dropout(torch.tanh(self.second(x))) + x)


class Gated(Residual):
    """Of operations that only vmap knows, with a frozen layer, a buffer, and one dropout layer used twice."""

    level: Tensor

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__(params, context)
        self.register_buffer("level", torch.full((1,), 0.1))
        self.second.weight.requires_grad = False

    def forward(self, x: Tensor) -> Any:
        x = self.dropout(self.inner(x))
        x = torch.where(x > self.level, x, self.second(x))
        return self.head(self.dropout(x))


class Words(nn.Module):
    """The mean embedding of a text's tokens."""

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__()
        self.words = nn.Embedding(context.vocabulary, 8)
        self.dropout = nn.Dropout(float(params.get("dropout", 0.0)))
        self.head = nn.Linear(8, context.outputs)

    def forward(self, x: Tensor) -> Any:
        there = (x > 0).unsqueeze(-1)
        mean = (self.words(x) * there).sum(1) / there.sum(1).clamp(min=1)
        return self.head(self.dropout(mean))


class Steps(nn.Module):
    """A recurrence over the steps of a series that are there."""

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__()
        self.inner = nn.Linear(context.input_shape[1], 8)
        self.again = nn.Linear(8, 8, bias=False)
        self.dropout = nn.Dropout(float(params.get("dropout", 0.0)))
        self.head = nn.Linear(8, context.outputs)

    def forward(self, x: Tensor) -> Any:
        state = x.new_zeros(len(x), 8)
        for inner, there in zip(self.inner(x).unbind(1), x[:, :, -1:].unbind(1), strict=True):
            state = torch.where(there > 0, torch.tanh(inner + self.again(state)), state)
        return self.head(self.dropout(state))


class Attention(nn.Module):
    """A transformer of one block, over the rows of an image."""

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__()
        self.inner = nn.Linear(context.input_shape[2], 8)
        self.block = nn.TransformerEncoderLayer(
            8, 2, 16, dropout=float(params.get("dropout", 0.0)), batch_first=True
        )
        self.head = nn.Linear(8, context.outputs)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.block(self.inner(x[:, 0])).mean(1))


class Normalized(Residual):
    """With statistics of the batch, where it is told so."""

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__(params, context)
        width = self.inner.out_features
        if params.get("batch_norm", True):
            self.norm = batch_norm(params, width)  # type: ignore[assignment]


class NormalizedTwice(Normalized):
    """Of operations that only vmap knows, with one layer for two batches."""

    def forward(self, x: Tensor) -> Any:
        x = self.norm(torch.sin(self.norm(self.inner(x))))
        return self.head(self.dropout(self.second(x)) + x)


class Chosen(Residual):
    """Centers its batch, where it is told so."""

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__(params, context)
        self.centers = bool(params.get("centers", True))

    def forward(self, x: Tensor) -> Any:
        return super().forward(x - x.mean(0) if self.centers else x)


class Renormalized(Normalized):
    """With a layer of its own kind."""

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__(params, context)
        self.norm = Doubled(self.inner.out_features)  # type: ignore[assignment]


class Doubled(nn.BatchNorm1d):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class NormalizedAndCentered(Normalized):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x - x.mean(0))


class Branching(Residual):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x if x.sum() > 0 else -x)


class Reading(Residual):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x * x.new_tensor(x.abs().max().item()))


class Counting(Residual):
    calls: Tensor

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__(params, context)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Any:
        self.calls += 1
        return super().forward(x)


class Remembering(Residual):
    calls = 0

    def forward(self, x: Tensor) -> Any:
        self.calls += 1
        return super().forward(x)


class Noisy(Residual):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x + torch.randn_like(x) * self.training)


class Centering(Residual):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x - x.mean(0))


class Raising(Residual):
    """Fails on what it was not tried on."""

    def forward(self, x: Tensor) -> Any:
        if x.shape[-2] == 30:
            raise RuntimeError("thirty are too many")
        return super().forward(torch.where(x > 0, x, x))


class Shrinking(Residual):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x)[:1]


class Hiding(Residual):
    """Differs from its like in what neither attributes nor tensors show."""

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__(params, context)
        _POWERS[id(self)] = float(params.get("power", 1.0))

    def forward(self, x: Tensor) -> Any:
        return super().forward(x) * _POWERS[id(self)]


_POWERS: dict[int, float] = {}


def lazy(params: Params, context: NetworkContext) -> nn.Module:
    return nn.Sequential(nn.LazyLinear(6), nn.Tanh(), nn.Dropout(0.1), nn.LazyLinear(context.outputs))


def flat(params: Params, context: NetworkContext) -> nn.Module:
    """One number for each sample, without an axis of its own."""
    return nn.Sequential(nn.Linear(context.input_shape[0], 4), nn.ReLU(), nn.Linear(4, 1), nn.Flatten(0))


def convolutions(params: Params, context: NetworkContext) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(context.input_shape[0], 6, 3, stride=2, padding=1),
        nn.GroupNorm(2, 6),
        nn.SiLU(),
        nn.Dropout2d(float(params.get("dropout", 0.2))),
        nn.Conv2d(6, 4, 3, groups=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, context.outputs),
    )


def batch_norm(params: Params, width: int) -> nn.BatchNorm1d:
    kept: Any = params.get("norm_momentum", 0.1)
    affine, tracks = (bool(params.get(name, True)) for name in ("affine", "tracks"))
    return nn.BatchNorm1d(width, 1e-3, kept or None, affine, tracks)


def normalized_convolutions(params: Params, context: NetworkContext) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(context.input_shape[0], 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Dropout2d(float(params.get("dropout", 0.2))),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(96, 5),
        batch_norm(params, 5),
        nn.Tanh(),
        nn.Linear(5, context.outputs),
    )


def of(name: str) -> str:
    return f"{__name__}:{name}"


class Sides(nn.Module):
    """Several inputs, each by its name."""

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__()
        del params
        sizes = {part.name: 4 if part.vocabulary else part.size for part in context.parts}
        tokens = {part.name: part.vocabulary for part in context.parts if part.vocabulary}
        self.words = nn.ModuleDict({name: nn.Embedding(count, 4) for name, count in tokens.items()})
        self.head = nn.Linear(sum(sizes.values()), context.outputs)

    def forward(self, parts: dict[str, Tensor]) -> Any:
        found = [
            self.words[name](x.long()).mean(1) if name in self.words else x.flatten(1)
            for name, x in parts.items()
        ]
        return self.head(torch.cat(found, 1))
