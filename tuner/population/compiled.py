"""How kernels are compiled: numba, without the interpreter lock, NaN kept.

Knows no kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

OPTIONS = {"nogil": True, "error_model": "numpy"}
"""Of every kernel; a division by zero is inf or nan."""


def compiled(function: Kernel) -> Kernel:
    """Compile a kernel; a product and a sum may become one instruction, nothing else is reordered."""
    return cast(Kernel, numba.njit(fastmath={"contract"}, **OPTIONS)(function))


def reordered(function: Kernel) -> Kernel:
    """Compile a reduction whose terms may be added in any order, always the same one on a machine."""
    return cast(Kernel, numba.njit(fastmath={"contract", "reassoc"}, **OPTIONS)(function))
