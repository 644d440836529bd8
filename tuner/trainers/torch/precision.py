"""Precision: the numbers that a training pass computes with, `[trainer] precision`.

In mixed precision PyTorch's autocast chooses the operations that take bfloat16; weights, gradients and losses
stay float32. Nothing that is measured goes through it, so that a kept model predicts what was measured.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from tuner.core.spec import StudySpec


def training(spec: StudySpec, device: torch.device) -> AbstractContextManager[object]:
    """What training passes of a study run in, one after the other."""
    if spec.trainer.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def full(outputs: Tensor) -> Tensor:
    """Outputs of a training pass as losses take them."""
    return outputs.float() if outputs.dtype is torch.bfloat16 else outputs
