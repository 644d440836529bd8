"""tune best: the trial to take beside the default configuration."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import tuner
from tuner.cli.options import JsonOption, NameArgument, StorageOption, settings
from tuner.errors import SpecError

EXAMPLES = (
    "\b\nExamples:\n  tune best digits\n  tune best digits --json | jq .params\n"
    "  tune best digits --at-most latency_ms=0.1 --at-most parameters=10000"
)


def run(
    name: NameArgument,
    at_most: Annotated[
        list[str] | None,
        typer.Option("--at-most", metavar="NUMBER=LIMIT", help="Say which trial to take within limits."),
    ] = None,
    as_json: JsonOption = False,
    storage: StorageOption = None,
) -> None:
    """Show the trial to take of a study beside its default configuration, and why."""
    from tuner.cli import screen
    from tuner.cli.contract import dump, trial_table
    from tuner.cli.summary import print_best
    from tuner.results import brief, overview

    study = tuner.load(name, storage=storage)
    if at_most:
        given = settings(at_most, "latency_ms=0.1", "--at-most ")
        limits = {number: _limit(number, value) for number, value in given.items()}
        view = study.best_within(limits)
        if as_json:
            dump(trial_table(view.record))
        else:
            screen.say(overview.within(study, limits))
    elif as_json:
        dump(brief(study, study.recommended))
    else:
        print_best(study)


def _limit(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError(f"--at-most {name}={value}: give a number")
    return float(value)
