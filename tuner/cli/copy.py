"""tune copy: copies a shipped file to the working folder, to be changed there."""

from __future__ import annotations

from typing import Annotated

import typer

import tuner
from tuner.cli import screen

EXAMPLES = "\b\nExamples:\n  tune copy study digits\n  tune copy space optimization"


def run(
    kind: Annotated[str, typer.Argument(help="study, space or page.")],
    name: Annotated[str, typer.Argument(help="The shipped file's name.")],
) -> None:
    """Copy a shipped study, space or page to the working folder, where it comes first."""
    screen.say(f"wrote {tuner.copy(kind, name)}")
