"""Static: elements that Dash need not know, sent as data of the element that holds them.

Dash makes each of its components by itself, which took it a tenth of a second for the titles, controls
and tables of a page; the script in the browser makes them at once. What they do is the script's business.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dash.development.base_component import Component

from tuner.web.marks import marks

_NAMES = {"className": "class", "htmlFor": "for"}


def static(component: Component) -> Component:
    """The same element with its children as data; no callback can name what is among them.

    Text stays text: the script never reads it as HTML.
    """
    children = [_data(child) for child in _children(component)]
    props = _props(component) | {"children": None}
    return type(component)(**props, **marks(static=json.dumps(children, separators=(",", ":"))))


def _data(child: Component | str | float) -> Any:
    """A text, or an element as its tag, attributes and children."""
    if not isinstance(child, Component):
        return str(child)
    attributes = {
        _NAMES.get(name, name): "" if value is True else str(value)
        for name, value in _props(child).items()
        if name != "children" and value is not None and value is not False
    }
    return [child._type.lower(), attributes, [_data(each) for each in _children(child)]]


def _props(component: Component) -> dict[str, Any]:
    return dict(component.to_plotly_json()["props"])  # type: ignore[no-untyped-call]


def _children(component: Component) -> Iterator[Component | str | float]:
    children = getattr(component, "children", None)
    if children is not None:
        yield from children if isinstance(children, list | tuple) else [children]
