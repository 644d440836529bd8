"""Which device ``device = "auto"`` means.

Imports torch only where there may be a GPU at all.
"""

from __future__ import annotations

import shutil
from pathlib import Path


def device_at_hand() -> str:
    """``"cuda"`` where PyTorch can use one, else ``"cpu"``."""
    if not Path("/proc/driver/nvidia/version").exists() and shutil.which("nvidia-smi") is None:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def memory_share(device: str) -> float | None:
    """What was needed of a GPU's free memory at most since the last call; None of other devices."""
    if not device.startswith("cuda"):
        return None
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    peak, held = torch.cuda.max_memory_allocated(device), torch.cuda.memory_reserved(device)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    return peak / (free + held)
