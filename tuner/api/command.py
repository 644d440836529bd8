"""The command line that a study's history notes for what was called."""

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


def on_cluster(address: str | None) -> dict[str, str]:
    """The keys that say that a study trains on a Ray cluster; none where no address is given."""
    return {} if address is None else {"trainer.executor": "ray", "trainer.cluster": address}


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
