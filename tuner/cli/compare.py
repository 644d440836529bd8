"""tune compare: studies side by side, and whether the difference is more than noise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import tuner
from tuner.cli import screen
from tuner.cli.options import JsonOption, StorageOption

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

    from tuner.results import Comparison

EXAMPLES = (
    "\b\nExamples:\n  tune compare digits digits-2\n  tune compare digits digits-2 --html compare.html\n"
    "  tune compare digits digits-2 --json | jq .pairs"
)


def run(
    names: Annotated[list[str], typer.Argument(metavar="STUDY...", help="Names of stored studies.")],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write a page for the browser.")
    ] = None,
    as_json: JsonOption = False,
    storage: StorageOption = None,
) -> None:
    """Put studies side by side and say whether the best one is better than chance explains."""
    from tuner.cli.contract import dump

    comparison = tuner.compare(names, html=html, storage=storage)
    if as_json:
        dump(_as_table(comparison))
    else:
        _print(comparison)


def _print(comparison: Comparison) -> None:
    from rich.text import Text

    from tuner.results.side_by_side import overview, settings

    console = screen.console()
    names = [side.study for side in comparison.sides]
    console.print(_table(["", *names], overview(comparison)))
    for pair in comparison.pairs:
        console.print(Text(pair.sentence))
    console.print(Text(comparison.data))
    console.print()
    differing = [row for row in settings(comparison) if len(set(row[1:])) > 1]
    if differing:
        console.print(Text("the best settings, where they differ:", style="dim"))
        console.print(_table(["", *names], differing))
    if comparison.differences:
        console.print(Text("how the studies differ:", style="dim"))
        rows = ((key, *cells) for key, cells in comparison.differences.items())
        console.print(_table(["", *names], rows))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    from rich.text import Text

    table = screen.table()
    table.add_column("", style="dim")
    for name in head[1:]:
        table.add_column(Text(name), justify="right")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _as_table(comparison: Comparison) -> dict[str, object]:
    """What `--json` prints: the comparison's own names, and each estimate's interval."""
    from dataclasses import asdict

    table = asdict(comparison)
    for side, told in zip(comparison.sides, table["sides"], strict=True):
        told["estimate"]["interval"] = side.estimate.interval
    return table
