"""tune resume: goes on with a stored study."""

from __future__ import annotations

from typing import Annotated

import typer

from tuner.cli.drive import drive
from tuner.cli.options import (
    DeviceOption,
    JsonOption,
    QuietOption,
    SecondsOption,
    StorageOption,
    TrialsOption,
    WorkersOption,
)

EXAMPLES = (
    "\b\nExamples:\n"
    "  tune resume                       the last study that is not finished\n"
    "  tune resume digits --trials 500   more trials; those already run count"
)


def run(
    name: Annotated[
        str | None, typer.Argument(help="The study's name; the last unfinished one where it is left out.")
    ] = None,
    trials: TrialsOption = None,
    seconds: SecondsOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Go on with a study that was interrupted, or give a finished one a larger budget."""
    from tuner import api

    drive(
        lambda observer: api.resume(
            name,
            trials=trials,
            seconds=seconds,
            workers=workers,
            device=device,
            storage=storage,
            observer=observer,
        ),
        as_json=as_json,
        quiet=quiet,
    )
