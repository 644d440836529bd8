"""How kernels are compiled: numba, without the interpreter lock, NaN kept.

Used by the kernels of `fused` and `search`. numba's cache on disk compares one file, that of the cached
kernel: see `fused.epoch_kernel` for how a change of an inlined one in another file is noticed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numba.extending
from numba.core import event

_LOG = logging.getLogger(__name__)

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_njit: Any = numba.njit
_options = {"nogil": True, "error_model": "numpy"}
_inner = {**_options, "no_rewrites": True, "no_cfunc_wrapper": True}
"""Kernels need none of what these two leave out, and compile in less time without."""


class _Announcement(event.Listener):
    """Says what is waited for, when kernels of ours are compiled and not read from disk."""

    told = False

    def on_start(self, event: Any) -> None:
        function = event.data["dispatcher"].py_func
        if not self.told and function.__module__.startswith(f"{__package__}."):
            self.told = True
            _LOG.warning("compiling kernels, once for this machine: about half a minute")

    def on_end(self, event: Any) -> None:
        pass


_register: Any = event.register
_register("numba:compile", _Announcement())


def njit_inline(function: Kernel) -> Kernel:
    """Compile a kernel; a product and a sum may become one instruction, nothing else is reordered."""
    kernel: Kernel = _njit(fastmath={"contract"}, **_inner)(function)
    return kernel


def njit_reassoc(function: Kernel) -> Kernel:
    """Compile a reduction whose terms may be added in any order, always the same one on a machine."""
    kernel: Kernel = _njit(fastmath={"contract", "reassoc"}, **_inner)(function)
    return kernel


def njit_cached(function: Kernel) -> Kernel:
    """Compile what Python calls, and keep it on disk for the next process where there is a place."""
    try:
        kernel: Kernel = _njit(cache=True, **_options)(function)
    except RuntimeError:  # no folder can be written
        kernel = _njit(**_options)(function)
    return kernel


def llvm_intrinsic(function: Callable[..., Any]) -> Any:
    """Make a kernel of a function that writes the compiler's intermediate language itself."""
    intrinsic: Any = numba.extending.intrinsic
    return intrinsic(function)
