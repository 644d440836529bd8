"""Failures: what went wrong in a trial as a value, and what no trial is to blame for as an error.

Also the number of threads to compute with. Which trial it was is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from tuner.core.ports import Failure
from tuner.errors import DeviceError, first_line


def failure(error: BaseException, device: torch.device) -> Failure:
    """What a trial has to say of an exception.

    Raises:
        DeviceError: CUDA failed, other than for want of memory.
    """
    if isinstance(error, torch.cuda.OutOfMemoryError):
        torch.cuda.empty_cache()
        told = "out of memory on the GPU; lower batch_size, width or [trainer] workers"
        return replace(Failure.of(error), error=told)
    if device.type == "cuda" and "CUDA error" in first_line(error):
        raise DeviceError(f"{device}: {first_line(error)}; start again with a fresh process") from error
    return Failure.of(error)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with so many threads: a sum's last bit depends on how many share it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
