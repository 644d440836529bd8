"""tune raise: gives a running study a larger budget."""

from __future__ import annotations

from typing import Annotated

import typer

import tuner
from tuner.cli import screen
from tuner.cli.options import NameArgument, SecondsOption, StorageOption, TrialsOption

EXAMPLES = "\b\nExamples:\n  tune raise digits --trials 500   while it runs; one that has ended: tune resume"


def run(
    name: NameArgument,
    trials: TrialsOption = None,
    seconds: SecondsOption = None,
    epochs: Annotated[int | None, typer.Option(min=1, metavar="N", help="Epochs over all trials.")] = None,
    storage: StorageOption = None,
) -> None:
    """Give a running study a larger budget, from another terminal or machine."""
    tuner.raise_budget(name, trials=trials, seconds=seconds, epochs=epochs, storage=storage)
    screen.say(f"noted; '{name}' goes on for as long")
