"""Cards: a figure in its frame: title, controls for its options, help, and the drawing."""

from __future__ import annotations

from collections.abc import Mapping
from html import unescape
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from tuner.errors import SpecError
from tuner.figures import Drawing, Frame, Option, settings
from tuner.web.attributes import attributes, button, toggle
from tuner.web.pages import Card

CONFIG: Any = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["sendChartToCloud", "zoomIn2d", "zoomOut2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "svg"},
}


def card(one: Card, frame: Frame, chosen: Mapping[str, Any], drawing: Drawing) -> Component:
    """A figure's frame with its drawing; `chosen` are the options' values that the address gives."""
    empty = "" if drawing["data"] else " ".join(each["text"] for each in drawing["layout"]["annotations"])
    return html.Section(
        [
            html.Header([html.H3(one.title), _controls(one, frame, chosen), _help(one)]),
            html.P(unescape(empty.replace("<br>", " ")), className="why"),
            dcc.Graph(
                id={"type": "figure", "key": one.key},
                figure=drawing,
                config=CONFIG,
                responsive=True,
                style={"height": f"{one.entry.height}px"},
            ),
        ],
        className=f"card {one.entry.width}{' folded' if empty.strip() else ''}",
        id=f"card-{one.key}",
    )


def _help(one: Card) -> Component:
    return html.Details(
        [
            html.Summary("?", title="What am I looking at?", **attributes(label=f"help for {one.title}")),
            html.Div(
                [
                    html.P(one.figure.help),
                    button("its numbers as a table", **attributes(numbers="")),
                ],
                className="menu",
            ),
        ],
        className="help",
    )


def _controls(one: Card, frame: Frame, chosen: Mapping[str, Any]) -> Component:
    """A control for each option of the figure, as it is set now."""
    try:
        values = settings(one.figure, frame, {**one.entry.options, **chosen})
    except SpecError:
        values = settings(one.figure, frame)
    wanted = one.entry.controls
    found = [
        _control(f"{one.key}.{option.name}", option, values[option.name])
        for option in one.figure.options(frame)
        if wanted is None or option.name in wanted
    ]
    return html.Div(found, className="controls")


def _control(key: str, option: Option, value: Any) -> Component:
    mark = attributes(option=key, kind=option.kind)
    if option.kind == "switch":
        return toggle(option.label, **mark, **attributes(pressed=bool(value)))
    if option.kind == "choice":
        choices = [html.Option(text, value=each, selected=each == value) for each, text in option.choices]
        return html.Label([html.Span(option.label), html.Select(choices, **mark)])
    if option.kind == "choices":
        toggles = [
            toggle(text, **mark, **attributes(pressed=each in value, value=each))
            for each, text in option.choices
        ]
        summary = html.Summary(f"{option.label}: {len(value)}")
        return html.Details([summary, html.Div(toggles, className="menu")], className="many")
    slider = dcc.Input(
        type="range",
        min=option.low,
        max=option.high,
        step=1 if isinstance(option.default, int) else "any",
        value=value,
    )
    return html.Label([html.Span(option.label), slider], **mark)
