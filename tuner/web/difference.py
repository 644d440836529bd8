"""Difference: a drawing as a patch of an earlier one, which is small while a study grows."""

from __future__ import annotations

import json
from typing import Any

from dash import Patch

from tuner.figures.difference import changes

WORTH = 0.6
"""A patch longer than this share of the whole is not sent."""


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
    patched: Any = Patch()
    for path, kind, value in found:
        place = patched
        for step in path[:-1]:
            place = place[step]
        if kind == "delete":
            del place[path[-1]]
        elif kind == "extend":
            place[path[-1]].extend(value)
        else:
            place[path[-1]] = value
    return patched, size
