"""tune rename: gives a study another name."""

from __future__ import annotations

from shlex import quote
from typing import Annotated

import typer

import tuner
from tuner.cli import screen
from tuner.cli.options import NameArgument, StorageOption

EXAMPLES = "\b\nExamples:\n  tune rename digits digits-wide"


def run(
    name: NameArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    storage: StorageOption = None,
) -> None:
    """Give a study another name; its confirmations follow, and its files stay in their folder."""
    tuner.rename(name, new, storage=storage, command=f"tune rename {quote(name)} {quote(new)}")
    screen.say(f"'{name}' is '{new}' now")
