"""The summary of a study: the trial to take beside the default, and what to do next.

Its sentences come from the study's verdict; called by `tune start`, `resume`, `best`, `show` and `confirm`.
"""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tuner.cli import screen
from tuner.core import words
from tuner.core.budget import StudyState
from tuner.findings import Severity
from tuner.judging.sentences import label, sentences
from tuner.judging.simple import beside_simple
from tuner.results import overview

if TYPE_CHECKING:
    from tuner import Study, TrialView
    from tuner.judging.verdict import Verdict

SHOWN_IMPORTANCES = 6
SHOWN_FINDINGS = 4
BAR_WIDTH = 24


def print_summary(study: Study) -> None:
    """Print the summary at the end of a study."""
    console = screen.console()
    summary = study.summary
    console.print(Text(f"{study.name}: {summary.state}, {summary.reason}" if summary.reason else study.name))
    print_best(study, console)
    print_findings(console, study)
    console.print(Text("next:", style="dim"))
    commands = list(_next(study, study.verdict))
    widest = max(len(command) for command, _ in commands)
    for command, meaning in commands:
        console.print(Text.assemble("  ", (f"{command:<{widest}}", "bold"), (f"  {meaning}", "dim")))


def print_verdict(console: Console, verdict: Verdict) -> None:
    """Print which trial to take and why."""
    for sentence in sentences(verdict):
        console.print(Padding(Text(sentence), (0, 0, 0, 2), expand=False))


def print_simple(console: Console, study: Study) -> None:
    """Print what something simple reaches on the same rows, if that is known."""
    simple = beside_simple(study.verdict, study.baselines)
    if simple is not None:
        console.print(Padding(Text(simple.sentence), (0, 0, 0, 2), expand=False))


def print_trained_again(console: Console, verdict: Verdict) -> None:
    """Print the table of the confirmed trials, the one to take in bold."""
    told = overview.trained_again(verdict)
    if told is None:
        return
    table = screen.table()
    for heading in told.head:
        table.add_column(heading, justify="right", no_wrap=True)
    for i, cells in enumerate(told.rows):
        table.add_row(*cells, style="bold" if i == told.marked else "")
    console.print(table)


def beside(study: Study) -> Table:
    """The trial to take beside the default: what the search measured, and the settings that differ.

    If the default configuration is the one to take, it is shown alone, with all its settings.
    """
    views = overview.beside(study)
    measured, settings = overview.measured(views), overview.settings(views)
    table = screen.table()
    table.add_column("", style="dim", no_wrap=True)
    for heading, view in zip(measured.head[1:], views, strict=True):
        table.add_column(heading, justify="right", style="bold" if view.number else "")
    for row in measured.rows:
        table.add_row(*row)
    table.add_section()
    for row in settings.rows:
        table.add_row(*row)
    return table


def front_table(study: Study) -> Table:
    """The trials that no other one dominates: their objectives, and the settings in which they differ."""
    told, views = overview.front(study)
    table = screen.table()
    for heading in told.head:
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    table.add_column("settings", style="dim")
    first = study.default.record.params
    names = dict.fromkeys(name for view in views for name in overview.differing(view.record.params, first))
    for cells, view in zip(told.rows, views, strict=True):
        params = ", ".join(f"{name} {words.setting(view.record.params.get(name))}" for name in names)
        table.add_row(*cells, Text(params, no_wrap=True, overflow="ellipsis"))
    return table


def print_importances(console: Console, study: Study) -> None:
    """Print which settings mattered, as bars."""
    found = study.importances()
    if not found:
        console.print(Text(found.silence, style="dim"))
        return
    blocks = ("━", "╸") if console.encoding.startswith("utf") else ("#", "")
    console.print(
        Text(f"what mattered, as a share of the difference between {found.trials} trials:", style="dim")
    )
    shown = [*found.items()][:SHOWN_IMPORTANCES]
    widest = max(len(name) for name, _ in shown)
    for name, part in shown:
        halves = round(part * BAR_WIDTH * 2)
        bar = blocks[0] * (halves // 2) + blocks[1] * (halves % 2)
        told = f" {words.percent(part):>5} ± {words.percent(found.errors[name])}"
        console.print(Text.assemble(f"  {name:<{widest}} ", (f"{bar:<{BAR_WIDTH}}", "cyan"), told))


def print_findings(console: Console, study: Study) -> None:
    """Print the most important findings and what to do about them."""
    findings = study.findings()[:SHOWN_FINDINGS]
    if findings:
        console.print(Text("findings:", style="dim"))
    for finding in findings:
        style = "yellow" if finding.severity is Severity.WARNING else ""
        console.print(Padding(Text(finding.sentence, style=style), (0, 0, 0, 2)))
        console.print(Padding(Text(finding.advice, style="dim"), (0, 0, 0, 4)))


def print_best(study: Study, console: Console | None = None) -> None:
    """Print the trial to take beside the default configuration.

    Raises:
        TrialError: no trial has a value yet.
    """
    console, verdict = console or screen.console(), study.verdict
    console.print(beside(study))
    print_trained_again(console, verdict)
    console.print(Text("what to take:", style="dim"))
    print_verdict(console, verdict)
    print_simple(console, study)
    objectives = study.spec.objectives()
    if len(objectives) > 1:
        console.print()
        names = ", ".join(objective.metric for objective in objectives)
        console.print(Text(f"best trade-offs of {names}:", style="dim"))
        console.print(front_table(study))
    console.print()
    print_importances(console, study)
    console.print()
    print_model(console, study.recommended)


def print_model(console: Console, view: TrialView) -> None:
    """Print where a trial's model lies, whole, so that it can be copied."""
    path = str(view.model_path) if view.model_path else "was not kept"
    console.print(Text.assemble((f"model of {label(view.number)}: ", "dim"), path), soft_wrap=True)


def _next(study: Study, verdict: Verdict) -> Iterator[tuple[str, str]]:
    summary = study.summary
    yield f"tune show {quote(study.name)}", "every trial and why it ended"
    if verdict.model_path is not None:
        yield f"tune export {quote(study.name)} DIR", "the model and all curves in a folder"
    if verdict.confirmation is None and summary.confirm_command is not None:
        yield summary.confirm_command, "train the best again, choose, read the locked test rows once"
    trials = summary.parsed.budget.trials
    is_over = summary.state is StudyState.FINISHED and trials is not None and summary.started >= trials
    more = f"{summary.resume_command} --trials {2 * summary.started}" if is_over else summary.goes_on
    command, comma, limit = more.partition(", ")
    yield command, f"search on{comma}{limit}"
