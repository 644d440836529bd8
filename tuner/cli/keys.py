"""The documentation of every key of a study file, taken from the models that check it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tuner.core.column_spec import ColumnSpec
from tuner.core.data_spec import DataSpec
from tuner.core.space import FILLED_IN, Choice, Float, Int
from tuner.core.space.parameters import section_of
from tuner.core.spec import StudySpec


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a study file.

    Attributes:
        section: as it is written above the key, e.g. ``[data]``; empty above all sections.
        default: as TOML; empty where the key has no default, ``required`` where it must be given.
    """

    section: str
    name: str
    default: str
    meaning: str


def documented() -> list[Key]:
    """Every key, section by section, in the order of the models."""
    found: list[Key] = []
    for name, field in StudySpec.model_fields.items():
        model = section_of(field)
        if model is None:
            found.append(Key("", name, _default(field), _meaning(field)))
        else:
            found += _keys(f"[{name}]", model)
            if model is DataSpec:
                found += _keys("[data.columns.<name>]", ColumnSpec)
    return [*found, *_parameter_keys("[space.<name>]")]


def markdown(keys: list[Key]) -> str:
    """One table in Markdown, as `tune check --keys --markdown` prints it."""
    lines = ["| section | key | default | meaning |", "| --- | --- | --- | --- |"]
    for key in keys:
        meaning = key.meaning.replace("|", "\\|")
        cells = (f"`{key.section}`" if key.section else "", f"`{key.name}`")
        default = f"`{key.default}`" if key.default not in ("", "required") else key.default
        lines.append(f"| {cells[0]} | {cells[1]} | {default} | {meaning} |")
    return "\n".join(lines)


def _keys(section: str, model: type[BaseModel]) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        # What is written as [space.<name>] tables is documented as such.
        if (section, name) != ("[space]", "parameters"):
            yield Key(section, name, _default(field), _meaning(field))


def _parameter_keys(section: str) -> Iterator[Key]:
    """The keys of the three kinds of parameters; a key that only some kinds have names them."""
    kinds: dict[str, type[BaseModel]] = {"float": Float, "int": Int, "choice": Choice}
    yield Key(section, "type", "required", " | ".join(kinds))
    owners: dict[Key, list[str]] = {}
    for kind, model in kinds.items():
        for key in _keys(section, model):
            if key.name != "type":
                owners.setdefault(key, []).append(kind)
    for key, owned in owners.items():
        only = "" if len(owned) == len(kinds) else f"{', '.join(owned)}: "
        yield Key(section, key.name, key.default, f"{only}{key.meaning}")


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if value is PydanticUndefined:
        return "" if field.json_schema_extra == FILLED_IN else "required"
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(repr, value)) + "]"
    return "{}" if value == {} else f"{value:g}" if isinstance(value, float) else str(value)


def _meaning(field: FieldInfo) -> str:
    """The description, with the values to choose from where it does not name them."""
    choices = [str(c) for c in _choices(field.annotation)]
    told = field.description or ""
    if all(choice in told for choice in choices):
        return told
    return f"{' | '.join(choices)}: {told}" if told else " | ".join(choices)


def _choices(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return tuple(c for part in get_args(annotation) for c in _choices(part))
    return ()
