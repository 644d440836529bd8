"""tune try: asks a study to train one configuration."""

from __future__ import annotations

from typing import Annotated

import typer

import tuner
from tuner.cli import screen
from tuner.cli.options import JsonOption, NameArgument, StorageOption, settings
from tuner.errors import SpecError

EXAMPLES = (
    "\b\nExamples:\n"
    "  tune try digits learning_rate=0.01 optimizer=sgd\n"
    "  tune try digits dropout=0.2             the rest has its default\n"
    "  tune try digits dropout=0.2 --like 17   the rest is as in trial 17\n"
    "  tune try digits --like 17               trial 17 once more"
)


def run(
    name: NameArgument,
    params: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE...", help="The configuration; the rest has its default."),
    ] = None,
    like: Annotated[
        int | None, typer.Option(metavar="TRIAL", help="The rest is as in this trial.", min=0)
    ] = None,
    as_json: JsonOption = False,
    storage: StorageOption = None,
) -> None:
    """Ask a study to train one configuration, whether it runs or is resumed later; it counts as a trial."""
    from tuner.cli.contract import dump

    if not params and like is None:
        raise SpecError(f"try {name}: which configuration? Give parameters as NAME=VALUE, or --like TRIAL")
    chosen = settings(params or [], "learning_rate=0.01", "")
    is_driven = tuner.enqueue(name, chosen, like=like, storage=storage)
    if as_json:
        dump({"study": name, "params": chosen, "like": like, "is_driven": is_driven})
    elif is_driven:
        screen.say(f"noted; '{name}' runs and trains it as soon as a row is free")
    else:
        summary = tuner.load(name, storage=storage).summary
        screen.say(f"noted; it is trained when the study goes on: {summary.goes_on}")
