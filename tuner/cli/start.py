"""tune start: runs a new study to the end of its budget."""

from __future__ import annotations

from typing import Annotated, Literal

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
    SetOption,
    StorageOption,
    StudyArgument,
    TargetOption,
    TrialsOption,
    WorkersOption,
    settings,
    targets,
)

EXAMPLES = (
    "\b\nExamples:\n"
    "  tune start                              the shipped study 'digits'\n"
    "  tune start digits --trials 60 --name short\n"
    "  tune start house.csv --target price     infers a study for a data file\n"
    "  tune start study.toml --set trainer.epochs=9 --set search.sampler=gp"
)


def run(
    study: StudyArgument = "digits",
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name to store the study under.")
    ] = None,
    target: TargetOption = None,
    exists: Annotated[
        Literal["error", "resume", "replace"],
        typer.Option(help="Where a study of that name is stored: refuse, go on with it, or delete it first."),
    ] = "error",
    trials: TrialsOption = None,
    seconds: SecondsOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    cluster: ClusterOption = None,
    storage: StorageOption = None,
    models: ModelsOption = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, metavar="N", help="Seed for all randomness.")
    ] = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run a new study and show its best trial."""
    chosen = settings(set_)
    drive(
        lambda observer: tuner.start(
            study,
            name=name,
            target=targets(target),
            exists=exists,
            trials=trials,
            seconds=seconds,
            workers=workers,
            device=device,
            cluster=cluster,
            storage=storage,
            models=models,
            seed=seed,
            settings=chosen,
            confirm=True,
            observer=observer,
        ),
        as_json=as_json,
        quiet=quiet,
    )
