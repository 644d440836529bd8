"""References to code of the user's own from a model's folder: named, copied into it, found again from it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from typing import Any

from tuner import registry


def reference_to(made: Any) -> str:
    """``package.module:name`` or ``/path/file.py:name`` of a class or a function.

    Raises:
        TypeError: another process could not find it by that.
    """
    name = getattr(made, "__qualname__", "")
    if not name or "<" in name:
        raise TypeError(f"{name or made!r} has no name in a module; define it on the top level of a file")
    module = made.__module__
    path = getattr(sys.modules.get(module), "__file__", None) or _path_of_code(made)
    of_file = module == "__main__" or module.startswith("tuner_file_") or registry.is_neighbor(module)
    if not of_file and importlib.util.find_spec(module) is not None:
        return f"{module}:{name}"
    if path is None or not Path(path).is_file():
        raise TypeError(f"{name} lies in no file; put it into one")
    if module == "__main__" and "__main__" not in Path(path).read_text("utf-8"):
        raise TypeError(
            f"{name} lies in {Path(path).name}, which does more than define it when it is run; put what it "
            'does behind `if __name__ == "__main__":`, or put it into a file of its own'
        )
    return f"{Path(path).resolve()}:{name}"


def brought(reference: str, folder: Path) -> str:
    """The reference from within the folder, into which its file is copied, and what it imports beside it."""
    name, _, attribute = reference.rpartition(":")
    if not name.endswith(".py"):
        return reference
    path = (Path.cwd() / name).resolve()
    own = folder / path.name
    if own.exists() and own.read_bytes() != path.read_bytes():
        own = folder / f"{path.stem}_{attribute}.py"
    shutil.copyfile(path, own)
    for neighbor in registry.neighbors(path.parent):
        place = folder / neighbor.relative_to(path.parent)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(neighbor, place)
    return f"./{own.name}:{attribute}"


def _path_of_code(made: Any) -> str | None:
    """Where a function, or a class's first method, was written: code from another process has no module."""
    found = [made, *vars(made).values()] if isinstance(made, type) else [made]
    codes = (getattr(each, "__code__", None) for each in found)
    return next((code.co_filename for code in codes if code is not None), None)
