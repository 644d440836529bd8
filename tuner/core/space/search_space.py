"""SearchSpace: named parameters in the order of their conditions, and the configurations they allow.

`SearchSpace.compose` is the only way in that checks; what it gives out never changes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tuner.core.space.parameters import Choice, Parameter, is_same, label
from tuner.core.trial import Params, Value
from tuner.errors import SpecError, near


@dataclass(frozen=True)
class SearchSpace:
    """Ordered named parameters with conditions.

    `parameters` stand in an order in which each comes after the ones its `when` and
    `default_for` name; `fixed` values are given to every trial and are not searched. `choices` are
    all parameters that are one, fixed ones too.
    """

    parameters: Mapping[str, Parameter]
    fixed: Params
    choices: Mapping[str, Choice] = field(default_factory=dict)

    @classmethod
    def compose(cls, parameters: Mapping[str, Parameter], fixed: Params | None = None) -> SearchSpace:
        """Order the parameters, take the fixed ones out and check every reference.

        Args:
            parameters: by name, in the order they were written.
            fixed: values that are not searched. A parameter that only exists under another
                value of a fixed one is dropped.

        Raises:
            ValueError: every fault of the space, one a line.
        """
        fixed = {name: label(value) for name, value in (fixed or {}).items()}
        faults = [*_reference_faults(parameters, fixed)]
        for name, value in fixed.items():
            if name in parameters and not parameters[name].contains(value):
                faults.append(f"fixed.{name}: {value!r} is not in {parameters[name].describe()}")
        ordered, circle = _in_order_of_conditions(parameters)
        if circle:
            faults.append(f"{circle[0]}: when: goes round in a circle through {', '.join(circle)}")
        if faults:
            raise ValueError("\n".join(faults))
        searched = {n: p for n, p in ordered.items() if n not in fixed}
        choices = {n: p for n, p in parameters.items() if isinstance(p, Choice)}
        return cls(_without_unreachable(searched, fixed), fixed, choices)

    def __iter__(self) -> Iterator[tuple[str, Parameter]]:
        return iter(self.parameters.items())

    def __len__(self) -> int:
        return len(self.parameters)

    def defaults(self, chosen: Params | None = None) -> dict[str, Value]:
        """The default configuration, with the `chosen` values in place of their defaults.

        Returns:
            The active parameters and the fixed ones.
        """
        chosen = chosen or {}
        params: dict[str, Value] = dict(self.fixed)
        for name, parameter in self:
            if parameter.active_under(params):
                params[name] = chosen[name] if name in chosen else parameter.default_under(params)
        return params

    def widened(self, asked: Mapping[str, Parameter]) -> SearchSpace:
        """The space with further parameters, and with these ranges of known ones; itself if nothing is new.

        Raises:
            ValueError: a known one is of another kind.
        """
        new: dict[str, Parameter] = {}
        for name, parameter in asked.items():
            known = self.parameters.get(name)
            if name in self.fixed or (known is not None and _range(known) == _range(parameter)):
                continue
            if known is not None and known.type != parameter.type:
                raise ValueError(f"{name}: was asked for as {known.type} before, and as {parameter.type} now")
            new[name] = parameter if known is None else parameter.model_copy(update={"when": known.when})
        return SearchSpace.compose({**self.parameters, **new}, self.fixed) if new else self

    def completed(self, chosen: Params) -> dict[str, Value]:
        """A configuration that somebody has chosen: what it does not say has its default.

        Raises:
            SpecError: what is wrong with it, a sentence each.
        """
        chosen = {name: label(value) for name, value in chosen.items()}
        found = self.defaults(chosen)
        faults = self.faults({**found, **chosen})
        faults += [
            f"{name}: is fixed to {value!r}"
            for name, value in self.fixed.items()
            if name in chosen and not is_same(chosen[name], value)
        ]
        if faults:
            raise SpecError(faults)
        return found

    def given(self, params: Params) -> dict[str, Any]:
        """A configuration as the trainer is given it: None and lists as such, see `Choice.given`."""
        return {
            name: self.choices[name].given(value) if name in self.choices else value
            for name, value in params.items()
        }

    def presets(self) -> Iterator[dict[str, Value]]:
        """The default configuration, then each `try_first` choice at its defaults, none twice."""
        seen: list[str] = []
        chosen: list[dict[str, Value]] = [{}]
        chosen += [{n: v} for n, p in self if isinstance(p, Choice) for v in p.try_first]
        for values in chosen:
            params = self.defaults(values)
            if repr(params) not in seen:  # 1 and True are two
                seen.append(repr(params))
                yield params

    def faults(self, params: Params) -> list[str]:
        """What is wrong with a configuration, a sentence each; empty when it belongs to the space."""
        found: list[str] = []
        active: dict[str, Value] = dict(self.fixed)
        for name, parameter in self:
            if not parameter.active_under(active):
                if name in params:
                    found.append(f"{name}: is not active under {dict(parameter.when)}; drop it")
            elif name not in params:
                found.append(f"{name}: is missing")
            elif not parameter.contains(params[name]):
                found.append(f"{name}: {params[name]!r} is not in {parameter.describe()}")
            if name in params:
                active[name] = params[name]
        known = {*self.parameters, *self.fixed}
        found += [f"{n}: unknown parameter; {near(n, known)}" for n in params if n not in known]
        return found

    def grid(self, points: int) -> Iterator[dict[str, Value]]:
        """Every configuration of the grid, lazily, the last parameter turning fastest."""
        names = list(self.parameters)

        def walk(index: int, params: dict[str, Value]) -> Iterator[dict[str, Value]]:
            if index == len(names):
                yield dict(params)
                return
            name = names[index]
            parameter = self.parameters[name]
            if not parameter.active_under(params):
                yield from walk(index + 1, params)
                return
            for value in parameter.grid(points):
                yield from walk(index + 1, {**params, name: value})

        return walk(0, dict(self.fixed))


def _range(parameter: Parameter) -> dict[str, Any]:
    """What a parameter may be, its default and its conditions apart."""
    return parameter.model_dump(
        exclude={"default", "default_for", "when", "doc", "try_first", "lists", "none"}
    )


def _reference_faults(parameters: Mapping[str, Parameter], fixed: Params) -> Iterator[str]:
    known = {*parameters, *fixed}
    for name, parameter in parameters.items():
        for kind, references in (("when", parameter.when), ("default_for", parameter.default_for)):
            values: Iterable[Value]
            for other, values in references.items():
                if other == name:
                    yield f"{name}: {kind}: names itself"
                elif other not in known:
                    # A default for another optimizer is harmless where no optimizer is searched.
                    if kind == "when":
                        yield f"{name}: {kind}: '{other}' is no parameter of this space; {near(other, known)}"
                elif other in parameters:
                    for value in values:
                        if not parameters[other].contains(value):
                            yield (
                                f"{name}: {kind}.{other}: {value!r} is not in {parameters[other].describe()}"
                            )


def _in_order_of_conditions(parameters: Mapping[str, Parameter]) -> tuple[dict[str, Parameter], list[str]]:
    ordered: dict[str, Parameter] = {}
    waiting = dict(parameters)
    while waiting:
        ready = [
            name
            for name, p in waiting.items()
            if not any(o in waiting and o != name for o in itertools.chain(p.when, p.default_for))
        ]
        if not ready:
            return ordered, list(waiting)
        # One at a time keeps the written order wherever the conditions allow it.
        ordered[ready[0]] = waiting.pop(ready[0])
    return ordered, []


def _without_unreachable(parameters: Mapping[str, Parameter], fixed: Params) -> dict[str, Parameter]:
    kept: dict[str, Parameter] = {}
    for name, parameter in parameters.items():
        reachable = all(
            other in kept if other not in fixed else any(is_same(fixed[other], value) for value in values)
            for other, values in parameter.when.items()
        )
        if reachable:
            kept[name] = parameter
    return kept
