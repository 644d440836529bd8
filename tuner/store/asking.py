"""What may be asked of a study, checked before it is stored; see `core.request` for what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from shlex import quote
from typing import Any

from tuner.core import words
from tuner.core.budget import AMOUNTS
from tuner.core.request import RequestKind
from tuner.core.trial import TrialState
from tuner.errors import SpecError
from tuner.store.values import StudySummary


def checked(
    summary: StudySummary,
    kind: RequestKind,
    content: Mapping[str, Any],
    state_of: Callable[[int], TrialState | None],
) -> dict[str, Any]:
    """The content of a request as it is stored.

    Args:
        summary: the study.
        kind: what is asked for.
        content: see `RequestKind`; a configuration may leave out what has its default.
        state_of: the state of a trial; None where there is none of that number.

    Raises:
        SpecError: it cannot be done; says why, and what can.
    """
    if kind is RequestKind.TRY:
        return dict(summary.parsed.search_space().completed(content))
    name = summary.name
    if kind is RequestKind.RAISE:
        limits = {key: value for key, value in content.items() if value is not None}
        options = " ".join(f"--{key} {value}" for key, value in limits.items())
        _require_driven(summary, f"raise it as it goes on: tune resume {quote(name)} {options}")
        _require_higher(summary, limits)
        return limits
    if kind is RequestKind.STOP:
        _require_driven(summary, "there is nothing to stop")
        return {}
    _require_driven(summary, "its trials do not train")
    return {"trial": _require_going_on(name, content.get("trial"), state_of)}


def _require_driven(summary: StudySummary, what_then: str) -> None:
    if not summary.is_driven:
        raise SpecError(f"no process drives '{summary.name}': {what_then}")


def _require_higher(summary: StudySummary, limits: Mapping[str, Any]) -> None:
    if not limits:
        raise SpecError(f"{summary.name}: which limit? Give one of {', '.join(AMOUNTS)}")
    if unknown := sorted(limits.keys() - set(AMOUNTS)):
        raise SpecError(f"{summary.name}: {', '.join(unknown)}: only {words.listed(AMOUNTS)} can be raised")
    old, new = summary.parsed.limits(), summary.parsed.extended("budget", limits).limits()
    for key in limits:
        before, after = getattr(old, key), getattr(new, key)
        if before is None:
            raise SpecError(f"{summary.name}: it has no limit of {key} that could be raised")
        if after <= before:
            raise SpecError(
                f"{summary.name}: {key}: {after:g} is not above {before:g}; to end it now: "
                f"tune stop {quote(summary.name)}"
            )


def _require_going_on(name: str, number: Any, state_of: Callable[[int], TrialState | None]) -> int:
    if not isinstance(number, int) or isinstance(number, bool):
        raise SpecError(f"{name}: trial: a number is needed, found {number!r}")
    state = state_of(number)
    if state is None:
        raise SpecError(f"{name}: there is no trial {number}")
    if state.is_over:
        raise SpecError(f"{name}: trial {number} has ended already")
    return number
