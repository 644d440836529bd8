"""Buttons, and ``data-*`` by which `assets/dashboard.js` knows what an element does."""

from __future__ import annotations

from functools import partial
from typing import Any

from dash import html
from dash.development.base_component import Component

button = partial(html.Button, type="button")
toggle = partial(button, className="toggle")


def copied(text: str, label: str | None = None) -> Component:
    """A button that copies a text, which is its label where there is no other one."""
    return button(label or f"copy {text}", title=text, **attributes(copy=text))


def attributes(pressed: bool | None = None, label: str | None = None, **values: str) -> dict[str, Any]:
    """Attributes of an element: ``data-*`` for each of `values`, and those for screen readers.

    Args:
        pressed: whether a switch is on.
        label: its name where it has no text.
        values: without their prefix.
    """
    found: dict[str, Any] = {f"data-{name}": value for name, value in values.items()}
    if pressed is not None:
        found["aria-pressed"] = "true" if pressed else "false"
    if label is not None:
        found["aria-label"] = label
    return found
