"""The mean over the ranks of the process group that a trial trains in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


def mean(value: Any, device: str) -> Any:
    """See `TrialContext.mean`; a number's is computed in float64."""
    if isinstance(value, Tensor):
        found = value.detach().clone().to(device)
    else:
        found = torch.tensor(float(value), dtype=torch.float64, device=device)
    distributed.all_reduce(found)
    found /= distributed.get_world_size()
    return found if isinstance(value, Tensor) else found.item()
