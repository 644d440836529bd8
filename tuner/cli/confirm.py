"""tune confirm: trains the best trials again, recommends one, and reads the locked test rows once."""

from __future__ import annotations

from contextlib import suppress
from shlex import quote
from typing import Annotated

import typer

import tuner
from tuner.cli import screen
from tuner.cli.options import JsonOption, ModelsOption, NameArgument, QuietOption, StorageOption

EXAMPLES = (
    "\b\nExamples:\n"
    "  tune confirm digits\n"
    "  tune confirm digits --top 3 --repeats 20\n"
    "  tune confirm digits --json | jq .test.score"
)


def run(
    name: NameArgument,
    top: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many of the best trials. [default: 5]")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=3, metavar="N", help="How often each is trained again. [default: 10]")
    ] = None,
    reopen: Annotated[
        bool, typer.Option("--reopen", help="Confirm again and read the test rows again; this is recorded.")
    ] = False,
    storage: StorageOption = None,
    models: ModelsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train the best trials again, recommend one, and read the locked test rows once."""
    from tuner.cli.contract import dump
    from tuner.cli.drive import INTERRUPTED
    from tuner.cli.progress import watch
    from tuner.cli.summary import print_model, print_simple, print_trained_again, print_verdict
    from tuner.results.as_json import verdict_table

    found = None
    with watch(quiet=quiet, plain=as_json) as watcher, suppress(KeyboardInterrupt):
        found = tuner.confirm(
            name, top=top, repeats=repeats, reopen=reopen, storage=storage, models=models, observer=watcher
        )
    if found is None:
        screen.say(f"interrupted; go on with: tune confirm {quote(name)}", stderr=True)
        raise typer.Exit(INTERRUPTED)
    study = tuner.load(name, storage=storage)
    if as_json:
        dump({**found.to_table(), "verdict": verdict_table(study.verdict)})
        return
    console, verdict = screen.console(), study.verdict
    print_trained_again(console, verdict)
    print_verdict(console, verdict)
    print_simple(console, study)
    print_model(console, study.recommended)
