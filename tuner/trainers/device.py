"""Which device ``device = "auto"`` means, and which ones cannot be used.

Imports torch only where there may be a GPU at all.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path


def device_at_hand() -> str:
    """``"cuda"`` where PyTorch can use one, else ``"cpu"``."""
    if not Path("/proc/driver/nvidia/version").exists() and shutil.which("nvidia-smi") is None:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def device_fault(device: str) -> str | None:
    """Why PyTorch cannot use a device; None when it can, or when it is ``"auto"``."""
    if device in ("auto", "cpu"):
        return None
    kind, _, index = device.partition(":")
    if kind != "cuda" or (index and not index.isdecimal()) or device.endswith(":"):
        return f"unknown name {device!r}; known: auto, cpu, cuda, cuda:1"
    import torch

    if not torch.cuda.is_available():
        return f'{device!r} is not available: torch sees no CUDA GPU; give "cpu" or "auto"'
    if int(index or 0) >= torch.cuda.device_count():
        return f"{device!r} is not there: torch sees {torch.cuda.device_count()} GPUs, counted from 0"
    return None


def device_faults(devices: Sequence[str], fault: Callable[[str], str | None]) -> list[str]:
    """What is wrong with the devices of a study, as trainers say it in `validate`.

    Args:
        devices: of `TrainerSpec.devices`.
        fault: `device_fault` or `device_fault_of_any`.
    """
    return [f"trainer.device: {told}" for told in map(fault, devices) if told]


def device_fault_of_any(device: str) -> str | None:
    """Why no library can use a device: another one than PyTorch may see a GPU that PyTorch does not."""
    fault = device_fault(device)
    seen = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    kind, _, index = device.partition(":")
    return None if kind == "cuda" and (not index or index.isdecimal()) and int(index or 0) < seen else fault
