"""What differs between two specs of one study, and what of it can never change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tuner.core.spec import StudySpec

_FIXED: Mapping[str, str] = {
    "name": "it would be another study",
    "objective": "values before and after could not be compared",
    "data": "earlier trials were judged by other data",
    "trainer.use": "earlier trials trained something else",
    "trainer.model": "earlier trials trained something else",
    "trainer.command": "earlier trials trained something else",
    "trainer.class_weight": "earlier trials trained something else",
    "trainer.loss": "losses before and after could not be compared",
    "trainer.score": "scores before and after could not be compared",
    "trainer.quantile": "scores before and after could not be compared",
    "trainer.score_direction": "trials before and after could not be compared",
    "trainer.threshold": "scores before and after could not be compared",
    "trainer.repeats": "earlier trials were trained with other seeds",
    "search.seed": "every random stream of the study follows from it",
}
"""Keys and sections that never change, and why."""


@dataclass(frozen=True, slots=True)
class Change:
    """One key that differs.

    Attributes:
        key: as in `tune start --set`, e.g. ``space.learning_rate.high``.
        old: its value as JSON has it; None where it had none.
        new: likewise.
        refusal: why a study can never go on with it; None where it can.
    """

    key: str
    old: Any
    new: Any
    refusal: str | None = None

    def __str__(self) -> str:
        return f"{self.key}: {told(self.old)} -> {told(self.new)}"


def changes(old: StudySpec, new: StudySpec) -> list[Change]:
    """Every key that differs, in the order of the study file.

    A parameter that is new or gone is one change, in words. Parameters may be new, be fixed, and
    have another range; none may go, for trials have it, or become another kind of parameter.
    """
    before, after = old.to_table(), new.to_table()
    spaces = before.pop("space"), after.pop("space")
    found = [Change(key, a, b, _refusal(key)) for key, a, b in _differing(before, after, "")]
    return found + list(_of_space(*spaces))


def _of_space(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys((*old, *new)):
        key = f"space.{name}"
        if name == "learned":
            if old.get(name) != new.get(name):
                yield Change(key, old.get(name), new.get(name))
        elif name == "fixed":
            yield from (Change(*each) for each in _differing(old[name], new[name], f"{key}."))
        elif name not in new:
            why = f"trials have it; keep it, with one value under [space.fixed] {name} = ..."
            yield Change(key, old[name], None, why)
        elif name not in old:
            yield Change(key, None, new[name])
        else:
            for inner, a, b in _differing(old[name], new[name], f"{key}."):
                is_kind = inner == f"{key}.type"
                yield Change(inner, a, b, "trials have values of the other kind" if is_kind else None)


def _differing(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys((*old, *new)):
        a, b = old.get(name), new.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from _differing(a, b, f"{prefix}{name}.")
        elif a != b or type(a) is not type(b):
            yield f"{prefix}{name}", a, b


def _refusal(key: str) -> str | None:
    return next((why for k, why in _FIXED.items() if key == k or key.startswith(f"{k}.")), None)


def told(value: Any) -> str:
    """A key's value, or a parameter's table, in a few words."""
    if value is None:
        return "(none)"
    if isinstance(value, Mapping) and "type" in value:
        keys = ("low", "high", "step", "choices")
        shown = {k: value[k] for k in keys if k in value}
        return f"{value['type']} {', '.join(f'{k} = {told(v)}' for k, v in shown.items())}"
    return value if isinstance(value, str) else json.dumps(value)
