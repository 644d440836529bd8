"""tune delete: removes a study for good."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import tuner
from tuner.cli import screen
from tuner.cli.options import ModelsOption, NameArgument, StorageOption
from tuner.errors import SpecError

EXAMPLES = "\b\nExamples:\n  tune delete digits\n  tune delete digits --yes"


def run(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    storage: StorageOption = None,
    models: ModelsOption = None,
) -> None:
    """Remove a study, its trials and its kept models."""
    summary = tuner.load(name, storage=storage).summary
    trials = summary.trials_told
    if not yes:
        if not sys.stdin.isatty():
            raise SpecError(
                f"delete {name}: stdin is no terminal to ask on; add --yes to remove its {trials}"
            )
        if not _is_confirmed(f"Remove '{name}', its {trials} and its models?"):
            screen.say("kept")
            return
    tuner.delete(name, storage=storage, models=models)
    screen.say(f"removed '{name}' with {trials}")


def _is_confirmed(question: str) -> bool:
    try:
        return typer.confirm(screen.plain(question))
    except typer.Abort:
        raise KeyboardInterrupt from None
