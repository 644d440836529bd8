"""Trial: one trial on its page, in the panel beside a figure, and in a few words where a point is pointed at.

Dash components only; a user's text is always a plain child of an element, never HTML.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from shlex import quote
from typing import Any

import numpy as np
from dash import dcc, html
from dash.development.base_component import Component

from tuner import figures
from tuner.core import words
from tuner.core.overfitting import can_tell_onset
from tuner.core.overfitting import told as overfitting_told
from tuner.core.space import Int, text_of
from tuner.core.trial import TrialState
from tuner.figures import Frame, Theme
from tuner.figures.points import kinds
from tuner.store.columns import TrialRow
from tuner.web.attributes import attributes, button, copied, toggle
from tuner.web.cards import CONFIG
from tuner.web.live import LiveSnapshot
from tuner.web.parts import box, comment_box, message, tagged, tags, text_table
from tuner.web.route import Route, address
from tuner.web.table import overfitting

TOLD = 8
"""Settings that are told where a point is pointed at."""


def at_point(snapshot: LiveSnapshot, row: TrialRow) -> list[str]:
    """A trial in a few lines: how it ended, and the settings that differ from the default."""
    frame, at = snapshot.frame, _place(snapshot.frame, row.number)
    if at is None:
        return []
    rule = f": {row.reason or row.rule}" if row.reason or row.rule else ""
    numbers = (f"{frame.label(n)} {words.number(float(frame.at_best(n)[at]))}" for n in frame.measured[:4])
    lines = [f"{kinds(frame)[at]}{rule}", " · ".join(numbers)]
    changed = [(name, mine, its) for name, mine, its, _ in _settings_of(snapshot, row) if mine != its]
    lines += [f"{name} {mine} (default {its})" for name, mine, its in changed[:TOLD]]
    more = len(changed) - TOLD
    return lines + ([f"and {words.count(more, 'further setting')}"] if more > 0 else [])


def panel(
    snapshot: LiveSnapshot,
    row: TrialRow,
    traceback: str | None,
    printed: str,
    theme: Theme,
    *,
    allows: bool = False,
) -> Component:
    """A trial beside the figure that it was chosen in: outcome, curve, settings, and what to do with it.

    Where nothing may be asked of the study, there are commands to copy. `printed` is the end of its log.
    """
    frame, name, number = snapshot.frame, snapshot.summary.name, row.number
    changed = [(its, cells) for its, cells in _setting_rows(snapshot, row) if its]
    curve = figures.plot(figures.find("curves"), frame.only([number]), theme)
    curve["layout"]["margin"] |= {"t": 34}
    lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in row.params.items())
    fixed = "[space.fixed]\n" + "".join(lines)
    export = f"tune export {quote(name)} {quote(f'{name}-{number}')} --trial {number}"
    links = [
        html.A("open", href=address(name, "trial", number), className="button"),
        _select(number),
        copied(fixed, "copy [space.fixed]"),
        copied(export, "copy tune export …"),
    ]
    if row.model_path:
        where = "/-/model.zip?" + address(name, None, number).partition("?")[2]
        links.append(html.A("download the model", href=where, download="", className="button"))
    close = button("✕", id="close-panel", title="close (Esc)", **attributes(label="close"))
    told: list[Component] = [html.P("Nothing differs from the default configuration.", className="quiet")]
    if changed:
        told = [text_table(_settings_head(snapshot), changed)]
    return html.Section(
        [
            html.Header([html.H2(f"Trial {number}"), close]),
            html.Div(links, className="controls"),
            *_doing(snapshot, row, allows=allows),
            _outcome(frame, row, _place(frame, number), {}, snapshot.comments.get(number)),
            dcc.Graph(figure=curve, config=CONFIG, responsive=True, style={"height": "230px"}),
            html.H3("Settings that differ from the default"),
            *told,
            *_texts(traceback, printed),
        ],
        **attributes(label=f"trial {number}"),
    )


def _doing(snapshot: LiveSnapshot, row: TrialRow, *, allows: bool) -> list[Component]:
    """What may be asked of the study about this trial: buttons, or the command that does the same."""
    name, lines = snapshot.summary.name, [f"{key}={_plain(value)}" for key, value in row.params.items()]
    comment = snapshot.comments.get(row.number, "")
    is_running = snapshot.summary.is_driven and not TrialState(row.state).is_over
    if not allows:
        again = f"tune try {quote(name)} {' '.join(map(quote, lines))}"
        say = f"tune comment {quote(name)} {quote(comment)} --trial {row.number}"
        copies = [copied(again, "copy tune try …"), copied(say, "copy tune comment …")]
        if is_running:
            copies.append(copied(f"tune stop {quote(name)} --trial {row.number}"))
        return [html.Div(copies, className="controls")]
    buttons: list[Component] = []
    if is_running:
        this = json.dumps({"trial": row.number})
        ask = attributes(ask="end", content=this, sure="")
        buttons.append(button("end this trial", **ask))
    elif row.state == TrialState.FAILED:
        ask = attributes(ask="try", content=json.dumps(row.params))
        buttons.append(button("train it again", **ask))
    text = html.Textarea(
        className="to-try", rows=min(len(lines), 8), **attributes(label="a configuration to try")
    )
    text.children = json.dumps(row.params, indent=1, ensure_ascii=False)
    try_ = button("train this configuration", **attributes(ask="try"))
    inner = comment_box(comment, "a comment on this trial", {"trial": str(row.number)})
    noted = html.Details([html.Summary("comment"), *inner], open=bool(comment))
    return [*buttons, noted, html.Details([html.Summary("try a change of it …"), text, try_])]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _select(number: int) -> Component:
    return toggle("select", **attributes(pressed=False, select=str(number)))


def _place(frame: Frame, number: int) -> int | None:
    """The row of a trial; None where there is none."""
    return next(iter(np.flatnonzero(frame.trials.number == number).tolist()), None)


def trial_story(
    snapshot: LiveSnapshot,
    row: TrialRow | None,
    traceback: str | None,
    printed: str,
    route: Route,
    errors: Mapping[str, float] | None = None,
    *,
    allows: bool = False,
) -> Component:
    """How a trial ended, and its settings beside the default's and the best one's.

    `printed` is the end of its log; `errors` are those of its numbers that are means, at the best epoch.
    """
    frame = snapshot.frame
    if row is None:
        last = int(frame.trials.number[-1]) if len(frame) else None
        known = "has no trials yet" if last is None else f"has trials 0 to {last}"
        return message(f"No trial {route.trial}", f"Study '{snapshot.summary.name}' {known}.")
    at, comment = _place(frame, row.number), snapshot.comments.get(row.number)
    return html.Div(
        [
            _steps(snapshot, row),
            html.Div(_doing(snapshot, row, allows=allows), className="full"),
            box("Outcome", _outcome(frame, row, at, errors or {}, comment), width="half"),
            _settings(snapshot, row),
            *_texts(traceback, printed),
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
    return html.Div([html.H2(f"Trial {row.number}"), *links, _select(row.number)], className="steps full")


def _outcome(
    frame: Frame, row: TrialRow, at: int | None, errors: Mapping[str, float], comment: str | None
) -> Component:
    """How a trial ended, as a list of names and numbers."""
    trials = frame.trials

    def mean(name: str, value: float) -> str:
        error = errors.get(name, np.nan)
        return words.number(value) + (f" ± {words.number(error)} (standard error)" if error == error else "")

    told: list[tuple[str, Any]] = [("state", row.state if at is None else str(frame.endings[at]))]
    if comment:
        told.append(("comment", html.Span(tagged(comment, frame.name, tags(comment)))))
    if row.rule:
        told.append(("stopped by", row.rule))
    if row.reason:
        told.append(("reason", row.reason))
    if at is not None:
        for name in frame.measured:
            value = float(frame.at_best(name)[at])
            if value == value or name == frame.objective.metric:
                told.append((frame.label(name), mean(name, value)))
        told += _overfitting(frame.only([row.number]))
        told.append(("best epoch", f"{int(trials.best_epoch[at])} of {int(trials.epochs[at])}"))
        told.append(("trained", words.duration(float(trials.seconds[at]))))
    if row.interruptions:
        told.append(("interruptions", words.count(row.interruptions, "time") + ", went on each time"))
    if row.started_at:
        told.append(("started", _time(row.started_at)))
    if row.ended_at:
        told.append(("ended", _time(row.ended_at)))
    if row.model_path:
        told.append(("model", html.Code(row.model_path)))
    lines = [html.Div([html.Dt(name), html.Dd(value)]) for name, value in told]
    return html.Dl(lines)


def _overfitting(frame: Frame) -> list[tuple[str, str]]:
    """Of a frame of one trial: the gap at the end, and since when it over-fits, as `tune show` has them."""
    (onset,), (rise,), (last,) = overfitting(frame)
    if last != last:
        return []
    can_tell = can_tell_onset(frame.epochs.val_loss, frame.epochs.train_loss)
    told = overfitting_told(onset, rise, can_tell=can_tell)
    return [("gap at the end", words.number(last)), ("over-fitting", told)]


def _time(text: str) -> Component:
    return html.Time(words.moment(text), dateTime=text)


def _settings(snapshot: LiveSnapshot, row: TrialRow) -> Component:
    table = text_table(_settings_head(snapshot), _setting_rows(snapshot, row))
    return box("Settings", table, width="half")


def _settings_head(snapshot: LiveSnapshot) -> list[str]:
    taken = snapshot.verdict.number
    return ["setting", "this trial", "default", "to take" if taken is None else f"to take ({taken})"]


def _setting_rows(snapshot: LiveSnapshot, row: TrialRow) -> list[tuple[str, list[str | Component]]]:
    """A row per setting: class, name, and its value in this trial, the default and the one to take."""
    return [
        ("changed" if mine != its else "", [name, mine, its, taken])
        for name, mine, its, taken in _settings_of(snapshot, row)
    ]


def _settings_of(snapshot: LiveSnapshot, row: TrialRow) -> list[tuple[str, str, str, str]]:
    """Every setting's name, and its value in this trial, the default one and the one to take, as text."""
    frame, taken = snapshot.frame, snapshot.verdict.number
    default, best = _place(frame, 0), None if taken is None else _place(frame, taken)

    def of(where: int | None, name: str) -> Any:
        if where is None or name not in frame.params:
            return None
        value = frame.params[name][where]
        is_whole = isinstance(frame.space.parameters[name], Int) and value == value
        return int(value) if is_whole else value

    names = [name for name in frame.ordered_params() if name in row.params or default is not None]
    names += [name for name in row.params if name not in names]
    found = []
    for name in names:
        mine = row.params.get(name)
        mine = text_of(mine) if isinstance(mine, bool) else mine
        own, its, recommended = words.settings((mine, of(default, name), of(best, name)))
        if {own, its, recommended} != {words.ABSENT}:
            found.append((name, own, its, recommended))
    return found


def _texts(traceback: str | None, printed: str) -> list[Component]:
    texts = {"Traceback": traceback, "What it printed last": printed}
    return [box(title, html.Pre(text)) for title, text in texts.items() if text]
