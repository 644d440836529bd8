"""tune predict: what a kept model says of the rows of a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import tuner
from tuner.cli import screen
from tuner.cli.options import ModelsOption, StorageOption
from tuner.errors import SpecError

EXAMPLES = (
    "\b\nExamples:\n"
    "  tune predict house new.csv -o prices.csv     the trial to take of the study 'house'\n"
    "  tune predict house new.csv --trial 17 --keep\n"
    "  tune predict out new.parquet -o prices.csv   a folder that `tune export` wrote\n"
    "  cat new.csv | tune predict house - | head"
)

PIPE = "-"


def run(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A study, or a folder that `tune export` wrote.")
    ],
    rows: Annotated[
        str,
        typer.Argument(
            metavar="ROWS", help="A CSV, Parquet or NPZ file, or a folder of pictures; - for a CSV on stdin."
        ),
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE", help="A CSV file, which is replaced; - for stdout.")
    ] = PIPE,
    trial: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="This trial instead of the one to take."),
    ] = None,
    ensemble: Annotated[
        int | None,
        typer.Option(min=2, metavar="K", help="The mean of the K best kept models."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Put the rows' columns before the predictions.")
    ] = False,
    storage: StorageOption = None,
    models: ModelsOption = None,
) -> None:
    """Predict the rows of a file, and write a CSV: the prediction and, for classes, their probabilities."""
    from tuner.results import markup, spreadsheet

    if out != PIPE and rows != PIPE and Path(out).resolve() == Path(rows).resolve():
        raise SpecError(f"{out}: holds the rows; name another file")
    given = sys.stdin.buffer if rows == PIPE else rows
    text = spreadsheet.csv(
        tuner.predict(model, given, trial=trial, ensemble=ensemble, keep=keep, storage=storage, models=models)
    )
    if out == PIPE:
        print(text, end="")
        return
    markup.save(Path(out), text)
    screen.say(out)
