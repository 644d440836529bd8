"""Norms: batch normalization of K rows, each by the statistics of its own batch, whatever that one's size.

`replace_norms` changes the network once, when its program is made. In training each pass is then told what
every sample counts in its row's batch: the same for each that is there, 0 where a row's batch is filled up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tuner.fused.norm_kernel import BatchNormalization, NormalizationUnderVmap

STATE = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
"""The tensors of a layer, some of which it may be without."""

Own = Mapping[str, Tensor | None]


@dataclass(slots=True)
class SampleShares:
    """What each sample of a pass counts, (B,); None: torch's own layer decides."""

    now: Tensor | None = None

    @contextmanager
    def using(self, shares: Tensor | None) -> Iterator[None]:
        """Let these count."""
        self.now = shares
        try:
            yield
        finally:
            self.now = None


def norms_of(module: nn.Module) -> list[_BatchNorm]:
    """The layers whose outputs depend on the other samples of a batch."""
    return [part for part in module.modules() if isinstance(part, _BatchNorm)]


def replace_norms(module: nn.Module) -> SampleShares:
    """Give every layer a forward pass that heeds the shares; without them it is torch's own.

    The layers themselves stay, so that a network may ask them for anything.
    """
    shares = SampleShares()
    for part in norms_of(module):
        part.forward = _forward(part, shares)  # type: ignore[assignment, method-assign]
    return shares


def is_plain(norm: _BatchNorm) -> bool:
    """Whether a layer computes what torch's own does."""
    return type(norm).forward is _BatchNorm.forward


def normalized(layer: _BatchNorm, x: Tensor, own: Own, shares: Tensor | None, lead: int) -> Tensor:
    """What `nn.BatchNorm1d` and its like make of a batch; their running averages move on in place.

    Args:
        layer: what says how: its mode, its momentum.
        x: (*lead, B, C, ...), with `lead` axes before the samples: none, or that of the rows.
        own: the layer's `STATE`, each with the leading axes.
        shares: (*lead, B), the sum of a row 1, or 0 for one without samples; None: all the same.
        lead: how many leading axes there are.
    """
    mean, var, weight, bias = (own[name] for name in _FLOATS)
    if not layer.training and mean is not None and var is not None:
        factor = (var + layer.eps).rsqrt()
        factor = factor if weight is None else factor * weight
        shift = -mean * factor if bias is None else bias - mean * factor
        return x * _beside(x, factor, lead) + _beside(x, shift, lead)
    if shares is None:
        shares = x.new_full(x.shape[: lead + 1], 1 / x.shape[lead])
    if not (layer.training and layer.track_running_stats):
        own = {name: own[name] for name in ("weight", "bias")}
    is_float = all(t is None or t.dtype is torch.float32 for t in (x, mean, var, weight, bias))
    if is_float and x.device.type == "cpu" and (weight is None) is (bias is None):
        return _compiled(layer, x, own, shares, lead)
    return _computed(layer, x, own, shares, lead)


_FLOATS = ("running_mean", "running_var", "weight", "bias")


def _beside(x: Tensor, own: Tensor, lead: int) -> Tensor:
    """Numbers of channels, (*lead, C), in the shape to be computed with inputs."""
    return own.view(*own.shape[:-1], 1, -1, *(1 for _ in x.shape[lead + 2 :]))


def _compiled(layer: _BatchNorm, x: Tensor, own: Own, shares: Tensor, lead: int) -> Tensor:
    tensors = [own.get(name) for name in STATE]
    settings = (float(layer.eps), -1.0 if layer.momentum is None else float(layer.momentum))
    apply: Any = (BatchNormalization if lead else NormalizationUnderVmap).apply
    if x.ndim == lead + 2 and x.is_contiguous():
        result: Tensor = apply(x, shares, *tensors, False, *settings)
        return result
    last = x.movedim(lead + 1, -1)
    travels = lead == 1 and last.movedim(0, -2).is_contiguous()
    given = last.movedim(0, -2) if travels else last.contiguous()
    found: Tensor = apply(given, shares, *tensors, travels, *settings)
    return (found.movedim(-2, 0) if travels else found).movedim(-1, lead + 1)


def _computed(layer: _BatchNorm, x: Tensor, own: Own, shares: Tensor, lead: int) -> Tensor:
    ends = (1,) * (x.ndim - lead - 2)
    pixels, there = math.prod(x.shape[lead + 2 :]), shares.view(*shares.shape, 1, *ends)
    axes = [lead, *range(lead + 2, x.ndim)]
    mean = (x * there).sum(axes, keepdim=True) / pixels
    found = x - mean
    var = (found.square() * there).sum(axes, keepdim=True) / pixels
    average = own.get("running_mean")
    if average is not None:
        here, spread = (t.detach().reshape(average.shape) for t in (mean, var))
        _follow(layer, own, here, spread, shares, pixels)
    found = found * (var + layer.eps).rsqrt()
    for name, combined in (("weight", torch.mul), ("bias", torch.add)):
        if (tensor := own[name]) is not None:
            found = combined(found, _beside(x, tensor, lead))
    # What fills a batch up must not grow from layer to layer.
    return torch.where(there > 0, found, 0)


@torch.no_grad()
def _follow(layer: _BatchNorm, own: Own, mean: Tensor, var: Tensor, shares: Tensor, pixels: int) -> None:
    """Move the running averages, (*lead, C); those of a row without samples stay."""
    samples = (shares > 0).sum(-1)
    there, tracked = (samples > 0).to(var.dtype), own["num_batches_tracked"]
    if tracked is not None:
        tracked.add_(samples > 0)
    if layer.momentum is not None:
        moved = there * layer.momentum
    else:
        moved = there * 0 if tracked is None else there / tracked.clamp(min=1)
    count, moved = (samples * pixels).to(var.dtype), moved[..., None]
    unbiased = var * (count / (count - 1).clamp(min=1))[..., None]
    for name, now in (("running_mean", mean), ("running_var", unbiased)):
        average = own[name]
        if average is not None:
            average.mul_(1 - moved).add_(now * moved)


def _forward(layer: _BatchNorm, shares: SampleShares) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        if shares.now is None:
            return _BatchNorm.forward(layer, x)
        return normalized(layer, x, {name: getattr(layer, name) for name in STATE}, shares.now, 0)

    return forward
