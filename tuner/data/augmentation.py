"""Augmentation: what is done to a batch before it is trained on, each with an explicit generator.

Takes scaled batches on any device and leaves them as they were; generators live on the CPU, so that a
device never changes what is drawn. `APPLIED` has them by the names of the settings; of sequences they are
told which steps are there. Trainers call them for each batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor
from torch.nn import functional

from tuner.core.dataset import UNKNOWN

STRETCH = 4 / 3
"""By how much the ratio of a cut-out's sides differs from that of the image, at most."""


def crop_images(x: Tensor, share: float, generator: Generator) -> Tensor:
    """Stretch a part of each image to its whole size (as Szegedy et al. 2015, sec. 6).

    The part has between `1 - share` and all of the image's area, sides whose ratio is up to `STRETCH` times
    that of the image or its reciprocal, and any place in it.

    Args:
        x: (B, C, H, W).
        share: 0 to 1; of the area, the most that is left out.
        generator: on the CPU.
    """
    drawn = torch.rand((4, len(x)), generator=generator)
    area, stretch = 1 - share * drawn[0], (math.log(STRETCH) * (2 * drawn[1] - 1)).exp()
    height, width = (area / stretch).sqrt().clamp(max=1), (area * stretch).sqrt().clamp(max=1)
    down, right = (1 - height) * (2 * drawn[2] - 1), (1 - width) * (2 * drawn[3] - 1)
    none = torch.zeros(len(x))
    return _sampled(x, torch.stack([width, none, right, none, height, down], dim=1))


def rotate_images(x: Tensor, degrees: float, generator: Generator) -> Tensor:
    """Turn images (B, C, H, W) around their centers, up to so many degrees each way, edges repeated."""
    angle = math.radians(degrees) * (2 * torch.rand(len(x), generator=generator) - 1)
    sine, cosine, none = angle.sin(), angle.cos(), torch.zeros(len(x))
    ratio = x.shape[2] / x.shape[3]
    return _sampled(x, torch.stack([cosine, -sine * ratio, none, sine / ratio, cosine, none], dim=1))


def _sampled(x: Tensor, moves: Tensor) -> Tensor:
    """Images whose pixels come from elsewhere in them, linearly between pixels.

    Args:
        x: (B, C, H, W).
        moves: (B, 6), the rows of the matrix that makes of a place (right, down, 1) where its pixel comes
            from; the image's edges are at -1 and 1.
    """
    grid = functional.affine_grid(moves.view(-1, 2, 3).to(x), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


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


def flip_images(x: Tensor, _: bool, generator: Generator) -> Tensor:
    """Mirror each image left to right with probability one half; (B, C, H, W)."""
    return torch.where(_heads(x, generator), x.flip(-1), x)


def turn_images_over(x: Tensor, _: bool, generator: Generator) -> Tensor:
    """Mirror each image top to bottom with probability one half; (B, C, H, W)."""
    return torch.where(_heads(x, generator), x.flip(-2), x)


def _heads(x: Tensor, generator: Generator) -> Tensor:
    return torch.randint(0, 2, (len(x), 1, 1, 1), generator=generator).bool().to(x.device)


def brighten_images(x: Tensor, most: float, generator: Generator) -> Tensor:
    """Add one number to all of an image, up to `most` each way; (B, C, H, W)."""
    return x + _even(x, most, generator)


def contrast_images(x: Tensor, most: float, generator: Generator) -> Tensor:
    """Multiply how far an image is from its own mean by 1 - `most` to 1 + `most`; (B, C, H, W)."""
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (x - mean) * (1 + _even(x, most, generator))


def saturate_images(x: Tensor, most: float, generator: Generator) -> Tensor:
    """Multiply how far pixels are from grey by 1 - `most` to 1 + `most`, in images of three channels."""
    if x.shape[1] != 3:
        return x
    grey = x.mean(dim=1, keepdim=True)
    return grey + (x - grey) * (1 + _even(x, most, generator))


def _even(x: Tensor, most: float, generator: Generator) -> Tensor:
    """A number between -most and most for each image, (B, 1, 1, 1)."""
    return (most * (2 * torch.rand((len(x), 1, 1, 1), generator=generator) - 1)).to(x)


def cut_out(x: Tensor, pixels: int, generator: Generator) -> Tensor:
    """Set a square in each image to 0, its center anywhere in it (cutout, DeVries and Taylor 2017).

    Args:
        x: (B, C, H, W).
        pixels: the side of the square, of which there may be less at the image's edges.
        generator: on the CPU.
    """
    inside = []
    for axis, size in enumerate(x.shape[2:]):
        first = torch.randint(0, size, (len(x), 1), generator=generator) - pixels // 2
        place = torch.arange(size) - first
        inside.append(((place >= 0) & (place < pixels)).unsqueeze(2 - axis))  # (B, H, 1), (B, 1, W)
    return x.masked_fill((inside[0] & inside[1]).unsqueeze(1).to(x.device), 0)


def shift_series(x: Tensor, steps: int, generator: Generator, there: Tensor) -> Tensor:
    """Move each series by up to `steps` in time each way, its first or last step repeated.

    Args:
        x: (B, T, F); how long a series is does not change.
        steps: the largest shift; every whole one up to it is as likely.
        generator: on the CPU.
        there: (B, T), where a series has steps; behind them it stays as it is.
    """
    moves = torch.randint(-steps, steps + 1, (len(x), 1), generator=generator).to(x.device)
    time = torch.arange(x.shape[1], device=x.device)
    last = there.sum(dim=1, keepdim=True) - 1
    source = torch.where(there, torch.minimum(time - moves, last).clamp(min=0), time)
    return x.gather(1, source.unsqueeze(2).expand_as(x))


def drop_tokens(x: Tensor, share: float, generator: Generator, there: Tensor) -> Tensor:
    """Make tokens unknown, each with probability `share`; (B, T), and where there is one, (B, T)."""
    drawn = torch.rand(x.shape, generator=generator).to(x.device) < share
    return x.masked_fill(drawn & there, UNKNOWN)


def add_noise(x: Tensor, deviation: float, generator: Generator, there: Tensor | None = None) -> Tensor:
    """Add independent Gaussian noise of this standard deviation to every element, of series that is there."""
    noise = deviation * torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
    return x + (noise if there is None else noise * there.unsqueeze(2))


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


APPLIED: Mapping[str, Callable[..., Tensor]] = {
    "image_crop": crop_images,
    "image_rotation": rotate_images,
    "image_shift": shift_images,
    "image_flip": flip_images,
    "image_flip_vertical": turn_images_over,
    "image_brightness": brighten_images,
    "image_contrast": contrast_images,
    "image_saturation": saturate_images,
    "image_cutout": cut_out,
    "time_shift": shift_series,
    "token_dropout": drop_tokens,
    "input_noise": add_noise,
}
"""What each setting does: (batch, setting, generator), and of sequences which steps are there."""
