"""tune resume: goes on with a stored study."""

from __future__ import annotations

from typing import Annotated

import typer

import tuner
from tuner.cli.drive import drive
from tuner.cli.options import (
    ClusterOption,
    DeviceOption,
    JsonOption,
    ModelsOption,
    QuietOption,
    SecondsOption,
    StorageOption,
    TrialsOption,
    WorkersOption,
)

EXAMPLES = (
    "\b\nExamples:\n"
    "  tune resume                       the last study that is not finished\n"
    "  tune resume digits --trials 500   more trials; those already run count\n"
    "  tune resume study.toml --allow-changes   with the file as it is now"
)


def run(
    name: Annotated[
        str | None,
        typer.Argument(
            help="The study's name, or its file, which is compared with the stored study. "
            "[default: the last unfinished study]"
        ),
    ] = None,
    stored_as: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="With a file: the name the study is stored under."),
    ] = None,
    allow_changes: Annotated[
        bool | None,
        typer.Option(
            "--allow-changes/--ignore-changes",
            help="If the study file or the data has changed: go on with the changes (locked test rows "
            "stay locked), or ignore the changes of the file. [default: stop and list the changes]",
            show_default=False,
        ),
    ] = None,
    trials: TrialsOption = None,
    seconds: SecondsOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    cluster: ClusterOption = None,
    storage: StorageOption = None,
    models: ModelsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Go on with a study that was interrupted, or give a finished one a larger budget."""
    is_file = name is not None and name.endswith(".toml")
    drive(
        lambda observer: tuner.resume(
            stored_as if is_file else name,
            study=name if is_file else None,
            allow_changes=allow_changes,
            trials=trials,
            seconds=seconds,
            workers=workers,
            device=device,
            cluster=cluster,
            storage=storage,
            models=models,
            confirm=True,
            observer=observer,
        ),
        as_json=as_json,
        quiet=quiet,
    )
