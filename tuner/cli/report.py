"""tune report: a study as one HTML file that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import tuner
from tuner.cli import screen
from tuner.cli.options import IgnoreChangesOption, NameArgument, StorageOption

EXAMPLES = "\b\nExamples:\n  tune report digits\n  tune report digits -o digits.html"


def run(
    name: NameArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file; it is replaced.")
    ] = Path("report.html"),
    ignore_changes: IgnoreChangesOption = False,
    storage: StorageOption = None,
) -> None:
    """Write what a study has found, and how it was run, as one file for the browser."""
    screen.say(tuner.write_report(name, output, ignore_changes=ignore_changes, storage=storage))
