"""Which devices ``device = "auto"`` means, which GPUs an index counts, and which devices cannot be used.

Imports torch only where there may be a GPU at all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tuner.errors import DeviceError

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable that says which GPUs CUDA counts, from 0."""


def devices_at_hand() -> tuple[str, ...]:
    """Every GPU that PyTorch can use, ``"cuda"`` where there is one; else ``"cpu"``."""
    if not Path("/proc/driver/nvidia/version").exists() and shutil.which("nvidia-smi") is None:
        return ("cpu",)
    import torch

    if not torch.cuda.is_available():
        return ("cpu",)
    return found if len(found := every_gpu()) > 1 else ("cuda",)


def every_gpu() -> tuple[str, ...]:
    """The GPUs that PyTorch sees, by index."""
    import torch

    return tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))


def visible_gpus() -> list[str] | None:
    """What `CUDA_VISIBLE_DEVICES` lists, up to what CUDA takes for its end; None where it is not set.

    The entries are indices, or UUIDs of GPUs and of parts of them (MIG).
    """
    if (told := os.environ.get(VISIBLE)) is None:
        return None
    found = [name.strip() for name in told.split(",")]
    ends = (at for at, name in enumerate(found) if not name or name.startswith("-"))
    return found[: next(ends, len(found))]


def visible_to_command(devices: Sequence[str]) -> str | None:
    """The `CUDA_VISIBLE_DEVICES` under which a command sees just these devices; None where none is a GPU.

    A device's index counts what this process sees, which the variable may have chosen already.

    Raises:
        DeviceError: a device is beyond what this process sees.
    """
    at = [int(name.partition(":")[2] or 0) for name in devices if name.startswith("cuda")]
    if not at:
        return None
    seen = visible_gpus()
    if seen is not None and max(at) >= len(seen):
        raise DeviceError(f"cuda:{max(at)} is not there: {VISIBLE} lists {len(seen)}, counted from 0")
    return ",".join(map(str, at) if seen is None else (seen[each] for each in at))


def device_fault(device: str) -> str | None:
    """Why PyTorch cannot use a device; None when it can, or when it is ``"auto"``."""
    if device in ("auto", "cpu"):
        return None
    kind, _, index = device.partition(":")
    is_mps = device == "mps"
    if not is_mps and (kind != "cuda" or (index and not index.isdecimal()) or device.endswith(":")):
        return f"unknown name {device!r}; known: auto, cpu, cuda, cuda:1, mps"
    import torch

    if is_mps and not torch.backends.mps.is_available():
        return '\'mps\' is not available: torch sees no GPU of a Mac (Metal); give "cpu" or "auto"'
    if is_mps:
        return None
    if not torch.cuda.is_available():
        return f'{device!r} is not available: torch sees no CUDA GPU; give "cpu" or "auto"'
    if int(index or 0) >= torch.cuda.device_count():
        return f"{device!r} is not there: torch sees {torch.cuda.device_count()} GPUs, counted from 0"
    return None


def device_faults(devices: Sequence[str], fault: Callable[[str], str | None]) -> list[str]:
    """What is wrong with the devices of a study, as trainers say it in `validate`.

    Args:
        devices: of `TrainerSpec.devices`.
        fault: `device_fault`, `device_fault_of_any` or `device_fault_of_command`.
    """
    return [f"trainer.device: {told}" for told in map(fault, devices) if told]


def device_fault_of_any(device: str) -> str | None:
    """Why no library can use a device: another one than PyTorch may see a GPU that PyTorch does not."""
    return _fault(device, _usable())


def device_fault_of_command(device: str) -> str | None:
    """Why no command can be given a device: one process uses one part of a GPU (MIG), but each its own."""
    listed = visible_gpus() or []
    return _fault(device, len(listed) if _parts(listed) and _driven() else _usable())


def _fault(device: str, seen: int) -> str | None:
    fault = device_fault(device)
    kind, _, index = device.partition(":")
    return None if kind == "cuda" and (not index or index.isdecimal()) and int(index or 0) < seen else fault


def _usable() -> int:
    """How many GPUs a process can use."""
    listed = visible_gpus()
    if listed is None:
        return _driven()
    return min(_driven(), 1 if _parts(listed) else len(listed))


def _driven() -> int:
    """How many GPUs NVIDIA's driver has."""
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


def _parts(listed: Sequence[str]) -> bool:
    return bool(listed) and listed[0].startswith("MIG-")
