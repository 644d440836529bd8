"""ByteImages: images that stay bytes in memory and are scaled when a batch is taken.

What comes out is bit for bit what `Scaling.apply` makes of the same images. Read like a tensor of scaled
images: by rows, its length and its shape; never written to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuner.data import Scaling


class ByteImages:
    """Images (N, C, H, W) of which any rows are had scaled.

    Attributes:
        pixels: uint8, on the device.
        shape: of all of them.
    """

    def __init__(self, pixels: NDArray[np.uint8] | Tensor, scaling: Scaling, device: torch.device) -> None:
        self.pixels = pixels if isinstance(pixels, Tensor) else torch.tensor(pixels, device=device)
        self.shape = self.pixels.shape
        self._scaling = scaling
        self._shift, self._factor = (
            torch.tensor(side, device=device) for side in (scaling.shift, scaling.factor)
        )
        self._curves: Tensor | None = None
        if len(scaling.knots):  # what each of the 256 bytes becomes in each channel, (C, 256)
            every = np.arange(256, dtype=np.float32).reshape(256, 1, 1, 1)
            found = scaling.apply(np.tile(every, (1, self.shape[1], 1, 1)))
            self._curves = torch.tensor(found[:, :, 0, 0].T.copy(), device=device)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: Any) -> Tensor:
        """The scaled images of a slice or of indices (...), float32 (..., C, H, W)."""
        taken = self.pixels[rows]
        if self._curves is None:
            return taken.float().sub_(self._shift).mul_(self._factor)
        channels = zip(self._curves, taken.unbind(-3), strict=True)
        return torch.stack([curve[pixels.int()] for curve, pixels in channels], dim=-3)

    def part(self, rows: Tensor) -> ByteImages:
        """Some of the images."""
        return ByteImages(self.pixels[rows], self._scaling, self.pixels.device)
