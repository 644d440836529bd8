"""Parts of pages beside figures: the verdict, tables, one trial, the list of studies.

Dash components only, from frames and summaries. A user's text is always a plain child of an element,
never HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any

import numpy as np
from dash import dcc, html
from dash.development.base_component import Component

from tuner.core import words
from tuner.core.baseline import Baseline
from tuner.core.budget import StudyState
from tuner.figures import Frame
from tuner.findings import Finding
from tuner.judging import short
from tuner.store.columns import TrialRow
from tuner.store.values import StudySummary
from tuner.web import answers
from tuner.web.attributes import attributes
from tuner.web.live import LiveSnapshot
from tuner.web.route import Route, address

Cell = str | Component

BEST_SHOWN = 8
SETTINGS_SHOWN = 7
FINDINGS_SHOWN = 4


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
    """The three answers."""
    tiles, baselines = [], Baseline.all_of(snapshot.summary.facts)
    for answer in answers.answers(snapshot.frame, snapshot.verdict, baselines):
        short: Any = answer.short
        if answer.trial is not None:
            short = html.A(answer.short, href=address(snapshot.frame.name, "trial", answer.trial))
        tiles.append(
            html.Section(
                [html.H3(answer.question), html.P(short, className="short"), html.P(answer.text)],
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
    return html.Section(
        [html.Header(html.H3("Findings")), *first, *more],
        className="card full findings",
    )


def _finding(one: Finding) -> Component:
    return html.P([html.B(one.sentence), " ", one.advice], className=one.severity.name.lower())


def best_table(snapshot: LiveSnapshot) -> Component:
    """The best trials of the search, the one to take and the default configuration among or below them."""
    frame, taken = snapshot.frame, snapshot.verdict.number
    trials = frame.trials
    rows = frame.ranking[:BEST_SHOWN].tolist()
    rows += [row for row in np.flatnonzero(np.isin(trials.number, [0, taken or 0])) if row not in rows]
    if not rows:
        return message("No trial has a value yet", "This table fills in as trials end.")
    measured = [
        name
        for name in ("gap", "train_loss", "val_loss", "val_score")
        if name != frame.objective.metric and np.isfinite(getattr(trials, name)[rows]).any()
    ]
    names = [name for name in frame.ordered_params() if len({str(frame.params[name][r]) for r in rows}) > 1]
    names = names[:SETTINGS_SHOWN]
    head = ["trial", frame.objective.metric, *measured, "epochs", *names]
    body = []
    columns = [words.numbers(*getattr(trials, n)[rows].tolist()) for n in ("value", *measured)]
    columns.append([str(int(epochs)) for epochs in trials.epochs[rows]])
    columns += [words.settings(frame.params[name][rows].tolist()) for name in names]
    for row, *others in zip(rows, *columns, strict=True):
        number = int(trials.number[row])
        marks_ = [name for name, it in (("default", 0), ("to take", taken)) if number == it]
        told = f"{number} ({', '.join(marks_)})" if marks_ else str(number)
        cells: list[Cell] = [html.A(told, href=address(frame.name, "trial", number))]
        cells += others
        body.append(("default" if number == 0 else "", cells))
    note = "Settings that matter most come first." if frame.importances.get("value") else ""
    return html.Section(
        [html.Header([html.H3("Best trials"), html.Small(note)]), _table(head, body)],
        className="card full",
    )


def trials_tools(snapshot: LiveSnapshot) -> Component:
    """The table of all trials with its tools."""
    name = snapshot.summary.name
    return html.Section(
        [
            html.Header(
                [
                    html.H3("Trials"),
                    html.Div(
                        [
                            dcc.Input(id="search", type="search", placeholder="search ( / )", value=""),
                            html.Button(
                                "only selected",
                                type="button",
                                id="only-selected",
                                className="toggle",
                                **attributes(pressed=False),
                            ),
                            html.Button("CSV of the table", type="button", id="csv"),
                            html.A(
                                "CSV of all curves",
                                href="/-/curves.csv?" + address(name).partition("?")[2],
                                download="",
                                className="button",
                            ),
                        ],
                        className="controls",
                    ),
                ]
            ),
            html.P(id="table-state", className="quiet"),
            html.Div(id="grid"),
        ],
        className="card full",
    )


def trial_story(
    snapshot: LiveSnapshot,
    row: TrialRow | None,
    traceback: str | None,
    route: Route,
    errors: Mapping[str, float] | None = None,
) -> Component:
    """How a trial ended, and its settings beside the default's and the best one's.

    Args:
        snapshot: the study.
        row: the trial; None where there is none.
        traceback: of its failure.
        route: what the page shows.
        errors: standard errors of its numbers at the best epoch, where they are means.
    """
    frame = snapshot.frame
    if row is None:
        last = int(frame.trials.number[-1]) if len(frame) else None
        known = "has no trials yet" if last is None else f"has trials 0 to {last}"
        return message(f"No trial {route.trial}", f"Study '{snapshot.summary.name}' {known}.")
    at = (
        int(np.flatnonzero(frame.trials.number == row.number)[0])
        if row.number in frame.trials.number
        else None
    )
    return html.Div(
        [
            _steps(snapshot, row),
            _facts(frame, row, at, errors or {}),
            _settings(snapshot, row),
            *_traceback(traceback),
        ],
        className="grid",
    )


def _steps(snapshot: LiveSnapshot, row: TrialRow) -> Component:
    frame, taken = snapshot.frame, snapshot.verdict.number
    numbers = frame.trials.number.tolist()
    here = numbers.index(row.number) if row.number in numbers else 0

    def link(text: str, key: str, at: int) -> Component:
        if not 0 <= at < len(numbers):
            return html.Span(text, className="button off")
        return html.A(
            text,
            href=address(frame.name, "trial", numbers[at]),
            className="button",
            title=key,
            id=f"trial-{key}",
        )

    links = [link("‹ previous (k)", "k", here - 1), link("next (j) ›", "j", here + 1)]
    if taken in numbers:
        links.append(link("the one to take (b)", "b", numbers.index(taken)))
    select = html.Button(
        "select",
        type="button",
        className="toggle",
        **attributes(pressed=False, select=str(row.number)),
    )
    return html.Div([html.H2(f"Trial {row.number}"), *links, select], className="steps full")


def _facts(frame: Frame, row: TrialRow, at: int | None, errors: Mapping[str, float]) -> Component:
    trials = frame.trials

    def mean(name: str, value: float) -> str:
        error = errors.get(name, np.nan)
        return words.number(value) + (f" ± {words.number(error)} (standard error)" if error == error else "")

    told: list[tuple[str, Any]] = [("state", row.state)]
    if row.rule:
        told.append(("stopped by", row.rule))
    if row.reason:
        told.append(("reason", row.reason))
    if at is not None:
        told.append((frame.objective.metric, mean(frame.objective.metric, float(trials.value[at]))))
        for name in ("train_loss", "val_loss", "gap", "train_score", "val_score"):
            value = float(getattr(trials, name)[at])
            if value == value and name != frame.objective.metric:
                told.append((name, mean(name, value)))
        told.append(("best epoch", f"{int(trials.best_epoch[at])} of {int(trials.epochs[at])}"))
        told.append(("trained", words.duration(float(trials.seconds[at]))))
    if row.interruptions:
        told.append(("interruptions", words.count(row.interruptions, "time") + ", went on each time"))
    if row.started_at:
        told.append(("started", words.moment(row.started_at)))
    if row.ended_at:
        told.append(("ended", words.moment(row.ended_at)))
    if row.model_path:
        told.append(("model", html.Code(row.model_path)))
    lines = [html.Div([html.Dt(name), html.Dd(value)]) for name, value in told]
    return html.Section([html.Header(html.H3("Outcome")), html.Dl(lines)], className="card half")


def _settings(snapshot: LiveSnapshot, row: TrialRow) -> Component:
    frame, taken = snapshot.frame, snapshot.verdict.number
    default = np.flatnonzero(frame.trials.number == 0)
    best = next(iter(np.flatnonzero(frame.trials.number == taken)), None)

    def of(where: Any, name: str) -> Any:
        return None if where is None or name not in frame.params else frame.params[name][where]

    names = [n for n in frame.ordered_params() if n in row.params or len(default)]
    names += [name for name in row.params if name not in names]
    body = []
    for name in names:
        its = of(default[0] if len(default) else None, name)
        cells = words.settings((row.params.get(name), its, of(best, name)))
        if set(cells) == {words.ABSENT}:
            continue
        body.append(("changed" if cells[0] != cells[1] else "", [name, *cells]))
    title = "to take" if taken is None else f"to take ({taken})"
    table = _table(["setting", "this trial", "default", title], body)
    return html.Section([html.Header(html.H3("Settings")), table], className="card half")


def _traceback(text: str | None) -> list[Component]:
    if not text:
        return []
    return [html.Section([html.Header(html.H3("Traceback")), html.Pre(text)], className="card full")]


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
        html.Button(
            other.name,
            type="button",
            className="toggle",
            **attributes(pressed=other.name in route.against, against=other.name),
        )
        for other in others
    ]
    return html.Section(
        [html.Header(html.H3("Compare with")), html.Div(buttons, className="controls")], className="card full"
    )


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
            words.moment(summary.updated_at),
            summary.description,
        ]
        body.append(("", cells))
    table = _table(head, body, "studies")
    wrong = [html.P(f"There is nothing at '{lost}'. These are the studies of this database.")] if lost else []
    return html.Section([html.Header(html.H2("Studies")), *wrong, table], className="card full")


def _table(head: Sequence[str], rows: Sequence[tuple[str, Sequence[Cell]]], kind: str = "") -> Component:
    """A table.

    Args:
        head: the columns' headings.
        rows: each with its class; the first cell says what the row is of.
        kind: the table's class.
    """
    above = html.Thead(html.Tr([html.Th(name) for name in head]))
    body = [
        html.Tr([html.Th(first), *(html.Td(cell) for cell in others)], className=its)
        for its, (first, *others) in rows
    ]
    return html.Div(html.Table([above, html.Tbody(body)], className=kind), className="scroll")


def counts(summary: StudySummary) -> str:
    """How many trials are in which state."""
    total = sum(summary.counts.values())
    each = ", ".join(f"{n} {state}" for state, n in summary.counts.items() if n)
    return f"{total}: {each}" if each else "0"


def header(snapshot: LiveSnapshot) -> list[Component]:
    """How the study stands: state, counts, what to take, how much of the budget is used."""
    summary, frame = snapshot.summary, snapshot.frame
    items: list[Component] = [html.Span(summary.status, className=f"badge {summary.status}")]
    if summary.reason and not summary.is_driven:
        items.append(html.Span(summary.reason, className="reason"))
    items.append(html.Span(counts(summary).replace(":", " trials:", 1)))
    if snapshot.verdict.number is not None:
        value = words.number(snapshot.verdict.value)
        items.append(html.Span([f"{short(snapshot.verdict)}: {frame.objective.metric} ", html.B(value)]))
    items.append(html.Span(f"{words.duration(summary.seconds)}{_left(snapshot)}"))
    if summary.state is StudyState.INTERRUPTED and not summary.is_driven:
        items.append(html.Code(f"tune resume {quote(summary.name)}"))
    return items


def _left(snapshot: LiveSnapshot) -> str:
    """How much longer the study takes, by the limit that is reached first."""
    summary, limits = snapshot.summary, snapshot.spec.limits()
    if not summary.is_driven or summary.seconds <= 0:
        return ""
    over = sum(n for state, n in summary.counts.items() if state in ("finished", "stopped", "failed"))
    epochs = int(snapshot.frame.trials.epochs.sum())
    left = []
    if limits.trials and over:
        left.append(summary.seconds * max(0, limits.trials - over) / over)
    if limits.seconds:
        left.append(limits.seconds - summary.seconds)
    if limits.epochs and epochs:
        left.append(summary.seconds * max(0, limits.epochs - epochs) / epochs)
    return f", about {words.duration(min(left))} left" if left else ""
