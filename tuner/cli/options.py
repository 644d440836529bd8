"""The options that several commands share."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tuner.errors import SpecError

StudyArgument = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="A shipped study or one under ./studies by its name, a TOML file, or a data file "
        "(.csv, .parquet, .npz) or folder of pictures (photos/), for which a study is inferred.",
    ),
]
NameArgument = Annotated[str, typer.Argument(help="The study's name in the store.")]
StorageOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The database. [default: $TUNER_STORAGE, else sqlite:///tuner.db]"),
]
ModelsOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="The folder, or the s3:// or gs:// URL, for the models of all studies. [default: where the "
        "study has them; for a new one $TUNER_MODELS, else tuner_models beside the database]",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Show no progress, only the result.")]
TargetOption = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN", help="The column of the data file to predict; repeat it for several."),
]
TrialsOption = Annotated[int | None, typer.Option(min=1, metavar="N", help="Total number of trials.")]
SecondsOption = Annotated[float | None, typer.Option(metavar="S", help="Total wall time.")]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Trials that train at the same time.")
]
DeviceOption = Annotated[str | None, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to train.")]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT|local:N", help="Train on a Ray cluster; local: one on this machine."
    ),
]
IgnoreChangesOption = Annotated[
    bool, typer.Option("--ignore-changes", help="Go on although the study's data file has changed.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one key of the study, e.g. trainer.epochs=9. May be repeated.",
    ),
]


def targets(columns: list[str] | None) -> str | list[str] | None:
    """One column as itself, several as a list."""
    return columns[0] if columns and len(columns) == 1 else columns or None


def settings(
    pairs: Sequence[str] | None, example: str = "trainer.epochs=9", option: str = "--set "
) -> dict[str, Any]:
    """Read pairs such as those of `--set`: TOML values, or text as it stands where it is no TOML value.

    Args:
        pairs: as they were given.
        example: a good one.
        option: what stands before each.

    Raises:
        SpecError: with every pair that has no key or no equals sign.
    """
    faults = [p for p in pairs or () if not p.partition("=")[0].strip() or "=" not in p]
    if faults:
        raise SpecError([f"{option}{p}: give KEY=VALUE, e.g. {option}{example}" for p in faults])
    halves = (pair.partition("=") for pair in pairs or ())
    return {key.strip(): _value(text.strip()) for key, _, text in halves}


def _value(text: str) -> Any:
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # No key takes a date, and a line break would bring further keys.
    value = table["value"]
    return value if len(table) == 1 and isinstance(value, bool | int | float | str | list | dict) else text
