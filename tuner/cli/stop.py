"""tune stop: asks the process that drives a study to stop."""

from __future__ import annotations

from shlex import quote
from typing import Annotated

import typer

import tuner
from tuner.cli import screen
from tuner.cli.options import NameArgument, StorageOption

EXAMPLES = (
    "\b\nExamples:\n"
    "  tune stop digits              as by Ctrl-C, from another terminal or machine\n"
    "  tune stop digits --trial 17   only this trial ends"
)


def run(
    name: NameArgument,
    trial: Annotated[
        int | None, typer.Option(metavar="TRIAL", help="End only this trial; the study goes on.", min=0)
    ] = None,
    storage: StorageOption = None,
) -> None:
    """Stop a running study, its trials with checkpoints, or end one of its trials."""
    tuner.stop(name, trial=trial, storage=storage)
    if trial is None:
        screen.say(f"noted; it stops once its trials have checkpoints; go on with: tune resume {quote(name)}")
    else:
        screen.say(f"noted; trial {trial} ends after its epoch")
