"""``name`` | ``package.module:attr`` | ``./file.py:attr`` -> object; entry points.

Built-ins are registered like anybody else's, as entry points. What an object is used for is not
known here.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import threading
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from tuner.errors import PluginError, described, near

_RUNNING = threading.RLock()
"""Held while a file is run, so that no thread is given half of a module; a file may name others."""


def registered(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group, e.g. ``"tuner.trainers"``, by name."""
    return {point.name: point for point in _installed(tuple(sys.path)).select(group=group)}


@lru_cache(maxsize=1)
def _installed(_path: tuple[str, ...]) -> EntryPoints:
    """All entry points, which take tens of milliseconds to find, of what is installed along a path."""
    return cast("EntryPoints", entry_points())


def load(reference: str, group: str | None = None, folder: Path | None = None) -> Any:
    """Turn a reference into the object it names.

    Args:
        reference: an entry point's name, ``package.module:attr`` or ``./file.py:attr``.
        group: the entry points that names are looked up in; None: no names.
        folder: what relative file references start from; the working folder.

    Raises:
        PluginError: says what is missing, and the near names.
    """
    module_name, colon, attribute = reference.rpartition(":")
    if not colon:
        points = registered(group) if group else {}
        if reference not in points:
            raise PluginError(
                f"'{reference}' is not known; {near(reference, points)}; "
                "or give package.module:attr or ./file.py:attr"
            )
        return _loaded(points[reference])
    if module_name.endswith(".py"):
        with _RUNNING:
            module = _file(module_name, folder)
    else:
        module = _module(module_name)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise PluginError(f"{reference}: {module_name} has no '{part}'; {near(part, _public(found))}")
        found = getattr(found, part)
    return found


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(f"{point.name}: {point.value} cannot be loaded: {described(error)}") from error


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(f"{name}: cannot be imported: {described(error)}") from error


def _file(name: str, folder: Path | None) -> ModuleType:
    path = ((folder or Path.cwd()) / name).resolve()
    if not path.is_file():
        raise PluginError(f"{name}: no such file; looked for {path}")
    # Registered under a name of its own, so that dataclasses and pickling work inside it.
    key = f"tuner_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    stamp = path.stat().st_mtime_ns
    loaded = sys.modules.get(key)
    if loaded is not None and getattr(loaded, "__tuner_stamp__", None) == stamp:
        return loaded
    spec = importlib.util.spec_from_file_location(key, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{name}: is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[key] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[key]
        raise PluginError(f"{name}: cannot be run: {described(error)}") from error
    module.__tuner_stamp__ = stamp  # type: ignore[attr-defined]
    return module


def _public(found: Any) -> list[str]:
    return [name for name in dir(found) if not name.startswith("_")]
