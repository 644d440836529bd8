"""tune show: a stored study, or one trial of it with its curve."""

from __future__ import annotations

import math
from collections import Counter
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

import tuner
from tuner.cli import screen, sparkline
from tuner.cli.options import JsonOption, NameArgument, StorageOption
from tuner.core import words
from tuner.core.endings import stopped_by
from tuner.core.trial import Origin, Reading, TrialRecord, TrialState
from tuner.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from tuner import Study, TrialView

EXAMPLES = "\b\nExamples:\n  tune show digits\n  tune show digits 7\n  tune show digits 7 --json | jq .curve"
SHOWN_TRIALS = 10
SHOWN_EPOCHS = 12
SHOWN_LINES = 10


def run(
    name: NameArgument,
    trial: Annotated[
        int | None, typer.Argument(min=0, help="A trial's number; 0 is the default one.")
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Of a trial: only what it printed and logged.")] = False,
    as_json: JsonOption = False,
    storage: StorageOption = None,
) -> None:
    """Show a study and its best trials, or one trial with its curve or its log."""
    from tuner.cli.contract import curved_trial_table, dump, study_table

    study = tuner.load(name, storage=storage)
    if log and trial is None:
        raise SpecError(f"--log: which trial? tune show {quote(name)} TRIAL --log")
    if log and trial is not None:
        printed = study.trial(trial).log
        if as_json:
            dump({"study": name, "trial": trial, "log": printed})
        else:
            for line in printed.splitlines() or [f"trial {trial} has printed nothing that was kept"]:
                screen.say(line)
    elif as_json:
        dump(study_table(study) if trial is None else curved_trial_table(study.trial(trial)))
    elif trial is None:
        _print_study(screen.console(), study)
    else:
        _print_trial(screen.console(), study.trial(trial))


def _print_study(console: Console, study: Study) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from tuner.cli.progress import described
    from tuner.cli.summary import print_findings, print_importances, print_verdict

    summary, records = study.summary, study.records
    console.print(
        Text.assemble(
            (study.name, "bold"), f": {summary.status}", f", {summary.reason}" * bool(summary.reason)
        )
    )
    if summary.description:
        console.print(Text(summary.description))
    if (comment := study.comments.get(None)) is not None:
        console.print(Text(f"comment: {comment}"))
    console.print(Text(described(study.spec), style="dim"))
    for note in summary.facts.get("notes", ()):
        console.print(Padding(Text(note, style="dim"), (0, 0, 0, 2)))
    for spec in study.specs[1:]:
        for change in spec.changes:
            console.print(Text(f"changed {spec.at[:19].replace('T', ' ')} UTC: {change}", style="dim"))
    own = [record for record in records if record.origin is not Origin.IMPORTED]
    epochs = sum(record.epochs for record in own)
    trained = f"{words.count(len(own), 'trial')}, {words.count(epochs, 'epoch')}"
    console.print(Text(f"{trained} in {words.clock(summary.seconds)}{interrupted(records)}"))
    for told, amount in endings(records):
        console.print(Text(f"{amount:6}  {told}"))
    verdict = study.verdict
    if verdict.taken is not None:
        console.print(_trials_table(study))
        print_verdict(console, verdict)
        print_importances(console, study)
    print_findings(console, study)


def interrupted(records: Sequence[TrialRecord]) -> str:
    """How many trials were interrupted, and how often in all, as the end of a sentence."""
    times = sum(record.interruptions for record in records)
    trials = sum(record.interruptions > 0 for record in records)
    again = f", {words.count(times, 'time')} in all" if times > trials else ""
    return f"; {words.count(trials, 'trial')} interrupted{again}" if trials else ""


def endings(records: Sequence[TrialRecord]) -> list[tuple[str, int]]:
    """How trials ended and how many did so, the most frequent first."""

    def told(record: TrialRecord) -> str:
        if record.origin is Origin.IMPORTED:
            return "imported"
        if record.state is TrialState.STOPPED:
            return stopped_by(record.rule, counts=record.conclusive)
        if record.state is TrialState.FAILED:
            return f"failed: {record.reason}"
        return str(record.state)

    return Counter(map(told, records)).most_common()


def _trials_table(study: Study) -> Table:
    """The best trials, best first; of their settings, those that matter most come first."""
    from rich.text import Text

    from tuner.results.overview import best_trials

    told, records = best_trials(study, SHOWN_TRIALS, ("val_score", "gap"))
    weights = study.importances()
    table = screen.table()
    for heading in told.head:
        justify = "left" if heading == "ended" else "right"
        table.add_column(heading, justify=justify, no_wrap=True, min_width=len(heading))  # type: ignore[arg-type]
    table.add_column("settings", style="dim")
    for cells, record in zip(told.rows, records, strict=True):
        names = sorted(record.params, key=lambda name: -weights.get(name, 0.0))
        params = ", ".join(f"{name} {words.setting(record.params[name])}" for name in names)
        table.add_row(*cells, Text(params, no_wrap=True, overflow="ellipsis"))
    return table


def _print_trial(console: Console, view: TrialView) -> None:
    from rich.text import Text

    record, curve = view.record, view.curve
    metric = view.study.spec.objective.metric
    error = math.nan if record.best is None else record.best.error(metric)
    state = f"imported, {record.state}" if record.origin is Origin.IMPORTED else record.state
    title = f": {state}, {metric} {words.number(record.value, error)}"
    console.print(Text.assemble((f"{view.study.name} trial {view.number}", "bold"), title))
    if record.reason:
        console.print(Text(f"{record.rule}: {record.reason}" if record.rule else record.reason))
    if (comment := view.comment) is not None:
        console.print(Text(f"comment: {comment}"))
    again = f", interrupted {words.count(record.interruptions, 'time')}" if record.interruptions else ""
    trained = f"{words.count(record.epochs, 'epoch')} in {words.duration(record.seconds)}{again}"
    console.print(Text(trained, style="dim"))
    if curve:
        console.print(Text(overfitting(view)))
    if record.model_path is not None:
        console.print(Text.assemble(("model: ", "dim"), record.model_path), soft_wrap=True)
    console.print(_params_table(view))
    if curve:
        _print_curve(console, curve)
    if record.traceback:
        console.print(Text(record.traceback.rstrip()), soft_wrap=True)
    printed = view.log.splitlines()
    if printed and record.state == "failed":
        console.print(Text("the last that it printed:", style="dim"))
        console.print(Text("\n".join(printed[-SHOWN_LINES:])), soft_wrap=True)
    elif printed:
        lines = words.count(len(printed), "line")
        told = f"printed {lines}; see: tune show {quote(view.study.name)} {view.number} --log"
        console.print(Text(told, style="dim"))


def overfitting(view: TrialView) -> str:
    """How much a trial over-fits, in a sentence."""
    import numpy as np

    from tuner.core.overfitting import can_tell_onset, told

    over = view.overfitting
    gap = f"gap {words.number(over.gap)} at the best epoch, {words.number(over.gap_last)} at the last"
    val, train = (np.array([r.get(name) for r in view.curve]) for name in ("val_loss", "train_loss"))
    return f"{gap}; {told(over.onset_epoch, over.rise, can_tell=can_tell_onset(val, train))}"


def _params_table(view: TrialView) -> Table:
    """The trial's settings beside the default ones; differences are highlighted."""
    from tuner.results.overview import differing

    params, default = view.record.params, view.study.default.record.params
    changed = differing(params, default)
    table = screen.table()
    table.add_column("setting", no_wrap=True)
    table.add_column("value", justify="right")
    table.add_column("default", justify="right", style="dim")
    for name in dict.fromkeys((*params, *default)):
        style = "bold" if name in changed else ""
        table.add_row(name, *words.settings((params.get(name), default.get(name))), style=style)
    return table


def _print_curve(console: Console, curve: Sequence[Reading]) -> None:
    from rich.text import Text

    blocks = sparkline.blocks(console.encoding)
    train, validation = [r.train_loss for r in curve], [r.val_loss for r in curve]
    curves = (("train loss     ", train, "cyan"), ("validation loss", validation, "yellow"))
    drawn = 0
    for label, ys, style in curves if len(curve) > 1 else ():
        if line := sparkline.sparkline(ys, console.width - 18, *sparkline.span(ys), blocks):
            console.print(Text.assemble((f"{label} ", "dim"), (line, style)))
            drawn += 1
    if drawn > 1:
        console.print(Text("each on a scale of its own", style="dim"))
    names = [
        n for n in ("train_loss", "val_loss", "train_score", "val_score", "gap", "learning_rate")
        if any(r.get(n) == r.get(n) for r in curve)
    ]  # fmt: skip
    table = screen.table()
    for heading in ("epoch", *names):
        # Long names stand on two lines, so that a narrow terminal shows them whole.
        table.add_column(heading.replace("_", " "), justify="right")
    shown = [curve[index] for index in spread(len(curve), SHOWN_EPOCHS)]
    columns = [words.numbers(*(reading.get(name) for reading in shown)) for name in names]
    for reading, *cells in zip(shown, *columns, strict=True):
        table.add_row(str(reading.epoch), *cells)
    console.print(table)


def spread(length: int, most: int) -> list[int]:
    """At most `most` indices below `length`, evenly spaced, the first and the last among them."""
    if length <= most:
        return list(range(length))
    return [round(i * (length - 1) / (most - 1)) for i in range(most)]
