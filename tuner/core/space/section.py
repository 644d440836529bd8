"""The `[space]` section of a study: used spaces and the study's own tables, merged into parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from tuner.core.faults import sentence
from tuner.core.space.parameters import AnyParameter, Int, Parameter, Scalar, Section, label
from tuner.core.space.search_space import SearchSpace
from tuner.errors import SpecError


class SpaceSpec(Section):
    """`[space]`: what is searched. Further keys are parameters."""

    use: tuple[str, ...] = Field(
        (), description="shipped or own spaces, by name; later ones replace earlier ones"
    )
    fixed: dict[str, Scalar] = Field({}, description="parameters that get one value and are not searched")
    learned: bool = Field(
        False,
        description="parameters that the trainer asks for are added while it runs, as with tuner.from_optuna",
    )
    parameters: dict[str, AnyParameter] = Field({}, description="[space.<name>] tables, after composition")

    @model_validator(mode="before")
    @classmethod
    def _name_fixed(cls, table: Any) -> Any:
        """Name None and lists as a choice does; trainers are then given them as such."""
        if not isinstance(table, dict) or not isinstance(fixed := table.get("fixed"), dict):
            return table
        known = table.get("parameters", {})
        alone = {
            name: {"type": "choice", "choices": [value]}
            for name, value in fixed.items()
            if name not in known and (value is None or isinstance(value, list | tuple))
        }
        named = {name: label(value) for name, value in fixed.items()}
        return {**table, "fixed": named, "parameters": {**known, **alone}}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not len(SearchSpace.compose(self.parameters, self.fixed)) and not self.learned:
            raise ValueError(
                'use: nothing to search; give use = ["optimization", ...] or a [space.<name>] table'
            )
        return self


_RESERVED = frozenset(SpaceSpec.model_fields)
"""Names that no parameter may have."""

SOME_SPACE = SpaceSpec(parameters={"any": Int(low=0, high=1, default=0)})
"""Stands for a space with faults, so that the other sections are checked all the same."""

_PARAMETER: TypeAdapter[Parameter] = TypeAdapter(AnyParameter)


def parse_space(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check the table of a space file: parameters by name, nothing else.

    Returns:
        The table as it was.

    Raises:
        SpecError: with every fault.
    """
    faults: list[str] = []
    for name, parameter in table.items():
        if not isinstance(parameter, Mapping):
            faults.append(f"{where}: {name}: a parameter is a table, found {parameter!r}")
            continue
        faults += [f"{where}: {fault}" for fault in _parameter_faults(name, parameter)]
    if faults:
        raise SpecError(faults)
    return dict(table)


def compose(
    raw: Any, find_space: Callable[[str], Mapping[str, Any]] | None, faults: list[str]
) -> dict[str, Any]:
    """Merge the used spaces and the study's own parameter tables into `parameters`."""
    if not isinstance(raw, Mapping):
        faults.append(f"space: a table is needed, found {raw!r}")
        return {}
    used: dict[str, Any] = {}
    use = raw.get("use", ())
    if isinstance(use, str) or not isinstance(use, list | tuple) or not all(isinstance(n, str) for n in use):
        faults.append(f"space.use: a list of names is needed, found {use!r}")
        use = ()
    for name in use:
        if find_space is None:
            faults.append(f"space.use: '{name}' cannot be looked up here; write its parameters out")
            continue
        try:
            used.update(find_space(name))
        except SpecError as error:
            faults += [f"space.use: {fault}" for fault in error.faults]
    parameters: dict[str, Any] = dict(used)
    for name, table in raw.items():
        if name in _RESERVED:
            continue
        if not isinstance(table, Mapping):
            faults.append(
                f"space.{name}: unknown key with value {table!r}; a parameter is a table with type, "
                f'e.g. [space.{name}] type = "float"; other keys: fixed, use'
            )
            continue
        # A table without a type changes single keys of the parameter that a used space brings.
        whole = narrowed(used[name], table) if "type" not in table and name in used else dict(table)
        parameters[name] = whole
        found = _parameter_faults(name, whole)
        faults += [f"space.{fault}" for fault in found]
        if found:
            del parameters[name]
    composed: dict[str, Any] = {"parameters": parameters}
    composed |= {key: raw[key] for key in ("fixed", "learned") if key in raw}
    return composed


def narrowed(used: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """A used parameter with some keys changed; defaults that it brings are moved into a narrower range."""
    whole = {**used, **changed}
    low, high = whole.get("low"), whole.get("high")
    if not isinstance(low, int | float) or not isinstance(high, int | float) or low > high:
        return whole

    def within(value: Any) -> Any:
        return min(max(value, low), high) if isinstance(value, int | float) else value

    if "default" in used and "default" not in changed:
        whole["default"] = within(used["default"])
    if isinstance(used.get("default_for"), Mapping) and "default_for" not in changed:
        whole["default_for"] = {
            other: {choice: within(value) for choice, value in defaults.items()}
            for other, defaults in used["default_for"].items()
        }
    return whole


def _parameter_faults(name: str, table: Mapping[str, Any]) -> list[str]:
    if name in _RESERVED:
        return [f"{name}: a parameter cannot have this name; choose another"]
    if "type" not in table:
        return [f'{name}: type is missing; known: "float", "int", "choice"']
    try:
        _PARAMETER.validate_python(dict(table))
    except ValidationError as error:
        return [sentence(e, None, name) for e in error.errors(include_url=False)]
    return []
