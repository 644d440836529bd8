"""What goes wrong on a device: a trial's failure, or an error that no trial is to blame for. And threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tuner.core.training import Failure
from tuner.errors import DeviceError, TrialError, first_line

_FULL = "out of memory on the GPU; lower batch_size, width or [trainer] workers"


@contextmanager
def translated(device: torch.device) -> Iterator[None]:
    """Say in words what CUDA has to say, or Metal of its memory.

    Raises:
        TrialError: there was not enough memory, which is its trial's fault.
        DeviceError: CUDA failed otherwise, which is none's.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise TrialError(_FULL) from error
    except Exception as error:
        if device.type == "mps" and "MPS backend out of memory" in first_line(error):
            raise TrialError(_FULL) from error
        if device.type == "cuda" and "CUDA error" in first_line(error):
            raise DeviceError(f"{device}: {first_line(error)}; start again with a fresh process") from error
        raise


def failure(error: BaseException, device: torch.device) -> Failure:
    """What a trial has to say of an exception.

    Raises:
        DeviceError: see `translated`.
    """
    try:
        with translated(device):
            raise error
    except (DeviceError, KeyboardInterrupt):
        raise
    except BaseException as told:  # noqa: BLE001
        return Failure.of(told)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with so many threads: a sum's last bit depends on how many share it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
