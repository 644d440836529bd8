"""A study's table as a commented TOML file.

The comments are the descriptions of the keys in the models that check them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from tuner.core.space.parameters import section_of
from tuner.core.spec import StudySpec

WIDTH = 100
"""Comments that would go beyond this column stand above their line."""


def study_toml(table: Mapping[str, Any], *, head: Sequence[str] = ()) -> str:
    """Write a table so that `tomllib` reads it back as it was, keys without a value left out.

    `head` is lines of comment at the top.
    """
    blocks = ["\n".join(f"# {line}" for line in head)] if head else []
    blocks += _blocks((), table, StudySpec)
    return "\n\n".join(blocks) + "\n"


def _blocks(path: tuple[str, ...], table: Mapping[str, Any], model: type[BaseModel] | None) -> list[str]:
    """The table's own lines, then its tables; what lies deeper than two is written inline."""
    fields = model.model_fields if model is not None else {}
    inner = {k: v for k, v in table.items() if isinstance(v, Mapping) and len(path) < 2}
    lines = [
        _line(key, value, fields[key].description or "" if key in fields else "")
        for key, value in table.items()
        if value is not None and key not in inner
    ]
    if path and (lines or not inner):
        lines.insert(0, f"[{'.'.join(map(_key, path))}]")
    blocks = ["\n".join(lines)] if lines else []
    for key, value in inner.items():
        blocks += _blocks((*path, key), value, section_of(fields[key]) if key in fields else None)
    return blocks


def _line(key: str, value: Any, comment: str) -> str:
    line = f"{_key(key)} = {_value(value)}"
    if not comment:
        return line
    beside = f"{line:<30}  # {comment}"
    return beside if len(beside) <= WIDTH else f"# {comment}\n{line}"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _text(text: str) -> str:
    # JSON's escapes are TOML's, but JSON leaves DEL as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
