"""Difference: what changed between two drawings, step by step from their roots.

Reports store it between light and dark.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Step = str | int
Change = tuple[tuple[Step, ...], str, Any]


def changes(old: Any, new: Any, path: tuple[Step, ...] = ()) -> Iterator[Change]:
    """What turns `old` into `new`: (path, ``"set"`` | ``"delete"`` | ``"extend"``, value).

    Lists that only became longer are extended, everything else is set anew.
    """
    if old == new and type(old) is type(new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() - new.keys():
            yield (*path, key), "delete", None
        for key, value in new.items():
            if key in old:
                yield from changes(old[key], value, (*path, key))
            else:
                yield (*path, key), "set", value
        return
    if isinstance(old, list) and isinstance(new, list) and path:
        are_tables = bool(new) and isinstance(new[0], dict)
        if are_tables and len(old) == len(new):
            for i, value in enumerate(new):
                yield from changes(old[i], value, (*path, i))
            return
        if not are_tables and old and len(old) < len(new) and new[: len(old)] == old:
            yield path, "extend", new[len(old) :]
            return
    yield path, "set", new
