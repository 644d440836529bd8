"""Difference: what changed between two drawings, as a patch that is small while a study grows.

Lists that only became longer are extended, everything else is set anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from dash import Patch

Step = str | int
Change = tuple[tuple[Step, ...], str, Any]

WORTH = 0.6
"""A patch longer than this share of the whole is not sent."""


def changes(old: Any, new: Any, path: tuple[Step, ...] = ()) -> Iterator[Change]:
    """What turns `old` into `new`: (path, ``"set"`` | ``"delete"`` | ``"extend"``, value)."""
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


def patch(old: dict[str, Any], new: dict[str, Any]) -> tuple[Any, int]:
    """What to send so that a browser which shows `old` shows `new`.

    Returns:
        A Patch or the whole drawing, and about how many characters it has as JSON.
    """
    found = list(changes(old, new))
    size = sum(len(json.dumps(value)) + 40 for _, _, value in found)
    whole = len(json.dumps(new))
    if size > WORTH * whole or any(not path for path, _, _ in found):
        return new, whole
    patched = Patch()
    for path, kind, value in found:
        place = _walk(patched, path[:-1])
        if kind == "delete":
            del place[path[-1]]
        elif kind == "extend":
            place[path[-1]].extend(value)
        else:
            place[path[-1]] = value
    return patched, size


def _walk(patched: Any, path: Sequence[Step]) -> Any:
    for step in path:
        patched = patched[step]
    return patched
