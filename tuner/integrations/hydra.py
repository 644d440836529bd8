"""Hydra: overrides such as ``lr=interval(0.001,0.1)`` as a space; used by `hydra_plugins.tuner_sweeper`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tuner.core.space import Choice, Float, Int, Parameter
from tuner.errors import SpecError

HOW = "give e.g. lr='tag(log, interval(0.0001, 0.1))' depth='range(1, 5)' model=mlp,cnn"


def space_of(overrides: Iterable[Override], config: DictConfig) -> dict[str, Any]:
    """The space that overrides ask for: what they sweep over is searched, what else they set is fixed.

    What Hydra has now is a parameter's default, if it is in its range.

    Args:
        overrides: of a sweep; of two with one key the last one counts.
        config: the app's, with Hydra's own part, where no sweep is in force.

    Raises:
        SpecError: nothing is swept over, or in a way that no study searches.
    """
    space: dict[str, Any] = {}
    fixed: dict[str, Any] = {}
    for override in overrides:
        name = override.get_key_element()
        space.pop(name, None)
        fixed.pop(name, None)
        if override.is_sweep_override():
            try:
                space[name] = _parameter(override, _now(override, config))
            except SpecError as error:
                raise SpecError([f"{name}: {fault}" for fault in error.faults]) from None
        elif not override.is_delete():
            value = override.value()
            fixed[name] = value if _is_number(value) else override.get_value_element_as_str()
    if not space:
        raise SpecError(f"nothing to search; {HOW}")
    return {**space, "fixed": fixed}


def _parameter(override: Override, now: Any) -> Parameter:
    swept = override.value()
    tags = set(getattr(swept, "tags", ()))
    if unknown := sorted(tags - {"log"}):
        raise SpecError(f"the tag '{unknown[0]}' is not known; known: log")
    table: dict[str, Any] = {"log": True} if tags else {}
    kind: type[Parameter]
    if isinstance(swept, IntervalSweep):
        kind = Int if isinstance(swept.start, int) else Float
        table |= {"low": swept.start, "high": swept.end}
    elif isinstance(swept, RangeSweep):
        values = sorted(swept.range())
        if not values:
            raise SpecError("a range without numbers")
        kind = Int if isinstance(values[0], int) else Float
        table |= {"low": values[0], "high": values[-1]}
        if kind is Float or abs(swept.step) != 1:
            table["step"] = abs(swept.step)
    elif tags:
        raise SpecError("only numbers have a logarithmic scale; drop the tag")
    else:
        kind, now = Choice, _plain(now)
        table |= {"choices": list(override.sweep_iterator(_plain))}
    found = kind(**table)
    return kind(**table, default=now) if found.contains(now) else found


def _now(override: Override, config: DictConfig) -> Any:
    """What the app has where nothing is swept: the option of a group, or a value."""
    name = override.get_key_element().lstrip("+")
    if name in (chosen := config.hydra.runtime.choices):
        return chosen[name]
    with suppress(OmegaConfBaseException):
        found = OmegaConf.select(config, name)
        return OmegaConf.to_container(found) if OmegaConf.is_config(found) else found
    return None


def _plain(value: Any) -> Any:
    """A choice: numbers, true and false as such, all else as Hydra writes it in an override."""
    return value if _is_number(value) else Transformer.str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float)
