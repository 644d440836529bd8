"""tune comment: a note on a study, or on one of its trials."""

from __future__ import annotations

from typing import Annotated

import typer

import tuner
from tuner.cli import screen
from tuner.cli.options import NameArgument, StorageOption

EXAMPLES = (
    "\b\nExamples:\n"
    '  tune comment digits "first try, rates too high"\n'
    '  tune comment digits "diverges late #suspect" --trial 17\n'
    '  tune comment digits "" --trial 17   takes it away'
)


def run(
    name: NameArgument,
    text: Annotated[str, typer.Argument(help="What is to be remembered; words with # are easy to find.")],
    trial: Annotated[
        int | None, typer.Option(metavar="TRIAL", help="On this trial, not on the study.", min=0)
    ] = None,
    storage: StorageOption = None,
) -> None:
    """Write a comment on a study or a trial; tables, pages and exports show it."""
    tuner.comment(name, text, trial=trial, storage=storage)
    what = f"'{name}'" if trial is None else f"trial {trial} of '{name}'"
    screen.say(f"commented on {what}" if text.strip() else f"no comment on {what} any more")
