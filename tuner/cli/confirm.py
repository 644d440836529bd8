"""tune confirm: trains the best trials again, recommends one, and opens the locked test once."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli import screen
from tuner.cli.options import JsonOption, NameArgument, QuietOption, StorageOption

if TYPE_CHECKING:
    from rich.console import Console

    from tuner.judging import Confirmation

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
        bool, typer.Option("--reopen", help="Confirm anew, and open the test once more; this is recorded.")
    ] = False,
    storage: StorageOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train the best trials again, recommend one, and open the locked test once."""
    from tuner import api
    from tuner.cli.contract import dump
    from tuner.cli.drive import INTERRUPTED
    from tuner.cli.progress import watch

    found = None
    with watch(quiet=quiet, plain=as_json) as watcher, suppress(KeyboardInterrupt):
        found = api.confirm(name, top=top, repeats=repeats, reopen=reopen, storage=storage, observer=watcher)
    if found is None:
        screen.say(f"interrupted; go on with: tune confirm {name}", stderr=True)
        raise typer.Exit(INTERRUPTED)
    if as_json:
        dump(found.to_table())
    else:
        print_confirmation(screen.console(), found, len(api.load(name, storage=storage).records))


def print_confirmation(console: Console, found: Confirmation, trials: int) -> None:
    """Print what was confirmed: a table of what was trained again, then words.

    Args:
        console: where to.
        found: the confirmation.
        trials: how many the study has now.
    """
    from rich import box
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from tuner.cli import words
    from tuner.judging import sentences

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("trained again", f"{found.metric} in the search", f"mean of {found.repeats}", "weights"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in found.candidates:
        chosen = each.number == found.choice.recommended
        label = "default" if each.number == 0 else f"trial {each.number}"
        size = words.ABSENT if each.size_bytes is None else f"{each.size_bytes / 1000:.1f} kB"
        cells = (label, words.number(each.searched), words.number(each.mean), size)
        table.add_row(*cells, style="bold" if chosen else "")
    console.print(table)
    console.print(Text("what was confirmed:", style="dim"))
    for sentence in sentences(found, trials):
        console.print(Padding(Text(sentence), (0, 0, 0, 2)))
    if found.model_path is not None:
        console.print(Text.assemble(("model: ", "dim"), found.model_path), soft_wrap=True)
