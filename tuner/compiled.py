"""How kernels are compiled: numba, without the interpreter lock, NaN kept.

Used by the kernels of `fused` and `search`. They are kept on disk by what stands in the files that kernels
are in, all of them together, for a kernel has others in it: so every environment of a user finds them, and
none reads what another version left.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar

import numba
import numba.extending
from numba.core import caching, config, event
from numba.misc.appdirs import AppDirs

_LOG = logging.getLogger(__name__)

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_njit: Any = numba.njit
_options = {"nogil": True, "error_model": "numpy"}
_inner = {**_options, "no_rewrites": True, "no_cfunc_wrapper": True}
"""Kernels need none of what these two leave out, and compile in less time without."""


_PACKAGES = ("fused", "search")
"""Where kernels are."""

_KEPT_S = 90 * 86_400
"""How long what no process has looked for is kept."""


@cache
def digest() -> str:
    """What the sources of all kernels are, in short."""
    here = Path(__file__)
    sources = [here, *(path for name in _PACKAGES for path in sorted((here.parent / name).glob("*.py")))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


@cache
def kept() -> Path:
    """The folder of the compiled kernels, which is made if need be; those of old versions go.

    Raises:
        OSError: there can be none.
    """
    told = str(config.CACHE_DIR)  # type: ignore[attr-defined]
    user = AppDirs("tuner", appauthor=False)  # type: ignore[no-untyped-call]
    place = Path(told or user.user_cache_dir) / "kernels" / digest()
    place.mkdir(parents=True, exist_ok=True)
    place.touch()
    for other in place.parent.iterdir():
        if other.stat().st_mtime < time.time() - _KEPT_S:
            shutil.rmtree(other, ignore_errors=True)
    return place


class _Locator(caching._CacheLocator):
    """Says where numba keeps a kernel of ours."""

    def __init__(self, kernel: Callable[..., Any], place: Path) -> None:
        code = kernel.__code__
        self._place, self._name = place, f"{Path(code.co_filename).stem}-{code.co_firstlineno}"

    @classmethod
    def from_function(cls, kernel: Callable[..., Any], file: str) -> Self | None:
        """None of what is not ours, or where there is no place."""
        if Path(file).parent not in [Path(__file__).with_name(name) for name in _PACKAGES]:
            return None
        with suppress(OSError):
            found = cls(kernel, kept())
            found.ensure_cache_path()  # type: ignore[no-untyped-call]
            return found
        return None

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self._place)

    def get_source_stamp(self) -> str:
        """What has to be the same."""
        return digest()

    def get_disambiguator(self) -> str:
        """What tells kernels of one name apart."""
        return self._name


caching.CacheImpl._locator_classes.insert(0, _Locator)


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
