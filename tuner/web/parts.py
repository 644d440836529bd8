"""Parts of pages beside figures: the verdict, tables, one trial, the list of studies.

Dash components only, from frames and summaries. A user's text is always a plain child of an element,
never HTML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any
from urllib.parse import urlencode

import numpy as np
from dash import dcc, html
from dash.development.base_component import Component

from tuner.core import words
from tuner.core.budget import AMOUNTS, StudyState
from tuner.core.endings import DIVERGED
from tuner.core.time_left import Durations, Used, time_left
from tuner.core.trial import TrialState
from tuner.figures import Frame
from tuner.findings import Finding
from tuner.judging.sentences import short
from tuner.machine import MachineReading
from tuner.store.values import StudySummary
from tuner.web import answers
from tuner.web.attributes import attributes, button, copied, toggle
from tuner.web.live import LiveSnapshot
from tuner.web.route import Route, address

Cell = str | Component

BEST_SHOWN = 8
SETTINGS_SHOWN = 7
MEASURED_SHOWN = 4
SIDE_BY_SIDE = 8
FINDINGS_SHOWN = 4

TAG = re.compile(r"(?<!\S)(#\w[\w-]*)")
"""A word of a comment by which trials are found."""

STOPPED_EARLY = "stopped early"
"""What trials are called that a rule has ended."""

MACHINE_OLD_S = 60.0
"""A study reads what its machine does every 10 seconds, but a turn that takes long may hold it up."""


def message(title: str, text: str, *hints: str) -> Component:
    """A page with nothing else to show: what is wrong, and what to do."""
    lines = [html.P(html.Code(hint[1:]) if hint.startswith("$") else hint) for hint in hints]
    return html.Section([html.H2(title), html.P(text), *lines], className="message", role="status")


def faults(lines: Sequence[str]) -> Component:
    """What is wrong with page files."""
    return html.Section(
        [html.H2("A page's file has a fault"), html.Ul([html.Li(line) for line in lines])],
        className="message",
        role="alert",
    )


def verdict_tiles(snapshot: LiveSnapshot) -> Component:
    """The four answers."""
    tiles = []
    whole = snapshot.frame, snapshot.verdict, snapshot.summary, snapshot.findings, snapshot.confirming
    for answer in answers.answers(*whole):
        short: Any = answer.short
        if answer.trial is not None:
            short = html.A(answer.short, href=address(snapshot.frame.name, "trial", answer.trial))
        tiles.append(
            html.Section(
                [html.H3(answer.question), html.P(short, className="short"), html.P(coded(answer.text))],
                className=f"tile {answer.mood}",
            )
        )
    return html.Div(tiles, className="tiles")


def found(findings: Sequence[Finding]) -> Component:
    """The findings: the most important in full, the others in a fold below."""
    if not findings:
        return html.Div()
    first = [_finding(one) for one in findings[:FINDINGS_SHOWN]]
    rest = [_finding(one) for one in findings[FINDINGS_SHOWN:]]
    more = [html.Details([html.Summary(f"{len(rest)} more"), html.Div(rest)])] if rest else []
    return box("Findings", *first, *more, width="full findings")


def _finding(one: Finding) -> Component:
    told = [html.B(coded(one.sentence)), " ", *coded(one.advice)]
    return html.P(told, className=one.severity.name.lower())


def coded(text: str) -> list[Cell]:
    """A sentence whose commands, which stand between backticks, are set as code."""
    return [html.Code(part) if i % 2 else part for i, part in enumerate(text.split("`"))]


def best_table(snapshot: LiveSnapshot) -> Component:
    """The best trials of the search, the one to take and the default configuration among or below them."""
    frame, taken = snapshot.frame, snapshot.verdict.number
    trials = frame.trials
    rows = frame.ranking[:BEST_SHOWN].tolist()
    rows += [row for row in np.flatnonzero(np.isin(trials.number, [0, taken or 0])) if row not in rows]
    if not len(frame.ranking):
        is_early = snapshot.summary.is_driven or not len(frame)
        return box(
            "Best trials", html.P(f"No trial has a value{' yet' if is_early else ''}.", className="why")
        )
    first = frame.objective.metric
    measured = [n for n in frame.measured if n != first and np.isfinite(frame.at_best(n)[rows]).any()]
    measured = measured[:MEASURED_SHOWN]
    names = [name for name in frame.ordered_params() if len({str(frame.params[name][r]) for r in rows}) > 1]
    names = names[:SETTINGS_SHOWN]
    head = ["trial", *(frame.label(name) for name in (first, *measured)), "epochs", *names]
    body = []
    columns = [words.numbers(*frame.at_best(n)[rows].tolist()) for n in (first, *measured)]
    columns.append([str(int(epochs)) for epochs in trials.epochs[rows]])
    columns += [words.settings(frame.params[name][rows].tolist()) for name in names]
    for row, *others in zip(rows, *columns, strict=True):
        number = int(trials.number[row])
        marks_ = [name for name, it in (("default", 0), ("to take", taken)) if number == it]
        told = f"{number} ({', '.join(marks_)})" if marks_ else str(number)
        cells: list[Cell] = [html.A(told, href=address(frame.name, "trial", number)), *others]
        body.append(("default" if number == 0 else "", cells))
    note = "Settings that matter most come first." if frame.importances.get("value") else ""
    return box("Best trials", text_table(head, body), beside=html.Small(note))


def trials_tools(snapshot: LiveSnapshot) -> Component:
    """The table of all trials with its tools."""
    curves = "/-/curves.csv?" + address(snapshot.summary.name).partition("?")[2]
    columns = [html.Summary("columns"), html.Div(id="columns", className="menu")]
    tools = [
        dcc.Input(id="search", type="search", placeholder="search ( / )", value=""),
        toggle("only selected", id="only-selected", **attributes(pressed=False)),
        html.Details(columns, className="many"),
        button("CSV of the table", id="csv"),
        html.A("CSV of all curves", href=curves, download="", className="button"),
    ]
    tools += [tag(word, snapshot.summary.name) for word in sorted(tags_of_trials(snapshot))]
    beside = html.Div(tools, className="controls")
    return box("Trials", html.P(id="table-state", className="quiet"), html.Div(id="grid"), beside=beside)


def side_by_side(frame: Frame) -> list[Component]:
    """The selected trials beside the default one: what was measured, and the settings that differ."""
    rows = np.flatnonzero(frame.is_selected)
    if not len(rows):
        return []
    shown = rows[:SIDE_BY_SIDE]
    default = np.flatnonzero(frame.trials.number == 0)
    columns = [*default.tolist(), *(row for row in shown.tolist() if row not in default)]
    numbers = frame.trials.number[columns].tolist()
    links = [html.A(f"trial {n}" if n else "default", href=address(frame.name, "trial", n)) for n in numbers]
    body: list[tuple[str, Sequence[Cell]]] = [("", ["state", *frame.endings[columns].astype(str).tolist()])]
    measured = {frame.label(name): frame.at_best(name)[columns].tolist() for name in frame.measured}
    body += [("", [name, *words.numbers(*values)]) for name, values in measured.items()]
    body.append(("", ["best epoch", *map(str, frame.trials.best_epoch[columns].tolist())]))
    same = 0
    for name in frame.ordered_params():
        cells = words.settings(frame.params[name][columns].tolist())
        if len(set(cells)) > 1:
            body.append(("setting", [name, *cells]))
        else:
            same += 1
    said = [f"{words.count(same, 'setting')} are the same in all of them." if same else ""]
    if len(rows) > len(shown):
        said.append(f"The first {len(shown)} of {len(rows):,} selected trials.")
    note = html.Small(" ".join(filter(None, said)))
    table = text_table(["", *links], body)
    return [box("Side by side", table, beside=note)]


def compared(route: Route, summaries: Sequence[StudySummary]) -> Component:
    """The studies of the database as switches; those switched on are compared."""
    others = [summary for summary in summaries if summary.name != route.study]
    if not others:
        return message(
            "Nothing to compare with",
            "This database holds only this study.",
            "Start another one in the same database, for example with another seed:",
            "$tune start digits --set name=digits-1 --set search.seed=1",
        )
    buttons = [
        toggle(other.name, **attributes(pressed=other.name in route.against, against=other.name))
        for other in others
    ]
    return box("Compare with", html.Div(buttons, className="controls"))


def studies(summaries: Sequence[StudySummary], lost: str | None = None) -> Component:
    """The list of studies.

    Args:
        summaries: of each.
        lost: the address, where it leads to nothing else.
    """
    head = ["study", "state", "search's best", "trials", "time", "last change", "description"]
    body = []
    for summary in summaries:
        best = words.ABSENT
        if summary.best_value is not None:
            best = f"{summary.metric} {words.number(summary.best_value)} (trial {summary.best_number})"
        cells: list[Cell] = [
            html.A(summary.name, href=address(summary.name)),
            html.Span(summary.status, className=f"badge {summary.status}"),
            best,
            counts(summary),
            words.duration(summary.seconds),
            html.Time(words.moment(summary.updated_at), dateTime=str(summary.updated_at)),
            summary.description,
        ]
        body.append(("", cells))
    table = text_table(head, body, "studies")
    wrong = [html.P(f"There is nothing at '{lost}'. These are the studies of this database.")] if lost else []
    return html.Section([html.Header(html.H2("Studies")), *wrong, table], className="card full")


def text_table(head: Sequence[Cell], rows: Sequence[tuple[str, Sequence[Cell]]], kind: str = "") -> Component:
    """A table.

    Args:
        head: the columns' headings.
        rows: each with its class; the first cell says what the row is of.
        kind: the table's class.
    """
    above = html.Thead(html.Tr([html.Th(name, scope="col") for name in head]))
    body = [
        html.Tr([html.Th(first, scope="row"), *(html.Td(cell) for cell in others)], className=its)
        for its, (first, *others) in rows
    ]
    return html.Div(html.Table([above, html.Tbody(body)], className=kind), className="scroll", tabIndex=0)


def box(title: str, *inner: Component, width: str = "full", beside: Component | None = None) -> Component:
    """A card: its title, what stands beside that, and what stands below."""
    head = [html.H3(title)] if beside is None else [html.H3(title), beside]
    return html.Section([html.Header(head), *inner], className=f"card {width}")


def counts(summary: StudySummary) -> str:
    """How many trials are in which state."""
    found = {**summary.counts, "imported": summary.imported}
    called = {TrialState.STOPPED.value: STOPPED_EARLY}
    each = ", ".join(f"{n:,} {called.get(state, state)}" for state, n in found.items() if n)
    return f"{summary.started:,}: {each}" if each else "0"


def header(snapshot: LiveSnapshot, *, allows: bool = False) -> list[Component]:
    """How the study stands: state, counts, what to take, how much of the budget is used, what may be done."""
    summary, frame = snapshot.summary, snapshot.frame
    best, failed = str(summary.best_number), str(summary.counts["failed"])
    noted = attributes(study=summary.name, failed=failed, best=best)
    items: list[Component] = [html.Span(summary.status, className=f"badge {summary.status}", **noted)]
    if comment := snapshot.comments.get(None):
        leading = tagged(comment, summary.name, tags_of_trials(snapshot))
        items.append(html.Span(leading, className="comment"))
    if summary.reason and not summary.is_driven:
        items.append(html.Span(summary.reason, className="reason"))
    diverged = int((frame.endings == DIVERGED).sum())
    of_these = f" ({diverged:,} of them diverged)" if diverged else ""
    each = counts(summary).partition(":")[2].replace(STOPPED_EARLY, f"{STOPPED_EARLY}{of_these}")
    items.append(html.Span(words.count(summary.started, "trial") + (f":{each}" if each else "")))
    if snapshot.verdict.number is not None:
        value = words.number(snapshot.verdict.value)
        metric = frame.label(frame.objective.metric)
        items.append(html.Span([f"{short(snapshot.verdict)}: {metric} ", html.B(value)]))
    items.append(html.Span(f"{words.duration(summary.seconds)}{_left(snapshot)}"))
    if summary.is_driven:
        ask = attributes(pressed=False)
        why = "a sound, and a notification if you allow it, at the end, at a failure, at a new best"
        items.append(toggle("tell me what happens", id="tell-end", title=why, **ask))
    items += _doing(snapshot, allows=allows)
    if (confirming := snapshot.confirming) is not None:
        here = html.A("it is being confirmed", href=address(confirming.name))
        items.append(html.Span([here, f": {answers.trainings(confirming)}"]))
    if summary.state is StudyState.INTERRUPTED and not summary.is_driven:
        items.append(html.Code(summary.resume_command))
    items.append(_more(snapshot, allows=allows))
    if summary.machine is not None:
        at = html.Time(f"{summary.machine.at[11:19]} UTC", dateTime=summary.machine.at)
        told: list[Any] = [machine_told(summary.machine), ", read at ", at, workers_told(summary)]
        items.append(html.Div(told, className="machine"))
    return items


def machine_told(reading: MachineReading | None) -> str:
    """What a study's machine does, in words that say whether it did so long ago."""
    if reading is None:
        return ""
    is_old = reading.age_s() > MACHINE_OLD_S
    return f"no longer up to date: {reading.sentence}" if is_old else reading.sentence


def workers_told(summary: StudySummary) -> str:
    """How many of the processes that train are busy; empty where one trains, or many trials in each."""
    workers, rows = (summary.facts.get(name) for name in ("workers", "rows"))
    if not isinstance(workers, int) or workers < 2 or rows != 1 or not summary.is_driven:
        return ""
    return f"; {min(workers, summary.counts['running'])} of {words.count(workers, 'worker')} busy"


def tags(text: str) -> set[str]:
    """The words of a comment with a # in front."""
    return set(TAG.findall(text))


def tags_of_trials(snapshot: LiveSnapshot) -> set[str]:
    """Those of all comments on trials: what is written on the study finds none of them."""
    return {word for number, text in snapshot.comments.items() if number is not None for word in tags(text)}


def tagged(text: str, study: str, known: set[str]) -> list[Any]:
    """A comment whose words with a # in front lead to the trials that have them, where they are known."""
    return [tag(part, study) if part in known else part for part in TAG.split(text) if part]


def tag(word: str, study: str) -> Component:
    """A word with a # in front, which leads to the table of the trials that have it."""
    where = f"{address(study, 'trials')}&{urlencode({'q': word})}"
    return html.A(word, href=where, className="button tag", title=f"the trials with {word}")


def _more(snapshot: LiveSnapshot, *, allows: bool) -> Component:
    """How a study is commented on, renamed or deleted, folded away: buttons, or the commands."""
    summary, comment = snapshot.summary, snapshot.comments.get(None, "")
    name = quote(summary.name)
    commands = [f"tune comment {name} {quote(comment or 'TEXT')}"]
    if not summary.is_driven:
        commands += [f"tune rename {name} NEW", f"tune delete {name}"]
    inner: list[Component] = [copied(each) for each in commands]
    if allows:
        inner = [html.Div(comment_box(comment, "a comment on this study"))]
    if allows and not summary.is_driven:
        sure = f"delete '{summary.name}', its {summary.trials_told} and its models"
        ask = attributes(ask="delete", content=json.dumps({"name": summary.name}), sure=sure)
        label = attributes(label="a new name for this study")
        inner += [
            html.Textarea(summary.name, id="new-name", rows=1, **label),
            button("rename the study", **attributes(ask="rename")),
            button("delete the study", **ask),
        ]
    return html.Details([html.Summary("more"), html.Div(inner, className="menu")], className="many")


def comment_box(comment: str, label: str, on: Mapping[str, str] | None = None) -> list[Component]:
    """Where a comment is written and kept; `on` holds the trial's number under ``trial``."""
    said = html.Textarea(comment, className="to-say", rows=2, **attributes(label=label))
    return [said, button("keep the comment", **attributes(None, None, ask="comment", **(on or {})))]


def _doing(snapshot: LiveSnapshot, *, allows: bool) -> list[Component]:
    """What may be asked of a running study, or of its confirmation: buttons, or the commands."""
    summary, name = snapshot.summary, quote(snapshot.summary.name)
    if not summary.is_driven and snapshot.confirming is None:
        return []
    what = "study" if summary.is_driven else "confirmation"
    buttons: list[Component] = [button(f"stop the {what}", **attributes(ask="stop", sure=""))]
    copies: list[Component] = [copied(f"tune stop {name}")]
    budget = snapshot.spec.budget
    limits = {key: 2 * limit for key in AMOUNTS if (limit := getattr(budget, key)) is not None}
    for key, twice in limits.items() if summary.is_driven else ():
        copies.append(copied(f"tune raise {name} --{key} {_typed(twice)}"))
        text, ask = f"double its budget to {_typed(twice, ',')} {key}", json.dumps({key: twice})
        buttons.append(button(text, **attributes(ask="raise", content=ask, sure="")))
    return buttons if allows else copies


def _typed(limit: float, mark: str = "") -> str:
    """A limit to all of its digits, as an option takes it, or with a mark between thousands."""
    return f"{int(limit) if limit % 1 == 0 else limit:{mark}}"


def _left(snapshot: LiveSnapshot) -> str:
    """How much longer the study takes, by the limit that is reached first."""
    summary, trials = snapshot.summary, snapshot.frame.trials
    if not summary.is_driven or summary.seconds <= 0:
        return ""
    over = sum(n for state, n in summary.counts.items() if TrialState(state).is_over)
    is_over = trials.is_(TrialState.FINISHED, TrialState.STOPPED, TrialState.FAILED) & ~trials.imported
    durations = Durations.of(trials.seconds[is_over].tolist(), trials.epochs[is_over].tolist())
    epochs = int(trials.epochs[~trials.imported].sum())
    left = time_left(
        snapshot.spec.budget, Used(over, epochs, summary.seconds, over / summary.seconds, durations)
    )
    return f", {left.told}" if left is not None and left.high else ""
