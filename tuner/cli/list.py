"""tune list: the studies that are stored."""

from __future__ import annotations

from tuner.cli import screen
from tuner.cli.options import JsonOption, StorageOption
from tuner.core import words

EXAMPLES = "\b\nExamples:\n  tune list\n  tune list --storage sqlite:///other.db --json"


def run(as_json: JsonOption = False, storage: StorageOption = None) -> None:
    """List the stored studies, the newest first."""
    from tuner.api.stored import summaries
    from tuner.cli.contract import dump, summary_table

    found = summaries(storage=storage)
    if as_json:
        dump({"studies": [summary_table(summary) for summary in found]})
        return
    if not found:
        screen.say("no study is stored here; begin with: tune start")
        return

    table = screen.table()
    table.add_column("study", style="bold", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column("best", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("description", style="dim")
    for summary in found:
        best = (
            f"{summary.metric} {words.number(summary.best_value)}" if summary.best_number is not None else ""
        )
        trials = f"{summary.started} + {summary.imported}" if summary.imported else str(summary.started)
        table.add_row(
            summary.name, summary.status, trials, best, words.clock(summary.seconds), summary.description
        )
    screen.console().print(table)
