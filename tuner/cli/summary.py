"""How a study ended, as people like to see it: the best trial beside the default, and what to do next.

Reads a stored study through the API; how it was run is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tuner.cli import screen, words
from tuner.core.budget import StudyState
from tuner.core.trial import Reading, TrialState
from tuner.errors import TrialError
from tuner.findings import Severity

if TYPE_CHECKING:
    from tuner.api import Study, TrialView

SHOWN_IMPORTANCES = 6
SHOWN_FINDINGS = 4
BAR_WIDTH = 24
MEASURED = {
    "val_loss": "validation loss",
    "train_loss": "train loss",
    "val_score": "validation score",
    "train_score": "train score",
    "gap": "gap",
}


def print_summary(study: Study) -> None:
    """Print everything that is worth knowing at the end of a study."""
    console = screen.console()
    summary = study.summary
    console.print(Text(f"{study.name}: {summary.state}, {summary.reason}" if summary.reason else study.name))
    best = best_of(study)
    if best is None:
        console.print(Text(f"no trial has a value; tune show {study.name} says why"))
        print_findings(console, study)
        return
    _print_best(console, study, best)
    print_findings(console, study)
    console.print(Text("next:", style="dim"))
    commands = list(_next(study, best))
    widest = max(len(command) for command, _ in commands)
    for command, meaning in commands:
        console.print(Text.assemble("  ", (f"{command:<{widest}}", "bold"), (f"  {meaning}", "dim")))


def print_best(study: Study) -> None:
    """Print the best trial beside the default configuration.

    Raises:
        TrialError: no trial has a value yet.
    """
    _print_best(screen.console(), study, study.best)


def best_of(study: Study) -> TrialView | None:
    """The best trial; None while none has a value."""
    try:
        return study.best
    except TrialError:
        return None


def beside(best: TrialView, default: TrialView) -> Table:
    """Two trials beside each other: what was measured, and the settings in which they differ.

    Where the default configuration is the best, it stands alone, with all its settings.
    """
    alone = best.number == default.number
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", style="dim", no_wrap=True)
    if not alone:
        table.add_column(f"best (trial {best.number})", justify="right", style="bold")
    table.add_column(f"default (trial {default.number})", justify="right")
    views = (default,) if alone else (best, default)
    for name, *cells in _measured(*views):
        table.add_row(name, *cells)
    table.add_section()
    for name in default.params if alone else differing(best.params, default.params):
        table.add_row(name, *(words.setting(view.params.get(name)) for view in views))
    return table


def differing(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    """The names of the settings that two configurations do not share, in their order."""
    names = dict.fromkeys((*one, *other))
    return [n for n in names if n not in one or n not in other or one[n] != other[n]]


def verdict(study: Study, best: TrialView) -> str:
    """By how much tuning improved on the default configuration, or that it did not."""
    from tuner.api.gain import gained

    return " ".join(gained(study, best, study.spec.goal().metric))


def front_table(study: Study) -> Table:
    """The trials that no other one dominates: their objectives, and the settings in which they differ."""
    goals, views = study.spec.goals(), study.front
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("trial", *goals.names):
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    table.add_column("settings", style="dim")
    first = study.default.params
    names = dict.fromkeys(name for view in views for name in differing(view.params, first))
    for view in views:
        params = ", ".join(f"{name} {words.setting(view.params.get(name))}" for name in names)
        numbers = (_reading(view.reading, name) for name in goals.names)
        table.add_row(str(view.number), *numbers, Text(params, no_wrap=True, overflow="ellipsis"))
    return table


def print_importances(console: Console, study: Study) -> None:
    """Print which settings mattered, as bars."""
    found = study.importances()
    if not found:
        console.print(Text(found.silence, style="dim"))
        return
    blocks = ("━", "╸") if console.encoding.startswith("utf") else ("#", "")
    console.print(Text(f"what mattered, as a share of what sets {found.trials} trials apart:", style="dim"))
    shown = [*found.items()][:SHOWN_IMPORTANCES]
    widest = max(len(name) for name, _ in shown)
    for name, part in shown:
        halves = round(part * BAR_WIDTH * 2)
        bar = blocks[0] * (halves // 2) + blocks[1] * (halves % 2)
        told = f" {part:5.0%} ± {found.errors[name]:.0%}"
        console.print(Text.assemble(f"  {name:<{widest}} ", (f"{bar:<{BAR_WIDTH}}", "cyan"), told))


def print_findings(console: Console, study: Study) -> None:
    """Print what the trials have shown and what to do about it, the weightiest findings alone."""
    findings = study.findings()[:SHOWN_FINDINGS]
    if findings:
        console.print(Text("what was found:", style="dim"))
    for finding in findings:
        style = "yellow" if finding.severity is Severity.WARNING else ""
        console.print(Padding(Text(finding.sentence, style=style), (0, 0, 0, 2)))
        console.print(Padding(Text(finding.advice, style="dim"), (0, 0, 0, 4)))


def _print_best(console: Console, study: Study, best: TrialView) -> None:
    console.print(beside(best, study.default))
    console.print(Text(verdict(study, best)))
    objectives = study.spec.goals().objectives
    if len(objectives) > 1:
        console.print()
        names = ", ".join(objective.metric for objective in objectives)
        console.print(Text(f"best trade-offs of {names}:", style="dim"))
        console.print(front_table(study))
    console.print()
    print_importances(console, study)
    console.print()
    # Paths are printed whole, so that they can be copied.
    model = best.model_path
    console.print(Text.assemble(("model: ", "dim"), str(model) if model else "was not kept"), soft_wrap=True)


def _measured(*views: TrialView) -> Iterator[tuple[str, ...]]:
    """The objective first, then losses, scores, gap and epoch, where any of the trials has them."""
    spec = views[0].study.spec
    score = spec.trainer.score
    for name in dict.fromkeys((*spec.goals().names, *MEASURED)):
        label = MEASURED.get(name, name)
        if score is not None and name.endswith("_score"):
            label += f" ({score})"
        cells = [_reading(view.reading, name) for view in views]
        if set(cells) != {words.ABSENT}:
            yield label, *cells
    yield "best epoch", *map(_epoch, views)


def _reading(reading: Reading | None, name: str) -> str:
    return words.ABSENT if reading is None else words.number(reading.get(name), reading.error(name))


def _epoch(view: TrialView) -> str:
    epoch = view.reading.epoch if view.reading is not None else None
    cut = ", stopped" if view.record.state is TrialState.STOPPED else ""
    return f"{words.setting(epoch)} of {view.record.epochs}{cut}"


def _next(study: Study, best: TrialView) -> Iterator[tuple[str, str]]:
    trials = sum(study.summary.counts.values())
    yield f"tune show {study.name}", "every trial and why it ended"
    if best.model_path is not None:
        yield f"tune export {study.name} DIR", "the model and all curves in a folder"
    if study.confirmation is None and study.summary.state is StudyState.FINISHED:
        yield f"tune confirm {study.name}", "train the best again, choose, open the locked test once"
    yield f"tune resume {study.name} --trials {2 * trials}", "search on"
