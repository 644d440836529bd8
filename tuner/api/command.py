"""Options as keys of a study file, and the command line that a study's history notes for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_OPTIONS = {
    "name": "--name",
    "budget.trials": "--trials",
    "budget.seconds": "--seconds",
    "trainer.workers": "--workers",
    "trainer.device": "--device",
    "search.seed": "--seed",
    "models": "--models",
    "allow_changes": "--allow-changes",
}
"""The options of the commands by the keys that they set."""


def options(
    trials: int | None,
    seconds: float | None,
    workers: int | None,
    device: str | None,
    cluster: str | None = None,
) -> dict[str, Any]:
    """The keys that these options of `start` and `resume` set."""
    where = {} if cluster is None else {"trainer.executor": "ray", "trainer.cluster": cluster}
    limits = {"budget.trials": trials, "budget.seconds": seconds}
    return {**limits, "trainer.workers": workers, "trainer.device": device, **where}


def command_line(verb: str, study: Any, options: Mapping[str, Any]) -> str:
    """The command line, as the store notes it."""
    given = [verb, str(study)] if isinstance(study, str | Path) else [verb]
    for key, value in options.items():
        if isinstance(value, bool) and key in _OPTIONS:
            given.append("--allow-changes" if value else "--ignore-changes")
        elif key == "target" and value is not None:
            given += [f"--target {each}" for each in ([value] if isinstance(value, str) else value)]
        elif value is not None:
            given.append(f"{_OPTIONS[key]} {value}" if key in _OPTIONS else f"--set {key}={value}")
    return " ".join(given)
