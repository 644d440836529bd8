"""What pydantic finds wrong with a study file, each fault as one sentence."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from tuner.core.column_spec import ColumnSpec
from tuner.core.space.parameters import Choice, Float, Int, section_of
from tuner.errors import near


def sentence(error: Any, root: type[BaseModel] | None, prefix: str = "") -> str:
    """One pydantic fault as ``key: what is wrong; what to do``."""
    places = [str(p) for p in error["loc"] if p not in ("float", "int", "choice", "parameters")]
    key = ".".join([prefix, *places] if prefix else places)
    found = error.get("input")
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key; {near(places[-1], _known_keys(error['loc'], root))}"
    if error["type"] == "missing":
        return f"{key}: is missing"
    if error["type"] == "literal_error":
        choices = str(error["ctx"]["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
        return f"{key}: unknown name {found!r}; {near(str(found), choices)}"
    if error["type"] == "value_error":
        joint = "." if key == "space" else ": "
        return "\n".join(f"{key}{joint}{line}" if key else line for line in message.splitlines())
    return f"{key}: {message[0].lower()}{message[1:]}; found {found!r}"


def _known_keys(loc: tuple[Any, ...], root: type[BaseModel] | None) -> list[str]:
    field = root.model_fields.get(str(loc[0])) if root is not None and len(loc) == 2 else None
    if field is not None and (section := section_of(field)) is not None:
        return list(section.model_fields)
    if loc[:2] == ("data", "columns") and len(loc) == 4:
        return list(ColumnSpec.model_fields)
    kinds: dict[Any, type[BaseModel]] = {"float": Float, "int": Int, "choice": Choice}
    kind = next((kinds[p] for p in loc if p in kinds), None)
    return list(kind.model_fields) if kind is not None else []
