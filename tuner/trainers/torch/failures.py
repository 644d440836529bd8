"""Failures: what went wrong in a trial as a value, and what no trial is to blame for as an error.

Also the number of threads to compute with. Which trial it was is not known here.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tuner.core.ports import Failure
from tuner.errors import DeviceError, TunerError


def failure(error: Exception, device: torch.device) -> Failure:
    """What a trial has to say of an exception.

    Raises:
        DeviceError: CUDA failed, other than for want of memory.
    """
    text = "".join(traceback.format_exception(error))
    if isinstance(error, torch.cuda.OutOfMemoryError):
        torch.cuda.empty_cache()
        return Failure("out of memory on the GPU; lower batch_size, width or [trainer] workers", text)
    if device.type == "cuda" and "CUDA error" in str(error):
        raise DeviceError(f"{device}: {line(error)}; start again with a fresh process") from error
    if isinstance(error, TunerError):
        return Failure(line(error), text)
    return Failure(f"{type(error).__name__}: {line(error)}", text)


def line(error: Exception) -> str:
    """The first line of an exception's text."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "without a message"


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with so many threads: a sum's last bit depends on how many share it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
