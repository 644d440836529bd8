"""tune import: takes over a study of plain Optuna."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

import tuner
from tuner.cli import screen
from tuner.cli.options import JsonOption, StorageOption

EXAMPLES = (
    "\b\nExamples:\n"
    "  tune import old.db mnist                 a new study 'mnist' with the trials of Optuna's\n"
    "  tune import old.db mnist --as digits     into the stored study 'digits', or a new one\n"
    "  tune import trials.csv mnist             from study.trials_dataframe().to_csv()"
)


def run(
    source: Annotated[
        str,
        typer.Argument(help="Optuna's SQLite file, its journal, an SQLAlchemy URL, or a CSV of trials."),
    ],
    name: Annotated[
        str | None, typer.Argument(help="The study's name there. [default: the only one]", show_default=False)
    ] = None,
    as_: Annotated[
        str | None, typer.Option("--as", metavar="NEW", help="The study's name here. [default: the same]")
    ] = None,
    direction: Annotated[
        Literal["minimize", "maximize"] | None,
        typer.Option(
            help="What is better, which a CSV does not say. [default: minimize]", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
    storage: StorageOption = None,
) -> None:
    """Take over the trials of a study of Optuna's: known to the search, shown, and not counted."""
    from tuner.cli.contract import dump

    study = tuner.import_trials(source, name, name=as_, direction=direction, storage=storage)
    imported = study.summary.imported
    if as_json:
        dump({"study": study.name, "imported": imported})
        return
    told = [*study.notes, *(change for spec in study.specs for change in spec.changes)]
    screen.say(told[-1])
    screen.say(f"'{study.name}' has {imported} imported trials; see: tune show {study.name}")
