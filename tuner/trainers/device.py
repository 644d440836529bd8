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
