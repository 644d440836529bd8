"""tune export: writes a folder that stands alone, with the best trial's model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tuner.cli import screen
from tuner.cli.options import IgnoreChangesOption, JsonOption, NameArgument, StorageOption

EXAMPLES = (
    "\b\nExamples:\n  tune export digits out\n  tune export digits out-17 --trial 17\n"
    "  tune export digits out-2 --figures"
)


def run(
    name: NameArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    trial: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Another trial than the best one.")
    ] = None,
    figures: Annotated[
        bool, typer.Option("--figures", help="Every figure too: PNG, SVG, and one page for the browser.")
    ] = False,
    ignore_changes: IgnoreChangesOption = False,
    as_json: JsonOption = False,
    storage: StorageOption = None,
) -> None:
    """Write the best trial's model, every trial and every curve into a folder."""
    from tuner import api
    from tuner.cli.contract import dump

    files = api.export(
        name, folder, trial=trial, figures=figures, ignore_changes=ignore_changes, storage=storage
    )
    if as_json:
        dump({"study": name, "folder": str(folder), "files": [str(file) for file in files]})
        return
    for file in files:
        screen.say(file)
