"""tune compress: makes a smaller and quicker model of the one that a study has kept."""

from __future__ import annotations

from typing import Annotated

import typer

import tuner
from tuner.cli.drive import drive
from tuner.cli.options import (
    DeviceOption,
    JsonOption,
    ModelsOption,
    NameArgument,
    QuietOption,
    SecondsOption,
    SetOption,
    StorageOption,
    TrialsOption,
    WorkersOption,
    settings,
)

EXAMPLES = (
    "\b\nExamples:\n"
    "  tune compress digits\n"
    "  tune compress digits --lose-at-most score=0.01 --at-most size_bytes=5000\n"
    "  tune export digits-compressed out --format onnx"
)


def run(
    name: NameArgument,
    to: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Of the new study. [default: NAME-compressed]"),
    ] = None,
    lose_at_most: Annotated[
        list[str] | None,
        typer.Option(
            metavar="score=X",
            help="By how much it may be worse, score or loss; tested on the locked rows. [default: "
            "score=0.005, or 1 % of a score that is an error]",
        ),
    ] = None,
    at_most: Annotated[
        list[str] | None,
        typer.Option(
            metavar="latency_ms=X", help="A limit on latency_ms or size_bytes, of one row in onnxruntime."
        ),
    ] = None,
    trials: TrialsOption = None,
    seconds: SecondsOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    set_: SetOption = None,
    storage: StorageOption = None,
    models: ModelsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Search for a smaller and quicker model that is not worse; a study of its own."""
    chosen = settings(set_)
    lost = settings(lose_at_most, "score=0.005", "--lose-at-most ")
    limits = settings(at_most, "latency_ms=0.1", "--at-most ")
    drive(
        lambda observer: tuner.compress(
            name,
            to=to,
            lose_at_most=lost,
            at_most=limits,
            trials=trials,
            seconds=seconds,
            workers=workers,
            device=device,
            settings=chosen,
            storage=storage,
            models=models,
            observer=observer,
        ),
        as_json=as_json,
        quiet=quiet,
    )
