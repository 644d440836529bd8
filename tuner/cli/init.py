"""tune init: writes a small project, or a study for a data file or a command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import tuner
from tuner.cli import screen
from tuner.cli.options import TargetOption, targets

EXAMPLES = (
    "\b\nExamples:\n"
    "  tune init my-project                        study, space and trainer to change\n"
    "  tune init --from house.csv --target price   the study that `tune start house.csv` infers\n"
    '  tune init --command "python train.py"        the study that its --help suggests'
)


def run(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write.")] = Path(),
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="A data file to infer a study for.")
    ] = None,
    target: TargetOption = None,
    command: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="A command to tune; its settings are read from its --help."),
    ] = None,
) -> None:
    """Write a small commented project, all of it runnable as it is."""
    files = tuner.init(folder, source=source, target=targets(target), command=command)
    for file in files:
        screen.say(f"wrote {file}")
    if command is not None:
        screen.say(f"next: look over its [space], then tune start {files[0]}")
    elif source is not None:
        screen.say(f"next: tune start {files[0]}")
    else:
        screen.say(f"next: read {folder / 'README.md'}")
