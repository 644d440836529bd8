"""``name`` | ``package.module:attr`` | ``./file.py:attr`` -> object; entry points.

The one way to everything that a study names: trainers, executors, samplers, scores, ... Built-ins are
registered in pyproject.toml as entry points, exactly like those of plugins.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from tuner.errors import PluginError, TunerError, described, near

_RUNNING = threading.RLock()
"""Held while a file is run, so that no thread is given half of a module; a file may name others."""


_NEIGHBORS: dict[str, Path] = {}
"""The folder of each module that a file imported from beside itself."""


def registered(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of a group, e.g. ``"tuner.trainers"``, by name."""
    return _registered(tuple(sys.path), group)


@lru_cache(maxsize=64)
def _registered(path: tuple[str, ...], group: str) -> Mapping[str, EntryPoint]:
    return {point.name: point for point in _installed(path).select(group=group)}


@lru_cache(maxsize=1)
def _installed(_path: tuple[str, ...]) -> EntryPoints:
    """All entry points, which take tens of milliseconds to find, of what is installed along a path."""
    return cast("EntryPoints", entry_points())


def unknown(name: str, group: str, *also: str) -> str | None:
    """Why a name without a colon cannot be found in a group, with the near names; None where it can.

    Args:
        name: what a study names; a reference to a module or a file is not looked up.
        group: the entry points.
        also: further names that are valid.
    """
    points = registered(group)
    if ":" in name or name in points or name in also:
        return None
    if not points:
        return f"unknown name {name!r}; nothing is registered as {group}: install tuner again (pip install)"
    known = near(name, [*points, *also])
    return f"unknown name {name!r}; {known}; or give package.module:attr or ./file.py:attr"


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
        if group is None:
            raise PluginError(f"{reference!r} is no reference; give package.module:attr or ./file.py:attr")
        return _named(tuple(sys.path), reference, group)
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


@lru_cache(maxsize=512)
def _named(_path: tuple[str, ...], name: str, group: str) -> Any:
    """What is registered; remembered, for trials ask at every step, and with it what is on the path."""
    if fault := unknown(name, group):
        raise PluginError(fault)
    return _loaded(registered(group)[name])


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
        with _importable(path.parent):
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[key]
        raise PluginError(f"{name}: cannot be run: {described(error)}") from error
    module.__tuner_stamp__ = stamp  # type: ignore[attr-defined]
    return module


def set_up(name: str, make: Callable[..., Any], *arguments: Any) -> Any:
    """Call what a name stands for.

    Raises:
        PluginError: it raised; errors that are meant for the user are passed on.
    """
    try:
        return make(*arguments)
    except (TunerError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise PluginError(f"{name}: cannot be set up: {described(error)}") from error


def neighbors(folder: Path) -> list[Path]:
    """The files in a folder that its loaded files have imported from beside themselves."""
    modules = (sys.modules.get(name) for name, home in _NEIGHBORS.items() if home == folder)
    return sorted({Path(found) for module in modules if (found := getattr(module, "__file__", None))})


def is_neighbor(module: str) -> bool:
    """Whether a file has imported this module from beside itself."""
    return module in _NEIGHBORS


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let a file import what lies beside it, as if it were run by itself.

    Modules stay imported. One that another folder's file brought makes way for one of the same name in
    this folder, so that two studies may have a ``blocks.py`` each.
    """
    for name, home in list(_NEIGHBORS.items()):
        top = folder / name.partition(".")[0]
        if home != folder and (top.is_dir() or top.with_name(f"{top.name}.py").is_file()):
            sys.modules.pop(name, None)
            del _NEIGHBORS[name]
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if folder in Path(getattr(sys.modules[name], "__file__", None) or "/").parents:
                _NEIGHBORS[name] = folder


def _public(found: Any) -> list[str]:
    return [name for name in dir(found) if not name.startswith("_")]
