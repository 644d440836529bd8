"""Augmentation: image shift and flip, input noise, mixup; each with an explicit generator.

Takes scaled batches on any device and leaves them as they were; generators live on the CPU, so
that a device never changes what is drawn. Trainers call it for each batch.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def shift_images(x: Tensor, pixels: int, generator: Generator) -> Tensor:
    """Move each image by up to `pixels` each way, both axes independently, its edges repeated.

    Args:
        x: (B, C, H, W).
        pixels: the largest shift; every whole one up to it is as likely.
        generator: on the CPU.
    """
    rows, _, height, width = x.shape
    moves = torch.randint(-pixels, pixels + 1, (2, rows, 1), generator=generator).to(x.device)
    down = (torch.arange(height, device=x.device) - moves[0]).clamp(0, height - 1)  # (B, H)
    right = (torch.arange(width, device=x.device) - moves[1]).clamp(0, width - 1)  # (B, W)
    image = torch.arange(rows, device=x.device)
    # Indices around a slice put its axis last: (B, H, W, C).
    return x[image[:, None, None], :, down[:, :, None], right[:, None, :]].permute(0, 3, 1, 2).contiguous()


def flip_images(x: Tensor, generator: Generator) -> Tensor:
    """Mirror each image left to right with probability one half; (B, C, H, W)."""
    flipped = torch.randint(0, 2, (len(x), 1, 1, 1), generator=generator).bool().to(x.device)
    return torch.where(flipped, x.flip(-1), x)


def add_noise(x: Tensor, deviation: float, generator: Generator) -> Tensor:
    """Add independent Gaussian noise of this standard deviation to every element."""
    return x + deviation * torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)


def mix(x: Tensor, y: Tensor, share: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Mix every row with another one of the batch (mixup, Zhang et al. 2018, eq. 1).

    Args:
        x: (B, ...).
        y: (B, T), numbers; classes as one-hot rows.
        share: what is kept of each row itself, drawn from Beta(alpha, alpha) for each batch.
        generator: on the CPU.
    """
    other = torch.randperm(len(x), generator=generator).to(x.device)
    return x * share + x[other] * (1 - share), y * share + y[other] * (1 - share)
